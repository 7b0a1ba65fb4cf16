"""What the rest of a cluster does, on the virtual clock: controllers, kubelets, an autoscaler, and the gateway.

Each of them acts at its next look after its own lag; the seed draws the lags. All that is random comes from it.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from serving_api.names import AUTOSCALER, REVISION_LABEL, SYSTEM_NAMESPACE
from serving_io import kinds
from serving_io.kinds import Kind
from tests.campaign import clock
from tests.campaign.api import Api, Observer
from tests.campaign.gateway import Gateway
from tests.campaign.traffic import Traffic
from tests.fakes.kube.ownership import Manager
from tests.fakes.kube.requests import Refused, Target
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Change, Record

LOOK_SECONDS = 0.5
MIN_READY_SECONDS = 1.0
HEARTBEAT_SECONDS = 10.0
COLLECT_SECONDS = 1.0
WAITING = {"unpullable": "ImagePullBackOff", "crashing": "CrashLoopBackOff"}
NEVER_READY = (*WAITING, "slow")
Key = tuple[str, str]


class Surroundings:
    """Everybody else. `demand`: replicas that 100 percent of the demand takes."""

    def __init__(self, api: Api, seed: int) -> None:
        self.api = api
        self.demand = 2
        self.autoscaler_is_alive = True
        self.broken: set[str] = set()
        """Revisions whose pods fail."""
        self.traffic = Traffic(seed, self._image_behind)
        self.start_seconds = (1.0, 3.0)
        """How long a pod takes to become ready, from and to."""
        self._chance = random.Random(f"world {seed}")
        self._seen = -1
        self._due: list[float] = []
        self._ready_at: dict[Key, float] = {}
        self._ready_since: dict[Key, float] = {}
        self._pods_made = 0
        self._garbage_at: float | None = None
        self._beat_at = 0.0
        self.gateway = Gateway(api, self._chance, self._due.append)
        self.views = self.gateway.views
        api.store.watchers.add(Observer(self._changed))  # type: ignore[arg-type]

    async def live(self) -> None:
        """Look, act, and look again, for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Do all that is due."""
        at = asyncio.get_running_loop().time()
        self.traffic.look(at, self.views)
        if self.autoscaler_is_alive and at >= self._beat_at:
            self._beat_at = at + HEARTBEAT_SECONDS
            self._beat()
        if self._garbage_at is not None and at >= self._garbage_at:
            self._garbage_at = None
            with self.api.acting("garbage collector"):
                self.api.store.collect_garbage()
        if self._seen == self.api.store.version and not any(due <= at for due in self._due):
            return
        self._due[:] = [due for due in self._due if due > at]
        self._seen = self.api.store.version
        for record in list(self.api.records(kinds.DEPLOYMENT).values()):
            self._deployment(record.manifest, at)
        for record in list(self.api.records(kinds.SERVICE).values()):
            self._endpoints(record.manifest)
        self.gateway.look(at)
        if self.autoscaler_is_alive:
            for record in list(self.api.records(kinds.INFERENCE_AUTOSCALER).values()):
                self._reserve(record.manifest)

    def wake(self) -> None:
        """Look at everything again although the store has not changed."""
        self._seen = -1

    def ready_pods(self, selector: dict[str, str], namespace: str) -> list[Json]:
        """Pods of a selector that answer."""
        return [pod for pod in self._pods(selector, namespace) if is_ready(pod)]

    def _image_behind(self, namespace: str, name: str) -> str | None:
        service = self.api.get(kinds.SERVICE, name, namespace)
        pods = self.ready_pods(service["spec"]["selector"], namespace) if service else []
        return str(pods[0]["spec"]["containers"][0]["image"]) if pods else None

    def need(self, percent: int) -> int:
        """Replicas for a percentage of the demand."""
        return max(1, -(-self.demand * percent // 100))

    def scale_by_hand(self, name: str, namespace: str, replicas: int) -> None:
        """What `kubectl scale` does."""
        target = Target(self.api.resource(kinds.DEPLOYMENT), namespace, name, "scale")
        with self.api.acting("user"):
            self.api.requests.replace(target, _scale(target, replicas), "kubectl")

    def evict(self, revision: str, namespace: str) -> None:
        """What a drain does to a pod: its kubelet is told to end it, and says why."""
        pod = self._pods({REVISION_LABEL: revision}, namespace)[0]
        told = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        conditions = [*pod["status"]["conditions"], told | {"lastTransitionTime": clock.second()}]
        self.api.put("kubelet", kinds.POD, {**pod, "status": {**pod["status"], "conditions": conditions}})
        self.api.delete("kubelet", kinds.POD, pod["metadata"]["name"], namespace)
        self.wake()

    # Controllers and kubelets

    def _changed(self, change: Change) -> None:
        if change.new is None or (change.old is None and change.new["metadata"].get("ownerReferences")):
            at = asyncio.get_running_loop().time()
            if self._garbage_at is None:
                self._garbage_at = at + COLLECT_SECONDS

    def _pods(self, selector: dict[str, str], namespace: str) -> list[Json]:
        return [
            record.manifest
            for (ns, _), record in self.api.records(kinds.POD).items()
            if ns == namespace
            and selector.items() <= (record.manifest["metadata"].get("labels") or {}).items()
        ]

    def _deployment(self, deployment: Json, at: float) -> None:
        metadata, spec = deployment["metadata"], deployment["spec"]
        namespace = metadata["namespace"]
        owned = [
            pod
            for pod in self._pods(spec["selector"]["matchLabels"], namespace)
            if any(o["uid"] == metadata["uid"] for o in pod["metadata"].get("ownerReferences") or ())
        ]
        for pod in owned[spec["replicas"] :]:
            self.api.delete("controller", kinds.POD, pod["metadata"]["name"], namespace)
        owned = owned[: spec["replicas"]]
        owned += [self._start_pod(deployment, at) for _ in range(spec["replicas"] - len(owned))]
        ready = available = 0
        for pod in owned:
            key = (namespace, pod["metadata"]["name"])
            answers = self._kubelet(pod, key, at)
            ready += answers
            if answers:
                since = self._ready_since.setdefault(key, at)
                available += at >= since + MIN_READY_SECONDS
                if at < since + MIN_READY_SECONDS:
                    self._due.append(since + MIN_READY_SECONDS)
            else:
                self._ready_since.pop(key, None)
        status = {
            "observedGeneration": metadata["generation"],
            "replicas": len(owned),
            "readyReplicas": ready,
            "availableReplicas": available,
        }
        self._write_status(kinds.DEPLOYMENT, deployment, {k: v for k, v in status.items() if v})

    def _start_pod(self, deployment: Json, at: float) -> Json:
        self._pods_made += 1
        metadata, template = deployment["metadata"], deployment["spec"]["template"]
        owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",  # the ReplicaSet in between is left out
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
        }
        name = f"{metadata['name']}-{self._pods_made:04d}"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "uid": f"pod-{self._pods_made:04d}",
                "creationTimestamp": clock.second(),
                "labels": dict(template["metadata"]["labels"]),
                "ownerReferences": [owner],
            },
            "spec": template["spec"],
            "status": pod_status(template["spec"], False, clock.second()),
        }
        key = (metadata["namespace"], name)
        self._ready_at[key] = at + self._chance.uniform(*self.start_seconds)
        self._due.append(self._ready_at[key])
        self.api.put("controller", kinds.POD, pod)
        return pod

    def _kubelet(self, pod: Json, key: Key, at: float) -> bool:
        image = pod["spec"]["containers"][0]["image"]
        broken = pod["metadata"]["labels"].get(REVISION_LABEL) in self.broken
        ready = image not in NEVER_READY and not broken and at >= self._ready_at.get(key, 0.0)
        known = _ready_condition(pod).get("lastTransitionTime")
        since = known if known and is_ready(pod) == ready else clock.second()
        status = pod_status(pod["spec"], ready, since, "crashing" if broken else image)
        if pod["status"] != status:
            self.api.put("kubelet", kinds.POD, {**pod, "status": status})
        return ready

    def _endpoints(self, service: Json) -> None:
        metadata = service["metadata"]
        selector = service["spec"].get("selector")
        pods = self._pods(selector, metadata["namespace"]) if selector else []
        owner = {"apiVersion": "v1", "kind": "Service", "name": metadata["name"], "uid": metadata["uid"]}
        name = f"{metadata['name']}-slice"
        made = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "uid": f"slice-of-{metadata['uid']}",
                "labels": {**(metadata.get("labels") or {}), "kubernetes.io/service-name": metadata["name"]},
                "ownerReferences": [{**owner, "controller": True}],
            },
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": ["10.0.0.1"],
                    "conditions": {"ready": is_ready(pod)},
                    "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"]},
                }
                for pod in pods
            ],
        }
        live = self.api.get(kinds.ENDPOINT_SLICE, name, metadata["namespace"])
        if live is None or (live["endpoints"], _about(live)) != (made["endpoints"], _about(made)):
            self.api.put("controller", kinds.ENDPOINT_SLICE, made)

    # The autoscaler

    def _beat(self) -> None:
        spec = {"holderIdentity": "world", "leaseDurationSeconds": 15, "renewTime": clock.text(clock.now())}
        metadata = {"name": AUTOSCALER, "namespace": SYSTEM_NAMESPACE, "uid": "lease-of-the-autoscaler"}
        lease = {"apiVersion": kinds.LEASE.api_version, "kind": "Lease", "metadata": metadata, "spec": spec}
        self.api.put("autoscaler", kinds.LEASE, lease)

    def _reserve(self, autoscaler: Json) -> None:
        metadata, spec = autoscaler["metadata"], autoscaler["spec"]
        namespace, name = metadata["namespace"], spec["scaleTargetRef"]["name"]
        record = self.api.records(kinds.DEPLOYMENT).get((namespace, name))
        live = record.manifest if record else {}
        ready = int((live.get("status") or {}).get("readyReplicas", 0))
        asked = (spec.get("share") or {}).get("reservePercent", 100)
        need = self.need(asked)
        reserve = {
            "reservePercent": asked,
            "replicas": need,
            "readyReplicas": ready,
            "carriesPercent": min(100, 100 * ready // self.demand),
            "observedGeneration": metadata["generation"],
            "limited": need > spec["maxReplicas"],
        }
        status = {"reserve": reserve, "observedReplicas": live["spec"]["replicas"] if live else 0}
        self._write_status(kinds.INFERENCE_AUTOSCALER, autoscaler, status)
        if record is not None and spec.get("mode", "Auto") == "Auto":
            self._scale(record, spec, need)

    def _scale(self, record: Record, spec: Json, need: int) -> None:
        live = record.manifest["spec"]["replicas"]
        wanted = min(spec["maxReplicas"], max(spec["minReplicas"], need))
        if spec.get("scaleDown") == "Frozen":
            wanted = max(min(live, spec["maxReplicas"]), wanted)
        wanted = min(wanted, max(live, self._room(record.manifest["metadata"], spec)))
        owns = Manager(AUTOSCALER, "Apply", "scale") in record.managers
        if owns and live == wanted:
            return
        metadata = record.manifest["metadata"]
        target = Target(self.api.resource(kinds.DEPLOYMENT), metadata["namespace"], metadata["name"], "scale")
        try:
            with self.api.acting("autoscaler"):
                self.api.requests.apply(target, _scale(target, wanted), AUTOSCALER, True)
        except Refused:
            self.wake()

    def _room(self, metadata: Json, spec: Json) -> int:
        share = spec.get("share") or {}
        if "budgetReplicas" not in share:
            return int(spec["maxReplicas"])
        records = self.api.records(kinds.DEPLOYMENT)
        others = [
            records.get((metadata["namespace"], name)) for name in set(share["of"]) - {metadata["name"]}
        ]
        held = sum(other.manifest["spec"]["replicas"] if other else 1 for other in others)
        return int(share["budgetReplicas"]) - held

    def _write_status(self, kind: Kind, manifest: Json, status: Json) -> None:
        if (manifest.get("status") or {}) != status:
            self.api.put("controller", kind, {**manifest, "status": status})


def _scale(target: Target, replicas: int) -> Json:
    metadata = {"name": target.name, "namespace": target.namespace}
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": metadata,
        "spec": {"replicas": replicas},
    }


def is_ready(pod: Json) -> bool:
    """Whether a pod answers."""
    return bool(_ready_condition(pod)["status"] == "True")


def _ready_condition(pod: Json) -> Json:
    conditions = pod["status"].get("conditions") or ()
    return next((entry for entry in conditions if entry["type"] == "Ready"), {"status": "Unknown"})


def pod_status(spec: Json, ready: bool, since: str, image: str = "") -> Json:
    """What a kubelet says."""
    container: dict[str, Any] = {"name": spec["containers"][0]["name"], "ready": ready, "restartCount": 0}
    if image in WAITING and not ready:
        container |= {"restartCount": 3, "state": {"waiting": {"reason": WAITING[image], "message": "no"}}}
    else:
        container |= {"state": {"running": {}}}
    return {
        "phase": "Running",
        "conditions": [
            {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}
        ],
        "containerStatuses": [container],
    }


def _about(slice_: Json) -> Json:
    metadata = slice_["metadata"]
    return metadata["uid"], metadata["labels"]
