"""What the control plane starts from: certificates, kubeconfigs, empty data directories."""

from __future__ import annotations

import yaml

from localcluster import pki
from localcluster.cluster import Cluster
from localcluster.paths import CONFIG

ADMIN_USER = "kubernetes-admin"
_SERVICE_IP = "10.96.0.1"


def prepare(cluster: Cluster) -> None:
    """Write everything into the empty run directory of a new cluster."""
    directory = cluster.pki_dir
    authority = pki.Authority(directory, "ca")
    hosts = [
        f"kubernetes{suffix}" for suffix in ("", ".default", ".default.svc", ".default.svc.cluster.local")
    ]
    authority.server("kube-apiserver", [*hosts, f"IP:{_SERVICE_IP}"])
    for name in ("kube-controller-manager", "kube-scheduler", "node"):
        authority.server(f"{name}-serving", ["local"])
    authority.client("kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
    etcd_authority = pki.Authority(directory, "etcd-ca")
    etcd_authority.server("etcd", client_too=True)
    etcd_authority.client("etcd-client", "kube-apiserver")
    pki.Authority(directory, "front-proxy-ca").client("front-proxy-client", "front-proxy-client")
    pki.signing_key(directory, "service-account")

    admin = authority.client("client-admin", ADMIN_USER, ("system:masters",))
    pki.write_kubeconfig(cluster.kubeconfig, cluster.api_url, authority.certificate, admin, ADMIN_USER)
    users = yaml.safe_load((CONFIG / "users.yaml").read_text(encoding="utf-8"))
    for name, identity in users.items():
        pki.mint_kubeconfig(cluster.run_dir, cluster.api_url, name, **identity)
    for name in ("etcd", "prometheus"):
        (cluster.run_dir / name).mkdir(mode=0o700)
