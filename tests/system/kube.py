"""What system tests do to the local cluster, as a user would: kubectl for actions, the API for looking."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from localcluster import established
from localcluster.cluster import Cluster
from serving_io import kinds
from serving_io.kinds import Kind

ROOT = Path(__file__).parents[2]
Manifest = dict[str, Any]
PATIENCE_SECONDS = float(os.environ.get("SERVING_TEST_PATIENCE_SECONDS", "300"))
"""How long a wait may take before a test fails; generous, because machines are shared: no test rests on it."""

POLL_SECONDS = 0.5


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

        self._kubectl = (str(cluster.run_dir / "bin" / "kubectl"), "--kubeconfig", str(cluster.kubeconfig))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def kubectl(
        self, *arguments: str, stdin: Manifest | str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator; raises AssertionError with its words if it fails and `check` is set."""
        text = json.dumps(stdin) if isinstance(stdin, dict) else stdin
        command = [*self._kubectl, *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT)
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done

    def established(self, crd: str) -> None:
        """Wait until a CRD can be used."""
        established.wait(self._kubectl, f"crd/{crd}")

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
        """The events of a kind in a namespace from what there is now on, until `stop` is set.

        Where nothing happens here for long the API server may forget where the watch was, while others write: then
        what there is must be what was told last.
        """
        since: str | None = None
        told: dict[str, str] = {}
        while not stop.is_set():
            parameters = {"watch": "true", "timeoutSeconds": "2"}
            if since is not None:
                parameters |= {"resourceVersion": since, "allowWatchBookmarks": "true"}
            with self._client.stream("GET", kind.path(namespace), params=parameters) as answer:
                for line in answer.iter_lines():
                    event = json.loads(line)
                    if event["type"] == "ERROR" and event["object"]["code"] == httpx.codes.GONE:
                        since = self._nothing_missed(kind, namespace, told)
                        break
                    assert event["type"] != "ERROR", event
                    metadata = event["object"]["metadata"]
                    since = metadata["resourceVersion"]
                    if event["type"] in ("ADDED", "MODIFIED"):
                        told[metadata["uid"]] = since
                    elif event["type"] == "DELETED":
                        told.pop(metadata["uid"], None)
                    yield event

    def _nothing_missed(self, kind: Kind, namespace: str, told: Mapping[str, str]) -> str:
        """The version to watch from now on."""
        answer = self._client.get(kind.path(namespace))
        answer.raise_for_status()
        listing = answer.json()
        live = {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in listing["items"]}
        assert live == told, "the watch was interrupted, and something has changed meanwhile"
        return str(listing["metadata"]["resourceVersion"])

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
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            answer.raise_for_status()  # `until` asks again
        assert answer.is_success or answer.status_code == 404, answer.text

    def delete_services(self, namespace: str) -> bool:
        """Delete a namespace's services; whether there were any."""
        services = self.list(kinds.INFERENCE_SERVICE, namespace)
        for service in services:
            self.delete(kinds.INFERENCE_SERVICE, namespace, service["metadata"]["name"])
        return bool(services)

    def evict(self, namespace: str, name: str) -> bool:
        """Ask for a pod's eviction, as `kubectl drain` does; False if its budget does not allow it now."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        answer = self._client.post(kinds.POD.path(namespace, name, "eviction"), json=eviction)
        assert answer.is_success or answer.status_code in (404, 429), answer.text
        return answer.status_code != httpx.codes.TOO_MANY_REQUESTS

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
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"not within {within:.0f} s: {what}; last seen: {seen!r}")


def condition(status: Mapping[str, Any], name: str) -> Manifest:
    """One condition of a status; empty if absent."""
    return next((found for found in status.get("conditions", []) if found["type"] == name), {})


def holds(status: Mapping[str, Any], name: str) -> bool:
    """Whether a condition is True."""
    return condition(status, name).get("status") == "True"


def localcluster(cluster: Cluster, *arguments: str) -> None:
    """Run a command of the local cluster's command line (halt, resume …)."""
    subprocess.run(
        [sys.executable, "-m", "localcluster", *arguments, "--run-dir", str(cluster.run_dir)],
        check=True,
        cwd=ROOT,
    )
