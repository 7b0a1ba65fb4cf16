"""The real peers on a running local cluster: metrics-server for the HPA, KEDA's operator and its metrics API."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.demo.commands import CommandError, Commands
from loadtests.live.resources import kubelet
from localcluster import foreign, pki, tether
from localcluster.cluster import Cluster
from localcluster.pinned import program
from localcluster.ports import free_ports

OBJECTS = Path(__file__).with_name("peers.yaml")
APIS = ("v1beta1.metrics.k8s.io", "v1beta1.external.metrics.k8s.io")
RESOLUTION_SECONDS = 15
"""Of metrics-server, as its manifests have it."""
_AVAILABLE_SECONDS = 120
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Ports:
    """Of 127.0.0.1."""

    kubelet: int
    metrics_server: int
    adapter: int
    adapter_metrics: int
    operator_metrics: int
    operator_probes: int
    metrics_service: int

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody has."""
        return cls(*free_ports(len(cls.__dataclass_fields__)))


def command_lines(cluster: Cluster, ports: Ports, certificates: Path) -> Mapping[str, Sequence[str]]:
    """Return the arguments of each program, by the name that `program` knows it by.

    Each acts as the administrator: what is compared is when and how far they scale, not what they may do.
    """
    kubeconfig = cluster.kubeconfig
    asked = [
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
    ]
    return {
        "metrics-server": [
            f"--kubeconfig={kubeconfig}",
            *asked,
            f"--secure-port={ports.metrics_server}",
            f"--cert-dir={certificates / 'metrics-server'}",
            f"--kubelet-port={ports.kubelet}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={cluster.pki_dir / 'ca.crt'}",
            f"--metric-resolution={RESOLUTION_SECONDS}s",
        ],
        "keda-operator": [
            f"--kubeconfig={kubeconfig}",
            f"--cert-dir={certificates}",
            f"--metrics-bind-address=127.0.0.1:{ports.operator_metrics}",
            f"--health-probe-bind-address=127.0.0.1:{ports.operator_probes}",
            f"--metrics-service-bind-address=127.0.0.1:{ports.metrics_service}",
            "--enable-webhook-patching=false",
            "--enable-apiservice-patching=false",
        ],
        "keda-adapter": [
            f"--lister-kubeconfig={kubeconfig}",
            *asked,
            f"--secure-port={ports.adapter}",
            f"--port={ports.adapter_metrics}",
            f"--metrics-service-address=localhost:{ports.metrics_service}",
            f"--cert-dir={certificates}",
            f"--tls-cert-file={certificates / 'tls.crt'}",
            f"--tls-private-key-file={certificates / 'tls.key'}",
            f"--client-ca-file={certificates / 'ca.crt'}",
        ],
    }


@dataclass(frozen=True)
class Programs:
    """What the peers are on this machine."""

    executables: Mapping[str, Path]
    """By the name that `program` knows them by."""
    crds: Path
    """Folder of KEDA's CRDs."""


def had() -> Programs:
    """Return the peers' programs; those that this machine lacks are built, which takes minutes."""
    names = ("metrics-server", "keda-operator", "keda-adapter")
    return Programs({name: program(name) for name in names}, foreign.crds("keda"))


@asynccontextmanager
async def peers(
    programs: Programs,
    cluster: Cluster,
    commands: Commands,
    say: Callable[[str], None],
) -> AsyncIterator[None]:
    """Run metrics-server and KEDA beside the cluster while entered. Raises CommandError where one does not come up.

    Their metrics APIs are deregistered at the end: while one is registered and away, namespaces cannot be deleted.
    """
    ports = Ports.free()
    with tempfile.TemporaryDirectory() as folder:
        certificates = Path(folder)
        authority = pki.Authority(certificates, "ca")
        authority.server("tls", client_too=True)  # both ends of KEDA's own connection show it
        objects = certificates / "peers.yaml"
        objects.write_text(
            OBJECTS.read_text(encoding="utf-8")
            .replace("METRICS_SERVER_PORT", str(ports.metrics_server))
            .replace("KEDA_ADAPTER_PORT", str(ports.adapter)),
            encoding="utf-8",
        )
        async with AsyncExitStack() as running:
            await commands.kubectl(f"apply --server-side --force-conflicts -f {programs.crds}")
            await running.enter_async_context(kubelet(cluster, ports.kubelet))
            for name, arguments in command_lines(cluster, ports, certificates).items():
                log = cluster.log_dir / f"{name}.log"
                running.enter_context(_running([str(programs.executables[name]), *arguments], cluster, log))
            running.push_async_callback(commands.kubectl, f"delete --ignore-not-found -f {objects}")
            await commands.kubectl(f"apply -f {objects}")
            for name in APIS:
                try:
                    await commands.kubectl(
                        f"wait --for=condition=Available --timeout={_AVAILABLE_SECONDS}s apiservice/{name}"
                    )
                except CommandError as error:
                    raise CommandError(f"{error}\nSee the programs' logs in {cluster.log_dir}.") from None
            say("metrics-server and KEDA answer.")
            yield


@contextmanager
def _running(argv: Sequence[str], cluster: Cluster, log: Path) -> Iterator[None]:
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "WATCH_NAMESPACE": "",
        "POD_NAMESPACE": "keda",
        "KEDA_CLUSTER_OBJECT_NAMESPACE": "keda",
        tether.MARK: str(cluster.run_dir),
    }
    with log.open("wb") as words:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=tether.die_with_parent(),
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
