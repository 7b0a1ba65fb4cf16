"""What system tests do to the local cluster, as a user would: kubectl for actions, the API for looking."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from loadtests.generator import LoadGenerator, Request
from loadtests.record import Record
from localcluster.cluster import Cluster
from serving_io import kinds
from serving_io.kinds import Kind

ROOT = Path(__file__).parents[2]
Manifest = dict[str, Any]
PATIENCE_SECONDS = float(os.environ.get("SERVING_TEST_PATIENCE_SECONDS", "300"))
"""How long a wait may take before a test fails; generous, because machines are shared: no test rests on it."""


class Kube:
    """The administrator's view of the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        user = config["users"][0]["user"]
        context = ssl.create_default_context(
            cafile=_file(config["clusters"][0]["cluster"], "certificate-authority", cluster)
        )
        context.load_cert_chain(
            _file(user, "client-certificate", cluster), _file(user, "client-key", cluster)
        )
        self._client = httpx.Client(base_url=cluster.api_url, verify=context, timeout=30)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def kubectl(
        self, *arguments: str, stdin: Manifest | str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator; raises AssertionError with its words if it fails and `check` is set."""
        text = json.dumps(stdin) if isinstance(stdin, dict) else stdin
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(self.cluster.kubeconfig), *arguments],
            input=text,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done

    def apply(self, namespace: str, manifest: Manifest) -> None:
        """`kubectl apply` one manifest."""
        self.kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest)

    def label(self, namespace: str, name: str, **labels: str) -> None:
        """Set command labels (promote, abort, retry) on a service."""
        pairs = [f"serving-operator.dev/{key}={value}" for key, value in labels.items()]
        self.kubectl("label", "-n", namespace, "infsvc", name, "--overwrite", *pairs)

    def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """One object, or None."""
        answer = self._client.get(kind.path(namespace, name))
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        found: Manifest = answer.json()
        return found

    def list(self, kind: Kind, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """The objects of a kind."""
        answer = self._client.get(kind.path(namespace), params={"labelSelector": selector})
        answer.raise_for_status()
        items: list[Manifest] = answer.json()["items"]
        return items

    def watch(self, kind: Kind, namespace: str, stop: threading.Event) -> Iterator[Manifest]:
        """The events of a kind in a namespace from what there is now on, until `stop` is set."""
        since: str | None = None
        while not stop.is_set():
            parameters = {"watch": "true", "timeoutSeconds": "2"}
            if since is not None:
                parameters |= {"resourceVersion": since, "allowWatchBookmarks": "true"}
            with self._client.stream("GET", kind.path(namespace), params=parameters) as answer:
                for line in answer.iter_lines():
                    event = json.loads(line)
                    assert event["type"] != "ERROR", event
                    since = event["object"]["metadata"]["resourceVersion"]
                    yield event

    def patch(
        self, kind: Kind, namespace: str | None, name: str, body: Manifest, subresource: str | None = None
    ) -> Manifest:
        """Merge-patch an object, as somebody else than its owner would."""
        answer = self._client.patch(
            kind.path(namespace, name, subresource),
            json=body,
            headers={"Content-Type": "application/merge-patch+json"},
            params={"fieldManager": "somebody"},
        )
        assert answer.is_success, answer.text
        patched: Manifest = answer.json()
        return patched

    def json_patch(self, kind: Kind, namespace: str, name: str, *operations: Manifest) -> httpx.Response:
        """Send a JSON patch as somebody else than the object's owner would; the answer may be a refusal."""
        return self._client.patch(
            kind.path(namespace, name),
            json=operations,
            headers={"Content-Type": "application/json-patch+json"},
            params={"fieldManager": "somebody"},
        )

    def create(self, kind: Kind, namespace: str | None, manifest: Manifest) -> Manifest:
        """Create an object as somebody else than the operator would."""
        answer = self._client.post(kind.path(namespace), json=manifest, params={"fieldManager": "somebody"})
        assert answer.is_success, answer.text
        created: Manifest = answer.json()
        return created

    def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        propagation: str = "Background",
        grace_seconds: int | None = None,
    ) -> None:
        """Delete an object; it may be gone already."""
        options: Manifest = {"propagationPolicy": propagation}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        answer = self._client.request("DELETE", kind.path(namespace, name), json=options)
        assert answer.is_success or answer.status_code == 404, answer.text

    def service(self, namespace: str, name: str = "digits") -> Manifest:
        """The InferenceService; it must exist."""
        found = self.get(kinds.INFERENCE_SERVICE, namespace, name)
        assert found is not None, f"no InferenceService {namespace}/{name}"
        return found

    def status(self, namespace: str, name: str = "digits") -> Manifest:
        """Its status, perhaps empty."""
        found: Manifest = self.service(namespace, name).get("status", {})
        return found

    def until(self, what: str, look: Callable[[], Any], within: float = PATIENCE_SECONDS) -> Any:
        """Look until the answer is truthy; fail with what was awaited and what was seen last."""
        return until(what, look, within)


