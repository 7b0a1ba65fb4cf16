"""Models that the shipped downloader fetches from a real https server before the server of the model starts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.model_downloader.serving import Answer, https_server
from tests.system.conftest import SYSTEM
from tests.system.kube import Kube, Manifest, condition, holds
from tests.system.load import answers
from tests.system.services import first_revision, web_service

MODEL = b"what was learned\n"
SERVES_THE_MODEL = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = pathlib.Path("/mnt/models/model.txt").read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((os.environ["LISTEN_ADDRESS"], 8080), Handler).serve_forever()
"""


def runtime() -> Manifest:
    """A runtime of the namespace's own that serves the file as it is."""
    container = web_service()["spec"]["predictor"]["container"]
    del container["env"]
    return {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": "files"},
        "spec": {
            "supportedModelFormats": [{"name": "text", "autoSelect": True}],
            "containers": [
                {"name": "model", **container, "command": ["python", "-c", SERVES_THE_MODEL]},
            ],
        },
    }


def service(host: str, uri: str, **model: Any) -> Manifest:
    """A service of the model at `uri`."""
    made = web_service(host=host)
    del made["spec"]["predictor"]["container"]
    made["spec"]["predictor"]["model"] = {"modelFormat": {"name": "text"}, "storageUri": uri, **model}
    return made


def downloads(kube: Kube, namespace: str) -> list[Manifest]:
    """How each pod's download has ended, or ended last."""
    states = [
        entry["state"].get("terminated") or entry["lastState"].get("terminated") or {}
        for pod in kube.list(kinds.POD, namespace)
        for entry in pod["status"].get("initContainerStatuses") or ()
    ]
    return [state for state in states if state]


def test_every_pod_serves_what_is_pinned_or_nothing(
    kube: Kube, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    """A store opened by a labelled Secret; when it gives something else, a new pod waits, says why, and the old one serves."""
    host, given = f"{namespace}.example.com", MODEL

    def respond(path: str, headers: dict[str, str]) -> Answer:
        allowed = headers.get("Authorization") == "Bearer of-the-store"
        return (200, {}, given) if allowed else (401, {}, b"")

    with https_server(tmp_path, respond) as server:
        kube.kubectl(
            *(
                "create",
                "-n",
                namespace,
                "secret",
                "generic",
                "store",
                "--from-literal=HTTPS_TOKEN=of-the-store",
            ),
            f"--from-file=ca.crt={tmp_path / 'ca.crt'}",
        )
        kube.kubectl("label", "-n", namespace, "secret", "store", "serving-operator.dev/storage=true")
        kube.kubectl(
            *("create", "-n", namespace, "rolebinding", "serving-operator-storage"),
            *("--clusterrole=serving-operator-storage", f"--serviceaccount={SYSTEM}:serving-operator"),
        )
        kube.apply(namespace, runtime())
        uri = f"https://{server.host}/model.txt#sha256={hashlib.sha256(MODEL).hexdigest()}"
        wanted = service(host, uri, storage={"secretName": "store"})
        first_revision(kube, namespace, wanted)

        assert answers(cluster, host).content == MODEL

        given = b"something else\n"
        wanted["spec"]["predictor"]["minReplicas"] = 2
        kube.apply(namespace, wanted)
        refused = kube.until(
            "the second pod's download is refused",
            lambda: [state for state in downloads(kube, namespace) if state["exitCode"] == 3],
        )

        assert "is not what was pinned" in refused[0]["message"]
        assert answers(cluster, host).content == MODEL

        given = MODEL
        kube.until("both pods are ready", lambda: holds(kube.status(namespace), "Ready"))


def test_the_clouds_metadata_is_no_model(kube: Kube, namespace: str) -> None:
    """A download may not reach what is not public, unless the administrator allows it; Stalled has the downloader's words."""
    kube.apply(namespace, runtime())
    uri = f"https://169.254.169.254/latest/model.txt#sha256={hashlib.sha256(MODEL).hexdigest()}"
    wanted = service(f"{namespace}.example.com", uri)
    wanted["spec"]["rollout"]["progressDeadlineSeconds"] = 10
    kube.apply(namespace, wanted)
    stalled = kube.until(
        "the service is stalled because of it",
        lambda: (said := condition(kube.status(namespace), "Stalled")).get("reason") == "InitFailed" and said,
    )

    assert stalled["status"] == "True"
    assert "169.254.169.254" in stalled["message"]
