"""etcd and the three control-plane programs: their certificates, configuration files and command lines."""

from __future__ import annotations

import json
from pathlib import Path

from localcluster import pki
from localcluster.cluster import Cluster
from localcluster.component import Component, Ready

SERVICE_CIDR = "10.96.0.0/16"
SERVICE_IP = "10.96.0.1"
ADMIN_USER = "kubernetes-admin"

COMPONENT_USERS = {
    "kube-controller-manager": ("system:kube-controller-manager", ()),
    "kube-scheduler": ("system:kube-scheduler", ()),
    "prometheus": ("local-cluster:prometheus", ()),
    # Stand-ins for a kubelet, a gateway controller and a GPU exporter: they get what they ask for.
    "node": ("local-cluster:node", ("system:masters",)),
    "gateway": ("local-cluster:gateway", ("system:masters",)),
    "dcgm": ("local-cluster:dcgm", ("system:masters",)),
}
"""User and groups of each component's kubeconfig; the audit log names these users."""

_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        # Reviews are asked, not written.
        {
            "level": "None",
            "resources": [{"group": "authorization.k8s.io"}, {"group": "authentication.k8s.io"}],
        },
        # The written content tells which fields a writer sent.
        {
            "level": "Request",
            "resources": [
                {"group": "serving-operator.dev"},
                {"group": "gateway.networking.k8s.io"},
                {"group": "apps"},
            ],
        },
        {"level": "Metadata"},
    ],
}


