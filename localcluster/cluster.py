"""What one local cluster is: its addresses and files, written once by `up` and read by every component."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from localcluster.files import replace_file
from localcluster.node.addresses import listen_address, static_address
from localcluster.paths import this_python

DEFAULT_RUN_DIR = Path("out/cluster")


class ClusterNotFoundError(Exception):
    """The run directory holds no cluster, or one that another version of this program wrote."""


@dataclass(frozen=True)
class NodeCapacity:
    """What the one node of the cluster states as allocatable, in Kubernetes quantities."""

    cpu: str
    memory: str
    gpus: int


@dataclass(frozen=True)
class Cluster:
    """Addresses and files of one local cluster. Ports are on 127.0.0.1 unless said otherwise."""

    run_dir: Path
    cache_dir: Path
    kubeconfig: Path
    """Credentials of the user `kubernetes-admin` (group `system:masters`)."""
    api_port: int
    etcd_port: int
    etcd_peer_port: int
    controller_manager_port: int
    scheduler_port: int
    gateway_http_port: int
    envoy_admin_port: int
    """On `envoy_admin_host`."""
    prometheus_port: int
    dcgm_port: int
    """On `dcgm_host`."""
    model_server_python: Path
    """Interpreter of the environment that holds the model server; it may still be under construction."""
    node: NodeCapacity

    @property
    def api_url(self) -> str:
        """Address of the API server."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def gateway_url(self) -> str:
        """Where the Gateway `local` answers HTTP."""
        return f"http://127.0.0.1:{self.gateway_http_port}"

    @property
    def prometheus_url(self) -> str:
        """Where Prometheus answers queries."""
        return f"http://127.0.0.1:{self.prometheus_port}"

    @property
    def envoy_admin_host(self) -> str:
        """Where Envoy's admin port listens: what dials its static pod comes here."""
        return listen_address(static_address(self.run_dir, 0))

    @property
    def dcgm_host(self) -> str:
        """Where the GPU exporter's emulation listens, likewise."""
        return listen_address(static_address(self.run_dir, 1))

    @property
    def pki_dir(self) -> Path:
        """Certificates and keys of the cluster."""
        return self.run_dir / "pki"

    @property
    def log_dir(self) -> Path:
        """One file per component, `<component>.log`; pods' output is the node agent's to place."""
        return self.run_dir / "logs"

    @property
    def audit_log(self) -> Path:
        """Every write to the API server, one JSON object (audit.k8s.io/v1 Event) a line."""
        return self.run_dir / "audit.log"

    @property
    def status_file(self) -> Path:
        """What the supervisor last knew of its components."""
        return self.run_dir / "status.json"

    def kubeconfig_of(self, component: str) -> Path:
        """Credentials of a component of its own, so that the audit log tells who wrote.

        Raises ClusterNotFoundError if no such credentials were issued.
        """
        path = self.run_dir / "kubeconfigs" / f"{component}.kubeconfig"
        if not path.is_file():
            raise ClusterNotFoundError(
                f"no credentials for component {component!r} at {path}; start with `up`"
            )
        return path

    def save(self) -> None:
        """Write `cluster.json` into the run directory, whole or not at all."""
        replace_file(self.run_dir / "cluster.json", json.dumps(asdict(self), indent=2, default=str) + "\n")

    @classmethod
    def load(cls, run_dir: Path) -> Self:
        """Read `cluster.json` of a run directory; raises ClusterNotFoundError with the remedy."""
        path = Path(run_dir).resolve() / "cluster.json"
        try:
            raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ClusterNotFoundError(
                f"no cluster in {path.parent}; start one with `{this_python()} -m localcluster up`"
            ) from None
        known = {field.name for field in fields(cls)}
        if set(raw) != known:
            raise ClusterNotFoundError(
                f"{path} was written by another version (fields {sorted(set(raw) ^ known)}); "
                f"run `{this_python()} -m localcluster down` and `up` again"
            )
        raw["node"] = NodeCapacity(**raw["node"])
        for name in ("run_dir", "cache_dir", "kubeconfig", "model_server_python"):
            raw[name] = Path(raw[name])
        return cls(**raw)
