"""Certificates of one cluster, made with the `openssl` command.

The command comes with every distribution's `ca-certificates`; the standard library cannot sign, and a
cryptography package of our own would be one more dependency for a dozen signatures.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_VALID_DAYS = 365


class PkiError(Exception):
    """A certificate could not be made."""


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


def _openssl(*arguments: str) -> None:
    command = shutil.which("openssl")
    if command is None:
        raise PkiError("no `openssl` on PATH; install the package `openssl`")
    done = subprocess.run([command, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise PkiError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")


def _new_key(path: Path) -> None:
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(path))
    path.chmod(0o600)


def _subject(user: str, groups: Sequence[str]) -> str:
    parts = [f"O={group}" for group in groups] + [f"CN={user}"]
    return "".join("/" + part.replace("\\", "\\\\").replace("/", "\\/") for part in parts)


class Authority:
    """A certificate authority in `directory/name.crt`, created on first use."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory = directory
        self.pair = KeyPair(directory / f"{name}.crt", directory / f"{name}.key")
        if not self.pair.certificate.exists():
            _new_key(self.pair.key)
            _openssl(
                *("req", "-x509", "-new", "-key", str(self.pair.key), "-out", str(self.pair.certificate)),
                *("-subj", f"/CN=local-cluster-{name}", "-days", str(_VALID_DAYS)),
            )

    @property
    def certificate(self) -> Path:
        """The certificate that peers trust."""
        return self.pair.certificate

    def _issue(self, name: str, subject: str, extensions: str) -> KeyPair:
        pair = KeyPair(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        request = self.directory / f"{name}.csr"
        extension_file = self.directory / f"{name}.ext"
        _new_key(pair.key)
        extension_file.write_text(f"basicConstraints=critical,CA:FALSE\n{extensions}\n", encoding="ascii")
        _openssl("req", "-new", "-key", str(pair.key), "-out", str(request), "-subj", subject, "-utf8")
        _openssl(
            *("x509", "-req", "-in", str(request), "-out", str(pair.certificate), "-days", str(_VALID_DAYS)),
            *("-CA", str(self.pair.certificate), "-CAkey", str(self.pair.key), "-CAcreateserial"),
            *("-extfile", str(extension_file)),
        )
        request.unlink()
        extension_file.unlink()
        return pair

    def server(self, name: str, hosts: Sequence[str] = (), client_too: bool = False) -> KeyPair:
        """A serving certificate for loopback and `hosts` (DNS names or `IP:` entries)."""
        names = ["DNS:localhost", "IP:127.0.0.1"]
        names += [host if host.startswith("IP:") else f"DNS:{host}" for host in hosts]
        usage = "serverAuth,clientAuth" if client_too else "serverAuth"
        return self._issue(name, f"/CN={name}", f"subjectAltName={','.join(names)}\nextendedKeyUsage={usage}")

    def client(self, name: str, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """A client certificate: Kubernetes reads the user from CN and the groups from O."""
        return self._issue(name, _subject(user, groups), "extendedKeyUsage=clientAuth")


def signing_key(directory: Path, name: str) -> KeyPair:
    """A bare key pair for service account tokens; `certificate` is the public key."""
    pair = KeyPair(directory / f"{name}.pub", directory / f"{name}.key")
    _new_key(pair.key)
    _openssl("pkey", "-in", str(pair.key), "-pubout", "-out", str(pair.certificate))
    return pair


def write_kubeconfig(path: Path, api_url: str, authority: Path, client: KeyPair, user: str) -> Path:
    """A kubeconfig with everything inside, readable by its owner only."""

    def inline(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode("ascii")

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "clusters": [
            {
                "name": "local",
                "cluster": {"server": api_url, "certificate-authority-data": inline(authority)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": inline(client.certificate),
                    "client-key-data": inline(client.key),
                },
            }
        ],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": user}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def mint_kubeconfig(
    run_dir: Path, api_url: str, name: str, user: str, groups: Sequence[str] = (), path: Path | None = None
) -> Path:
    """A kubeconfig for any user and groups of the running cluster, in `kubeconfigs/<name>.kubeconfig`."""
    authority = Authority(run_dir / "pki", "ca")
    client = authority.client(f"client-{name}", user, groups)
    target = path or run_dir / "kubeconfigs" / f"{name}.kubeconfig"
    return write_kubeconfig(target, api_url, authority.certificate, client, user)