def prepare(cluster: Cluster) -> None:
    """Make certificates, kubeconfigs, the audit policy and empty data directories."""
    directory = cluster.pki_dir
    authority = pki.Authority(directory, "ca")
    hosts = [
        f"kubernetes{suffix}" for suffix in ("", ".default", ".default.svc", ".default.svc.cluster.local")
    ]
    authority.server("kube-apiserver", [*hosts, f"IP:{SERVICE_IP}"])
    for name in ("kube-controller-manager", "kube-scheduler"):
        authority.server(f"{name}-serving")
    authority.server("node-serving", ["local"])
    authority.client("kube-apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
    etcd_authority = pki.Authority(directory, "etcd-ca")
    etcd_authority.server("etcd", client_too=True)
    etcd_authority.client("etcd-client", "kube-apiserver")
    pki.Authority(directory, "front-proxy-ca").client("front-proxy-client", "front-proxy-client")
    pki.signing_key(directory, "service-account")

    admin = authority.client("client-admin", ADMIN_USER, ("system:masters",))
    pki.write_kubeconfig(cluster.kubeconfig, cluster.api_url, authority.certificate, admin, ADMIN_USER)
    for name, (user, groups) in COMPONENT_USERS.items():
        pki.mint_kubeconfig(cluster.run_dir, cluster.api_url, name, user, groups)
    (cluster.run_dir / "audit-policy.json").write_text(json.dumps(_AUDIT_POLICY, indent=1), encoding="utf-8")
    for name in ("etcd", "prometheus"):
        (cluster.run_dir / name).mkdir(mode=0o700)


def components(cluster: Cluster, programs: dict[str, Path]) -> list[Component]:
    """The four control-plane components; `programs` maps their names to executables."""
    return [
        _etcd(cluster, programs["etcd"]),
        _api_server(cluster, programs["kube-apiserver"]),
        _controller_manager(cluster, programs["kube-controller-manager"]),
        _scheduler(cluster, programs["kube-scheduler"]),
    ]


def _etcd(cluster: Cluster, program: Path) -> Component:
    keys = cluster.pki_dir
    client_url = f"https://127.0.0.1:{cluster.etcd_port}"
    peer_url = f"https://127.0.0.1:{cluster.etcd_peer_port}"
    argv = [
        str(program),
        "--name=local",
        f"--data-dir={cluster.run_dir / 'etcd'}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=local={peer_url}",
        "--unsafe-no-fsync",  # a power cut may cost a throw-away cluster; a killed process does not
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=10m",
        "--log-level=warn",
    ]
    for prefix in ("", "peer-"):
        argv += [
            f"--{prefix}cert-file={keys / 'etcd.crt'}",
            f"--{prefix}key-file={keys / 'etcd.key'}",
            f"--{prefix}trusted-ca-file={keys / 'etcd-ca.crt'}",
            f"--{prefix}client-cert-auth",
        ]
    ready = Ready(
        f"{client_url}/health", keys / "etcd-ca.crt", keys / "etcd-client.crt", keys / "etcd-client.key"
    )
    return Component("etcd", tuple(argv), ready)


def _api_server(cluster: Cluster, program: Path) -> Component:
    keys = cluster.pki_dir
    argv = (
        str(program),
        "--bind-address=127.0.0.1",
        f"--secure-port={cluster.api_port}",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # with any other type a loopback advertise address is refused
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--tls-cert-file={keys / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={keys / 'kube-apiserver.key'}",
        f"--client-ca-file={keys / 'ca.crt'}",
        f"--etcd-servers=https://127.0.0.1:{cluster.etcd_port}",
        f"--etcd-cafile={keys / 'etcd-ca.crt'}",
        f"--etcd-certfile={keys / 'etcd-client.crt'}",
        f"--etcd-keyfile={keys / 'etcd-client.key'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-signing-key-file={keys / 'service-account.key'}",
        f"--service-account-key-file={keys / 'service-account.pub'}",
        f"--kubelet-client-certificate={keys / 'kube-apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={keys / 'kube-apiserver-kubelet-client.key'}",
        f"--kubelet-certificate-authority={keys / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP,Hostname",
        f"--requestheader-client-ca-file={keys / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={keys / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={keys / 'front-proxy-client.key'}",
        f"--audit-policy-file={cluster.run_dir / 'audit-policy.json'}",
        f"--audit-log-path={cluster.audit_log}",
        "--audit-log-maxsize=1024",
        "--profiling=false",
    )
    ready = Ready(f"{cluster.api_url}/readyz", keys / "ca.crt")
    return Component("kube-apiserver", argv, ready, after=("etcd",), stop_seconds=15.0)


def _client_arguments(cluster: Cluster, name: str, port: int) -> list[str]:
    kubeconfig = cluster.kubeconfig_of(name)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={cluster.pki_dir / f'{name}-serving.crt'}",
        f"--tls-private-key-file={cluster.pki_dir / f'{name}-serving.key'}",
        "--leader-elect=false",
        "--profiling=false",
    ]


def _controller_manager(cluster: Cluster, program: Path) -> Component:
    keys, name = cluster.pki_dir, "kube-controller-manager"
    argv = [
        str(program),
        *_client_arguments(cluster, name, cluster.controller_manager_port),
        "--use-service-account-credentials=true",
        f"--root-ca-file={keys / 'ca.crt'}",
        f"--service-account-private-key-file={keys / 'service-account.key'}",
        f"--cluster-signing-cert-file={keys / 'ca.crt'}",
        f"--cluster-signing-key-file={keys / 'ca.key'}",
        "--node-monitor-period=1s",
        "--node-monitor-grace-period=12s",
        "--horizontal-pod-autoscaler-sync-period=5s",
    ]
    ready = Ready(f"https://127.0.0.1:{cluster.controller_manager_port}/healthz", keys / "ca.crt")
    return Component(name, tuple(argv), ready, after=("kube-apiserver",))


def _scheduler(cluster: Cluster, program: Path) -> Component:
    name = "kube-scheduler"
    argv = (str(program), *_client_arguments(cluster, name, cluster.scheduler_port))
    ready = Ready(f"https://127.0.0.1:{cluster.scheduler_port}/healthz", cluster.pki_dir / "ca.crt")
    return Component(name, argv, ready, after=("kube-apiserver",))
