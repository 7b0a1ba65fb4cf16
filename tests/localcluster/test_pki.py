"""Certificates that Go and OpenSSL accept, with the names that Kubernetes reads."""

import base64
import json
import ssl
import stat
import subprocess
from pathlib import Path

import pytest

from localcluster import pki


def described(certificate: Path, *fields: str) -> str:
    """What openssl prints of a certificate."""
    command = ["openssl", "x509", "-noout", "-in", str(certificate), *fields]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def verified(authority: Path, certificate: Path, purpose: str) -> bool:
    """Whether openssl accepts the certificate for the purpose."""
    command = ["openssl", "verify", "-purpose", purpose, "-CAfile", str(authority), str(certificate)]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_a_client_certificate_carries_user_and_groups(tmp_path: Path) -> None:
    """Common name and organizations survive colons, slashes and several groups."""
    authority = pki.Authority(tmp_path, "ca")
    user = "system:serviceaccount:serving-system:a/b"
    pair = authority.client("who", user, ("system:masters", "team/one"))
    subject = described(pair.certificate, "-subject", "-nameopt", "multiline,-align")
    assert f"commonName = {user}" in subject
    assert "organizationName = system:masters" in subject
    assert "organizationName = team/one" in subject
    assert verified(authority.certificate, pair.certificate, "sslclient")
    assert not verified(authority.certificate, pair.certificate, "sslserver")


def test_a_server_certificate_serves_loopback_under_its_names(tmp_path: Path) -> None:
    """The handshake succeeds for 127.0.0.1 and a service name, and fails for any other."""
    authority = pki.Authority(tmp_path, "ca")
    pair = authority.server("api", ["kubernetes.default.svc", "IP:10.96.0.1"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair.certificate, pair.key)
    client = ssl.create_default_context(cafile=str(authority.certificate))

    def handshake(name: str) -> None:
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        one = client.wrap_bio(to_client, to_server, server_hostname=name)
        other = server.wrap_bio(to_server, to_client, server_side=True)
        for side in (one, other, one):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue

    for name in ("127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1"):
        handshake(name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake("example.org")


def test_authorities_do_not_vouch_for_each_other(tmp_path: Path) -> None:
    """A user's certificate opens the API server, not etcd."""
    users, etcd = pki.Authority(tmp_path, "ca"), pki.Authority(tmp_path, "etcd-ca")
    pair = users.client("admin", "kubernetes-admin", ("system:masters",))
    assert not verified(etcd.certificate, pair.certificate, "sslclient")
    assert verified(etcd.certificate, etcd.server("etcd", client_too=True).certificate, "sslclient")


def test_a_minted_kubeconfig_is_whole_private_and_from_the_same_authority(tmp_path: Path) -> None:
    """It holds the authority and a client certificate that this authority signed."""
    first = pki.mint_kubeconfig(tmp_path, "https://127.0.0.1:6443", "alice", "alice", ("devs",))
    second = pki.mint_kubeconfig(tmp_path, "https://127.0.0.1:6443", "bob", "bob")
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    contents = [json.loads(path.read_text()) for path in (first, second)]
    authorities = {content["clusters"][0]["cluster"]["certificate-authority-data"] for content in contents}
    assert authorities == {base64.b64encode((tmp_path / "pki" / "ca.crt").read_bytes()).decode()}
    certificate = tmp_path / "alice.crt"
    data = contents[0]["users"][0]["user"]["client-certificate-data"]
    certificate.write_bytes(base64.b64decode(data))
    assert verified(tmp_path / "pki" / "ca.crt", certificate, "sslclient")


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    """Other users of the machine cannot act as administrators."""
    authority = pki.Authority(tmp_path / "pki", "ca")
    authority.client("admin", "admin")
    pki.signing_key(tmp_path / "pki", "service-account")
    modes = {stat.S_IMODE(key.stat().st_mode) for key in (tmp_path / "pki").glob("*.key")}
    assert modes == {0o600}
