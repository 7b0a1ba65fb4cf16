"""What the rest of a cluster does to our objects: Deployments get pods, routes are acknowledged, reserves answered.

On demand (`make_ready`, `acknowledge`, `answer_reserve`), or by itself within `automatic()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

from serving_io import kinds
from serving_io.kinds import Kind
from tests.fakes.kube.ownership import Manager
from tests.fakes.kube.requests import Refused, Target
from tests.fakes.kube.server import FakeKube
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Change

AUTOSCALER = "serving-autoscaler"
READY_SINCE = timedelta(minutes=1)
"""How long ago pods say that they became ready: past any minReadySeconds."""


class World:
    """The controllers, kubelets, gateway and autoscaler of a fake cluster.

    `need(autoscaler manifest) -> replicas` answers reserves: by default what the bounds ask for.
    `refuses(deployment manifest)`: whose pods never become ready, while the block `automatic` runs.
    """

    def __init__(self, fake: FakeKube) -> None:
        self.fake = fake
        self.need: Callable[[Json], int] = lambda autoscaler: int(autoscaler["spec"].get("minReplicas", 1))
        self.refuses: Callable[[Json], bool] = lambda deployment: False
        self._pods_made = 0

    # On demand

    def make_ready(self, name: str, namespace: str, ready: int | None = None) -> None:
        """Give a Deployment its pods, `ready` of them (all, unless stated) ready, and its Services their endpoints."""
        self.fake.do(self._make_ready, name, namespace, ready)

    def acknowledge(self, name: str, namespace: str, accepted: bool = True) -> None:
        """Let every parent of an HTTPRoute accept (or refuse) its present generation."""
        self.fake.do(self._acknowledge, name, namespace, accepted)

    def answer_reserve(self, name: str, namespace: str, replicas: int | None = None) -> None:
        """Answer an InferenceAutoscaler's reserve with `replicas`, scale its Deployment to it, mode permitting."""
        self.fake.do(self._answer_reserve, name, namespace, replicas)

    def renew_autoscaler_lease(self) -> None:
        """Show that the autoscaler lives."""
        self.fake.do(self._renew_autoscaler_lease)

    # By itself

    @contextlib.asynccontextmanager
    async def automatic(self) -> AsyncIterator[None]:
        """React to every change until the block ends."""
        changes: asyncio.Queue[Change | None] = asyncio.Queue()
        loop = self.fake._loop

        async def react() -> None:
            self._renew_autoscaler_lease()
            self._settle()
            while True:
                await changes.get()
                while not changes.empty():
                    changes.get_nowait()
                self._settle()

        def start() -> asyncio.Task[None]:
            self.fake.store.watchers.add(changes)
            return loop.create_task(react(), name="world")

        task = self.fake.do(start)
        try:
            yield
        finally:

            async def stop() -> None:
                self.fake.store.watchers.discard(changes)
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()

            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(stop(), loop))

    # In the server's loop

    def _settle(self) -> None:
        for kind, step in (
            (kinds.INFERENCE_AUTOSCALER, self._answer_reserve),
            (kinds.DEPLOYMENT, self._make_ready_unless_refused),
            (kinds.HTTP_ROUTE, self._acknowledge),
        ):
            for namespace, name in list(self._records(kind)):
                # an object may go while its neighbour is settled
                with contextlib.suppress(Refused):
                    step(name, namespace)

    def _records(self, kind: Kind) -> dict[tuple[str, str], Json]:
        resources = [resource for resource in self.fake.store.objects if resource.kind == kind]
        return {
            key: record.shown
            for resource in resources
            for key, record in self.fake.store.objects[resource].items()
        }

    def _get(self, kind: Kind, name: str, namespace: str) -> Json:
        return self.fake.requests.get(Target(self.fake.resource(kind), namespace, name))

    def _write(self, kind: Kind, manifest: Json, manager: str, subresource: str = "") -> Json:
        metadata = manifest["metadata"]
        target = Target(self.fake.resource(kind), metadata["namespace"], metadata["name"], subresource)
        manifest = {"apiVersion": kind.api_version, "kind": kind.name, **manifest}
        return self.fake.requests.apply(target, manifest, manager, True)[0]

    def _make_ready_unless_refused(self, name: str, namespace: str) -> None:
        refused = self.refuses(self._get(kinds.DEPLOYMENT, name, namespace))
        self._make_ready(name, namespace, 0 if refused else None)

    def _make_ready(self, name: str, namespace: str, ready: int | None = None) -> None:
        deployment = self._get(kinds.DEPLOYMENT, name, namespace)
        wanted = deployment["spec"]["replicas"]
        ready = wanted if ready is None else min(ready, wanted)
        pods = self._pods_of(deployment)
        for pod in pods[wanted:]:
            self.fake.requests.delete(
                Target(self.fake.resource(kinds.POD), namespace, pod["metadata"]["name"]), {}
            )
        for _ in range(wanted - len(pods)):
            self._make_pod(deployment)
        for index, pod in enumerate(self._pods_of(deployment)):
            self._write(kinds.POD, _pod_status(pod, index < ready), "kubelet", "status")
        status: Json = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": wanted,
            "updatedReplicas": wanted,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": wanted - ready,
            "conditions": _kept_times(
                [_condition("Available", ready == wanted, "MinimumReplicasAvailable")],
                (deployment.get("status") or {}).get("conditions"),
            ),
        }
        status = {key: value for key, value in status.items() if value != 0}
        metadata = {"name": name, "namespace": namespace}
        self._write(
            kinds.DEPLOYMENT, {"metadata": metadata, "status": status}, "kube-controller-manager", "status"
        )
        for service in self._records(kinds.SERVICE).values():
            if service["metadata"]["namespace"] == namespace:
                self._make_endpoints(service)

    def _pods_of(self, deployment: Json) -> list[Json]:
        wanted = deployment["spec"]["selector"]["matchLabels"]
        namespace = deployment["metadata"]["namespace"]
        return [
            pod
            for (ns, _), pod in sorted(self._records(kinds.POD).items())
            if ns == namespace and _matches(wanted, pod)
        ]

    def _make_pod(self, deployment: Json) -> None:
        self._pods_made += 1
        template, metadata = deployment["spec"]["template"], deployment["metadata"]
        owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",  # the ReplicaSet in between is left out
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
        }
        pod = {
            "metadata": {
                "name": f"{metadata['name']}-7d9f-{self._pods_made:05d}",
                "namespace": metadata["namespace"],
                "labels": {**template["metadata"]["labels"], "pod-template-hash": "7d9f"},
                "ownerReferences": [owner],
            },
            "spec": template["spec"],
        }
        self._write(kinds.POD, pod, "kube-controller-manager")

    def _make_endpoints(self, service: Json) -> None:
        metadata = service["metadata"]
        selector = service["spec"].get("selector")
        pods = [
            pod
            for (ns, _), pod in sorted(self._records(kinds.POD).items())
            if ns == metadata["namespace"] and selector and _matches(selector, pod) and "status" in pod
        ]
        endpoints = [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": _is_ready(pod), "serving": _is_ready(pod), "terminating": False},
                "targetRef": {
                    "kind": "Pod",
                    "name": pod["metadata"]["name"],
                    "namespace": metadata["namespace"],
                },
            }
            for pod in pods
            if "podIP" in pod["status"]
        ]
        owner = {"apiVersion": "v1", "kind": "Service", "name": metadata["name"], "uid": metadata["uid"]}
        slice_ = {
            "metadata": {
                "name": f"{metadata['name']}-world",
                "namespace": metadata["namespace"],
                "labels": {"kubernetes.io/service-name": metadata["name"], **(metadata.get("labels") or {})},
                "ownerReferences": [{**owner, "controller": True}],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
        }
        self._write(kinds.ENDPOINT_SLICE, slice_, "kube-controller-manager")

    def _acknowledge(self, name: str, namespace: str, accepted: bool = True) -> None:
        route = self._get(kinds.HTTP_ROUTE, name, namespace)
        generation = route["metadata"]["generation"]
        reason = "Accepted" if accepted else "NoMatchingParent"
        before = (route.get("status") or {}).get("parents") or [{}]
        conditions = [
            {**_condition("Accepted", accepted, reason), "observedGeneration": generation},
            {**_condition("ResolvedRefs", True, "ResolvedRefs"), "observedGeneration": generation},
        ]
        parents = [
            {
                "parentRef": parent,
                "controllerName": "example.org/gateway",
                "conditions": _kept_times(conditions, before[0].get("conditions")),
            }
            for parent in route["spec"].get("parentRefs") or ()
        ]
        status = {"metadata": {"name": name, "namespace": namespace}, "status": {"parents": parents}}
        self._write(kinds.HTTP_ROUTE, status, "gateway", "status")

    def _answer_reserve(self, name: str, namespace: str, replicas: int | None = None) -> None:
        autoscaler = self._get(kinds.INFERENCE_AUTOSCALER, name, namespace)
        spec, generation = autoscaler["spec"], autoscaler["metadata"]["generation"]
        need = min(spec["maxReplicas"], self.need(autoscaler) if replicas is None else replicas)
        target = Target(self.fake.resource(kinds.DEPLOYMENT), namespace, spec["scaleTargetRef"]["name"])
        record = self.fake.store.objects[target.resource].get(target.key)
        ready = 0 if record is None else int((record.manifest.get("status") or {}).get("readyReplicas", 0))
        asked = (spec.get("share") or {}).get("reservePercent", 100)
        carries = asked if ready >= need else math.floor(asked * ready / need)
        reserve = {
            "reservePercent": asked,
            "replicas": need,
            "readyReplicas": ready,
            "carriesPercent": carries,
            "observedGeneration": generation,
            "limited": False,
        }
        answer: Json = {"metadata": {"name": name, "namespace": namespace}, "status": {"reserve": reserve}}
        self._write(kinds.INFERENCE_AUTOSCALER, answer, AUTOSCALER, "status")
        if record is not None and spec.get("mode", "Auto") == "Auto":
            lower = max(spec.get("minReplicas", 1), need)
            live = record.manifest["spec"]["replicas"]
            frozen = spec.get("scaleDown") == "Frozen" and live > lower
            scale: Json = {"metadata": answer["metadata"], "spec": {"replicas": live if frozen else lower}}
            if (
                Manager(AUTOSCALER, "Apply", "scale") not in record.managers
                or live != scale["spec"]["replicas"]
            ):
                self.fake.requests.apply(
                    Target(target.resource, namespace, target.name, "scale"),
                    {**scale, "metadata": {"name": target.name}},
                    AUTOSCALER,
                    True,
                )

    def _renew_autoscaler_lease(self) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = {"holderIdentity": "world", "leaseDurationSeconds": 15, "renewTime": now, "acquireTime": now}
        metadata = {"name": AUTOSCALER, "namespace": "serving-system"}
        self._write(kinds.LEASE, {"metadata": metadata, "spec": spec}, AUTOSCALER)


def _matches(selector: Json, pod: Json) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _pod_status(pod: Json, ready: bool) -> Json:
    number = int(pod["metadata"]["name"].rpartition("-")[2])
    containers = [
        {
            "name": container["name"],
            "ready": ready,
            "started": ready,
            "restartCount": 0,
            "state": {"running": {"startedAt": _long_ago()}},
        }
        for container in pod["spec"]["containers"]
    ]
    conditions = [
        _condition(kind, ready or kind == "PodScheduled", "")
        for kind in ("PodScheduled", "ContainersReady", "Ready")
    ]
    conditions = _kept_times(conditions, (pod.get("status") or {}).get("conditions"))
    status = {
        "phase": "Running",
        "podIP": f"10.244.{number // 250}.{number % 250 + 1}",
        "startTime": (pod.get("status") or {}).get("startTime", _long_ago()),
        "conditions": conditions,
        "containerStatuses": [{**c, "state": _kept_state(pod, c["name"]) or c["state"]} for c in containers],
    }
    return {"metadata": {key: pod["metadata"][key] for key in ("name", "namespace")}, "status": status}


def _kept_state(pod: Json, container: str) -> Json:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status["name"] == container:
            return status["state"]
    return None


def _long_ago() -> str:
    return (datetime.now(UTC) - READY_SINCE).isoformat(timespec="seconds").replace("+00:00", "Z")


def _condition(type_: str, holds: bool, reason: str) -> Json:
    return {
        "type": type_,
        "status": "True" if holds else "False",
        "reason": reason or type_,
        "message": "",
        "lastTransitionTime": _long_ago(),
    }


def _kept_times(conditions: list[Json], before: Json) -> list[Json]:
    """Conditions whose time is that of their last transition."""
    times = {(c["type"], c["status"]): c["lastTransitionTime"] for c in before or ()}
    return [
        {**c, "lastTransitionTime": times.get((c["type"], c["status"]), c["lastTransitionTime"])}
        for c in conditions
    ]
