"""An admission webhook on loopback: what happens at the API server between a writer's decision and its write."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcluster.pki import Authority
from serving_io.kinds import Kind
from tests.system.kube import Kube

VALIDATING_WEBHOOK = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
Request = dict[str, Any]


@contextmanager
def intercepted(
    kube: Kube,
    namespace: str,
    directory: Path,
    operations: Sequence[str],
    act: Callable[[Request], None],
) -> Iterator[None]:
    """Call `act` with every admission request of these operations in the namespace; then let the request pass."""
    authority = Authority(directory, "webhook-ca")
    pair = authority.server("webhook")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)

    class Webhook(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            act(review["request"])
            answer = {
                "apiVersion": review["apiVersion"],
                "kind": "AdmissionReview",
                "response": {"uid": review["request"]["uid"], "allowed": True},
            }
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """The API server's log has it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    rule = {"operations": list(operations), "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    webhook = {
        "name": "between.example.com",
        "clientConfig": {
            "url": f"https://127.0.0.1:{server.server_port}/",
            "caBundle": base64.b64encode(authority.certificate.read_bytes()).decode(),
        },
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "timeoutSeconds": 10,
    }
    manifest: dict[str, Any] = {
        "apiVersion": VALIDATING_WEBHOOK.api_version,
        "kind": VALIDATING_WEBHOOK.name,
        "metadata": {"name": f"between-{namespace}"},
        "webhooks": [webhook],
    }
    kube.create(VALIDATING_WEBHOOK, None, manifest)
    try:
        yield
    finally:
        kube.delete(VALIDATING_WEBHOOK, None, manifest["metadata"]["name"])
        server.shutdown()
        thread.join()
        server.server_close()