def _file(entry: Mapping[str, str], key: str, cluster: Cluster) -> str:
    """A credential of a kubeconfig as a file, because TLS contexts load client keys from files only."""
    path = cluster.run_dir / f"administrator-{key}.{os.getpid()}.pem"  # workers run side by side
    path.touch(mode=0o600)
    path.write_bytes(base64.b64decode(entry[f"{key}-data"]))
    return str(path)


def until(what: str, look: Callable[[], Any], within: float = PATIENCE_SECONDS) -> Any:
    """Look until the answer is truthy; fail with what was awaited and what was seen last."""
    end = time.monotonic() + within
    seen: Any = None
    while time.monotonic() < end:
        try:
            seen = look()
        except httpx.TransportError as error:  # the API server may be down: some tests kill it
            seen = error
        except httpx.HTTPStatusError as error:  # it asks for patience while it takes in a changed CRD
            if error.response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                raise
            seen = error
        else:
            if seen:
                return seen
        time.sleep(0.25)
    raise AssertionError(f"not within {within:.0f} s: {what}; last seen: {seen!r}")


def condition(status: Mapping[str, Any], name: str) -> Manifest:
    """One condition of a status; empty if absent."""
    return next((found for found in status.get("conditions", []) if found["type"] == name), {})


def holds(status: Mapping[str, Any], name: str) -> bool:
    """Whether a condition is True."""
    return condition(status, name).get("status") == "True"


class Load:
    """An open-loop load through the gateway, on a thread of its own; every response is counted."""

    def __init__(
        self, cluster: Cluster, host: str, rate: float, path: str = "/", timeout_seconds: float = 15
    ) -> None:
        self._request = Request(
            f"{cluster.gateway_url}{path}", headers={"Host": host}, timeout_seconds=timeout_seconds
        )
        self._rate = rate
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event | None = None
        self._generator: LoadGenerator | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._run(),), daemon=True
        )

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        async with LoadGenerator(self._request) as generator:
            self._generator = generator
            generator.set_rate(self._rate)
            self._ready.set()
            await self._stop.wait()
            await generator.stop()

    def __enter__(self) -> Load:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def set_rate(self, rate: float) -> None:
        """Change the arrivals per second."""
        assert self._generator is not None
        self._loop.call_soon_threadsafe(self._generator.set_rate, rate)

    @property
    def records(self) -> list[Record]:
        """Requests that have ended so far."""
        assert self._generator is not None
        return list(self._generator.records)

    def bad(self) -> list[Record]:
        """Responses other than 2xx, time-outs and resets."""
        return [record for record in self.records if not record.is_success]


@dataclass(frozen=True)
class AuditedWrite:
    """One write as the API server recorded it."""

    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int


class Audit:
    """The audit log from now on."""

    def __init__(self, cluster: Cluster) -> None:
        self._path = cluster.audit_log
        self._from = self._path.stat().st_size if self._path.exists() else 0

    def writes(self, user: str = "") -> list[AuditedWrite]:
        """Writes since this object was made, Leases aside; `user` is part of the user's name."""
        return [write for write in self._all() if user in write.user and write.resource != "leases"]

    def _all(self) -> Iterator[AuditedWrite]:
        with self._path.open("rb") as log:
            log.seek(self._from)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                event = json.loads(line)
                if event.get("stage") != "ResponseComplete" or event["verb"] in ("get", "list", "watch"):
                    continue
                reference = event.get("objectRef", {})
                yield AuditedWrite(
                    user=event["user"]["username"],
                    verb=event["verb"],
                    resource=reference.get("resource", ""),
                    subresource=reference.get("subresource", ""),
                    namespace=reference.get("namespace", ""),
                    name=reference.get("name", ""),
                    code=event.get("responseStatus", {}).get("code", 0),
                )


def localcluster(cluster: Cluster, *arguments: str) -> None:
    """Run a command of the local cluster's command line (halt, resume …)."""
    subprocess.run(
        [sys.executable, "-m", "localcluster", *arguments, "--run-dir", str(cluster.run_dir)],
        check=True,
        cwd=ROOT,
    )


