"""Servers of http, and of https with a certificate authority of the test's own, and the downloader as the program that it is."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from model_downloader.credentials import Credentials

Answer = tuple[int, dict[str, str], bytes]
Respond = Callable[[str, dict[str, str]], Answer]
"""From path and headers of a GET to status, headers and body."""


class Server(NamedTuple):
    """A running server: `credentials` hold its authority."""

    host: str
    credentials: Credentials


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that is its own authority: certificate and key."""
    certificate, key = folder / "ca.crt", folder / "server.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=test"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@contextlib.contextmanager
def https_server(folder: Path, respond: Respond) -> Iterator[Server]:
    """Serve GET (and HEAD) requests over TLS while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    crt, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    with http_server(respond, context) as port:
        yield Server(f"127.0.0.1:{port}", Credentials(folder))


@contextlib.contextmanager
def http_server(respond: Respond, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve GET (and HEAD) requests while the block lasts, over TLS with a context; yield the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = respond(self.path, dict(self.headers))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  (the library's name)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pin(uri: str, *flags: str) -> str:
    """What the program prints as the pinned address of what is there now."""
    command = [sys.executable, "-m", "model_downloader", uri, "--pin", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.strip()


def download(uri: str, to: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a pod would."""
    command = [sys.executable, "-m", "model_downloader", uri, f"--to={to}", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)
