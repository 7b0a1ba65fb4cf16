"""TLS of a test server that stands for the API server, and the kubeconfig of who asks it."""

from __future__ import annotations

import ssl
from pathlib import Path

from localcluster.pki import Authority, write_kubeconfig


class Tls:
    """Certificates of one authority in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._authority = directory, Authority(directory, "ca")
        pair = self._authority.server("server")
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(pair.certificate, pair.key)

    @property
    def authority(self) -> Path:
        """The certificate that tells who is to be trusted."""
        return self._authority.certificate

    def kubeconfig(self, port: int) -> Path:
        """The file of somebody who trusts the server at a port of 127.0.0.1."""
        return write_kubeconfig(
            self._directory / "config",
            f"https://127.0.0.1:{port}",
            self._authority.certificate,
            self._authority.client("client", "somebody"),
            "somebody",
        )