SERVER = """
import http.server, os, socketserver, sys, time
REVISION, WORK, FAIL = os.environ["SERVING_REVISION"], float(os.environ.get("WORK_MS", "5")) / 1000, os.environ.get("FAIL", "")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        end = time.process_time() + WORK
        while time.process_time() < end:
            pass
        body = (REVISION + "\\n").encode()
        self.send_response(500 if FAIL and self.path != "/ready" else 200)
        self.send_header("x-serving-revision", REVISION)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server((os.environ["LISTEN_ADDRESS"], 8080), Handler).serve_forever()
"""


def web_service(
    name: str = "digits", version: str = "1", *, host: str | None = None, **edits: Any
) -> Manifest:
    """A small container that burns CPU for each request and answers with its revision; `version` shapes the pod."""
    from tests.api.manifests import edited

    made: Manifest = {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {
            "predictor": {
                "container": {
                    "image": "docker.io/library/python:3.11-slim",
                    "command": ["python", "-c", SERVER],
                    "env": [{"name": "VERSION", "value": version}],
                    "resources": {
                        "requests": {"cpu": "20m", "memory": "32Mi"},  # many tests share one node
                        "limits": {"cpu": "200m", "memory": "128Mi"},
                    },
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
                },
                "minReplicas": 1,
                "maxReplicas": 4,
                "timeout": 5,
            },
            "objective": {"thresholdMilliseconds": 300},
            "scaling": {"scaleDownHoldSeconds": 30},
            "rollout": {"steps": [{"weight": 20}], "soakSeconds": 2},
            "route": {
                "parentRefs": [{"name": "local", "namespace": "gateway-system"}],
                "hostnames": [host or f"{name}.example.com"],
            },
        },
    }
    return edited(made, {key.replace("__", "."): value for key, value in edits.items()})


REVISION_KINDS = (
    kinds.CONTROLLER_REVISION,
    kinds.SERVICE,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.INFERENCE_AUTOSCALER,
    kinds.DEPLOYMENT,
)
"""Kinds of the children that each revision has, all of one name."""


def children(name: str, *revisions: str) -> list[tuple[Kind, str]]:
    """Kind and name of every child of a service of class Auto with these live revisions."""
    of_revisions = [(kind, f"{name}-{revision}") for revision in revisions for kind in REVISION_KINDS]
    return [(kinds.SERVICE, name), (kinds.HTTP_ROUTE, name), *of_revisions]


def first_revision(kube: Kube, namespace: str, manifest: Manifest) -> str:
    """Apply a new service and wait until its first revision is committed; return the revision."""
    kube.apply(namespace, manifest)
    name = manifest["metadata"]["name"]
    kube.until("the first revision is committed", lambda: holds(kube.status(namespace, name), "UpToDate"))
    committed: str = kube.status(namespace, name)["stable"]["revision"]
    return committed


def canary_at_step(kube: Kube, namespace: str, manifest: Manifest) -> str:
    """Apply a changed predictor and wait until its canary has its weight; return the attempt's id."""
    kube.apply(namespace, manifest)
    name, weight = manifest["metadata"]["name"], manifest["spec"]["rollout"]["steps"][0]["weight"]
    kube.until(
        f"the canary has {weight}%",
        lambda: (
            (canary := kube.status(namespace, name).get("canary", {})).get("weight") == weight
            and canary["id"]
        ),
    )
    attempt: str = kube.status(namespace, name)["canary"]["id"]
    return attempt


def committed(kube: Kube, namespace: str, attempt: str, name: str = "digits") -> Manifest:
    """Wait until an attempt is the stable one and nothing of a canary is left; return the status."""
    kube.until(
        f"{attempt} is committed and the old revision is gone",
        lambda: (
            (status := kube.status(namespace, name)).get("stable", {}).get("id") == attempt
            and not status.get("canary")
            and len(kube.list(kinds.DEPLOYMENT, namespace, f"serving-operator.dev/service={name}")) == 1
        ),
    )
    return kube.status(namespace, name)


def answers(cluster: Cluster, host: str, path: str = "/") -> httpx.Response:
    """One request through the gateway."""
    return httpx.get(f"{cluster.gateway_url}{path}", headers={"Host": host}, timeout=15)


def measured(cluster: Cluster, promql: str) -> list[Manifest]:
    """What Prometheus answers to an instant query: its series with a number."""
    answer = httpx.get(f"{cluster.prometheus_url}/api/v1/query", params={"query": promql})
    answer.raise_for_status()
    series: list[Manifest] = answer.json()["data"]["result"]
    return [found for found in series if found["value"][1] != "NaN"]
