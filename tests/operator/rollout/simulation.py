"""A small cluster in memory: the API server's part, and a kubelet, a gateway and an autoscaler that act when told to.

Every write is checked against the invariants of a rollout at the moment at which it takes effect.
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from serving_api.names import (
    ABORT_LABEL,
    AUTOSCALER,
    AUTOSCALER_KIND,
    OPERATOR,
    PASSING_ANNOTATION,
    PROMOTE_LABEL,
    RETRY_LABEL,
    REVISION_LABEL,
    ServiceKey,
)
from serving_api.revision import revision_of
from serving_api.service import InferenceService
from serving_operator.children.route import weights
from serving_operator.decide import decide
from serving_operator.judge.verdict import judge, limits_of
from serving_operator.judge.windows import Evidence, Missing, Window
from serving_operator.ownership import controller_of
from serving_operator.rollout.state import moment_of, text_of
from serving_operator.routes import lack, refusal, with_defaults
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.world import EventNote, Manifest, ObjectId, Plan, SecretState, Settings, World, Write

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ServiceKey("demo", "digits")
SETTINGS = Settings(propagation_delay_seconds=2, stable_broken_seconds=30)
UNNOTICED_SECONDS = 90
"""For how long a node may be gone before anything is said of its pods."""
NEVER_READY = ("broken", "unpullable", "unschedulable", "crashing")


def inference_service(image: str = "a", **spec: Any) -> Manifest:
    """Return a stored service whose revision follows from `image`; pods of some images never become ready."""
    made: Manifest = {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": KEY.name, "namespace": KEY.namespace, "uid": "service-1", "generation": 1},
        "spec": {
            "predictor": {"container": {"image": image}, "minReplicas": 1, "maxReplicas": 8, "timeout": 5},
            "objective": {"indicator": "RequestLatency", "thresholdMilliseconds": 300, "percent": 99},
            "scaling": {"class": "Auto"},
            "rollout": {
                "steps": [{"weight": 20}],
                "progressDeadlineSeconds": 120,
                "capacityDeadlineSeconds": 240,
                "soakSeconds": 10,
            },
            "route": {
                "parentRefs": [{"name": "local", "namespace": "gateway"}],
                "hostnames": ["digits.test"],
            },
        },
    }
    made["spec"] |= spec
    return made


def unrouted(image: str = "a", **spec: Any) -> Manifest:
    """Return a service that asks for no route."""
    made = inference_service(image, **spec)
    del made["spec"]["route"]
    made["spec"]["rollout"]["steps"] = [{"weight": 10}]
    return made


GOOD = Window(100, 0, 400, 1)
"""A window of a canary that meets its objective."""
BAD = Window(100, 50, 400, 1)
"""A window of a canary that is worse than stable."""
QUIET = Window(0, 0, 2, 0)
"""A window that says nothing."""
SOURCE_AWAY = Missing("PrometheusUnreachable", "Prometheus does not answer; see its pods.")


def judged(image: str = "a", weights: tuple[int, ...] = (10, 30, 60), **rollout: Any) -> Manifest:
    """Return a service whose rollouts are judged step by step and promote themselves."""
    made = inference_service(image)
    made["spec"]["rollout"] |= {
        "steps": [{"weight": weight} for weight in weights],
        "promotion": "Automatic",
        "analysis": {"windowSeconds": 10, "stepDeadlineSeconds": 60},
    }
    made["spec"]["rollout"] |= rollout
    return made


class Crash(Exception):  # noqa: N818
    """The operator is killed between two of its writes."""


class Simulation:
    """The cluster; `now` moves only when told to."""

    def __init__(
        self, service: Manifest | None = None, *, demand: int = 3, routes_served: bool = True
    ) -> None:
        self.service = service or inference_service()
        self.settings = SETTINGS
        self.objects: dict[ObjectId, Manifest] = {}
        self.pods: dict[str, Manifest] = {}
        self.now = START
        self.demand = demand
        self.load_seconds = 0.0
        """Seconds that the pods of image `loading` take until they are ready."""
        self.min_ready_seconds = 0.0
        """Seconds for which a pod must be ready until its Deployment counts it."""
        self.blind_windows = 0
        """Windows of the step in which nothing was scraped."""
        self.arrivals_per_minute: int | None = None
        """What the autoscaler says of each revision's arrivals, if anything."""
        self.routes_served = routes_served
        self.runtimes = Catalogue()
        self.storage_secret: SecretState | None = None
        self.renewed: datetime | None = START
        self.autoscaler_alive = True
        self.gateway_answers = True
        self.baseline = ("", 0)
        self.robbed = False
        """Whether somebody has deleted a live Deployment: while it is away nobody knows what it will have again."""
        self.stable_is_kept = False
        """Whether the autoscaler sees a reason against removing replicas."""
        self.since: dict[str, datetime] = {}
        self.last_replicas: dict[str, int] = {}
        self.last_revisions: dict[str, Manifest] = {}
        self.disrupted_pods: list[Manifest] = []
        self.quotas: tuple[Manifest, ...] = ()
        self.refused: dict[ObjectId, str] = {}
        self.writes: list[Write] = []
        self.events: list[EventNote] = []
        self.status_writes = 0
        self.given_labels: set[tuple[str, str]] = set()
        self.history: list[tuple[str, dict[str, int]]] = []
        self.peak: dict[str, int] = {}
        self.aborted: set[str] = set()
        self.traffic: Window = GOOD
        self.source_missing: Missing | None = None
        self.passed: set[tuple[str, int]] = set()
        self.held_slices: tuple[Manifest, ...] = ()
        """EndpointSlices that follow no more, if any."""
        self._lacking: list[datetime] = []
        self._counted: dict[tuple[str, str], list[Window]] = {}
        self._version = 100
        self._uid = 0

    # What the API server does

    @property
    def status(self) -> Manifest:
        """Status of the service."""
        return dict(self.service.get("status") or {})

    @property
    def route(self) -> Manifest | None:
        """The route, if there is one."""
        return self.objects.get(ObjectId("HTTPRoute", KEY.name))

    def condition(self, kind: str) -> Manifest | None:
        """Return a condition of the service."""
        return next((entry for entry in self.status.get("conditions") or () if entry["type"] == kind), None)

    def of_kind(self, kind: str) -> dict[str, Manifest]:
        """Return the objects of a kind by name."""
        return {name: found for (of, name), found in self.objects.items() if of == kind}

    def world(self) -> World:
        """Return what the operator sees, with its own facts about it."""
        uid = self.service["metadata"]["uid"]
        ours = {
            key: found
            for key, found in self.objects.items()
            if (controller_of(found) or {}).get("uid") == uid
        }
        return World(
            key=KEY,
            service=self.service,
            objects=ours,
            pods=tuple(self.pods.values()),
            endpoint_slices=tuple(self.held_slices or self.slices()),
            quotas=self.quotas,
            strangers={key: found for key, found in self.objects.items() if key not in ours},
            routes_served=self.routes_served,
            runtimes=self.runtimes,
            storage_secret=self.storage_secret,
            autoscaler_renewed=self.renewed,
            since=self.since,
            last_replicas=dict(self.last_replicas),
            last_revisions=dict(self.last_revisions),
            disrupted_pods=tuple(self.disrupted_pods),
            refused=dict(self.refused),
            evidence=self._evidence(),
        )

    def _evidence(self) -> Evidence | None:
        """Count what the traffic of the step was like, window by window; what was counted stays so after a restart."""
        canary = self.status.get("canary") or {}
        rollout = self._rollout_of(canary["revision"]) if canary else {}
        started = canary.get("stepStartedAt")
        if not started or "analysis" not in rollout:
            return None
        windows = self._counted.setdefault((canary["id"], started), [])
        begins, length = moment_of(started), rollout["analysis"].get("windowSeconds", 60)
        while begins + timedelta(seconds=length) * (len(windows) + 1) <= self.now:
            windows.append(self.traffic)
        self._note_lack()
        fair = []
        for index, window in enumerate(windows):
            since = begins + timedelta(seconds=length * index - 5)
            until = since + timedelta(seconds=length + 10)
            if not any(since < moment < until for moment in self._lacking):
                fair.append(window)
        if self.source_missing is None and judge(fair, limits_of(99, None)).verdict == "Good":
            self.passed.add((canary["id"], canary["weight"]))
        return Evidence(
            canary["id"], begins, "runtime", tuple(windows), self.source_missing, self.blind_windows
        )

    def _note_lack(self) -> None:
        """Remember that the canary has too few replicas now, or one is being taken, whether the operator looks or not."""
        canary = self.status.get("canary")
        if not canary:
            return
        lacks = self.ready(canary["revision"]) < -(-self.demand * canary.get("weight", 0) // 100)
        if lacks or any(
            entry["type"] == "DisruptionTarget"
            for pod in self.pods.values()
            if pod["metadata"]["labels"][REVISION_LABEL] == canary["revision"]
            for entry in pod["status"]["conditions"]
        ):
            self._lacking.append(self.now)

    def _rollout_of(self, revision: str) -> Manifest:
        """Return the rollout that was recorded when the attempt at a revision began."""
        record = self.objects.get(ObjectId("ControllerRevision", f"{KEY.name}-{revision}"))
        annotations = (record or {"metadata": {}})["metadata"].get("annotations") or {}
        attempt = json.loads(annotations.get("serving-operator.dev/attempt", "{}"))
        return dict(attempt.get("rollout") or self.service["spec"]["rollout"])

    def decide(self) -> Plan:
        """Ask the operator what it would do."""
        plan = decide(self.world(), self.settings, self.now)
        self.since = plan.since
        return plan

    def reconcile(self, *, crash_after: int | None = None) -> int:
        """Let the operator look once and carry out its plan; returns the writes that changed something."""
        plan = self.decide()
        changed = 0
        for index, write in enumerate(plan.writes):
            if crash_after == index:
                self.restart()
                raise Crash
            self._write(write)
            changed += 1
        if crash_after == len(plan.writes):
            self.restart()
            raise Crash
        if plan.status is not None and plan.status != self.service.get("status"):
            self._write_status(plan.status)
            changed += 1
        self.events += plan.events
        return changed

    def restart(self) -> None:
        """Forget what only the operator's memory holds."""
        self.since, self.last_replicas, self.last_revisions, self.disrupted_pods = {}, {}, {}, []

    def _write(self, write: Write) -> None:
        manifest = write.manifest
        key = ObjectId(manifest["kind"], manifest["metadata"]["name"])
        live = self.objects.get(key)
        self.writes.append(write)
        if write.verb == "create":
            assert live is None, f"S8: {key} is created over another"
        else:
            assert live is not None, f"{key} is not there"
            assert write.uid == live["metadata"]["uid"], f"S8: {write.verb} of {key} without its uid"
            owner = controller_of(live)
            assert owner is None or owner["uid"] == self.service["metadata"]["uid"], f"S8: {key} is foreign"
            if write.resource_version is not None:
                assert write.resource_version == live["metadata"]["resourceVersion"]
        if key.kind == "HTTPRoute" and write.verb != "delete":
            self._check_route(manifest)
        if key == ("Service", KEY.name):
            self._check_selector(live, manifest)
        if key.kind == AUTOSCALER_KIND and write.verb != "delete":
            self._check_passing(manifest, self.status.get("stable") or {})
        if write.verb == "delete":
            self._check_deletion(key)
            self.remove(key)
            self.last_replicas.pop(key.name, None)
        else:
            self._put(key, manifest, live)
        self._check_bounds()

    def _put(self, key: ObjectId, manifest: Manifest, live: Manifest | None) -> None:
        made = copy.deepcopy(manifest)
        metadata, spec = made["metadata"], made.get("spec")
        known = (live or {}).get("metadata") or {}
        if key.kind == "ControllerRevision" and live is not None:
            assert live["data"] == made["data"], f"{key}: data is immutable"
        if key.kind == "Deployment":
            assert spec is not None
            stated = "replicas" in spec
            owned_by_autoscaler = any(
                entry["manager"] == AUTOSCALER for entry in known.get("managedFields") or ()
            )
            if not stated:
                spec["replicas"] = live["spec"]["replicas"] if live and owned_by_autoscaler else 1
                if live is not None:
                    assert spec["replicas"] == live["spec"]["replicas"], (
                        "S9: leaving replicas out changed them"
                    )
            metadata["managedFields"] = [
                entry for entry in known.get("managedFields") or () if entry["manager"] != OPERATOR
            ]
            if stated and live is not None and live["spec"]["replicas"] != spec["replicas"]:
                metadata["managedFields"] = []
            if live is not None:
                assert live["spec"]["template"] == spec["template"] or live.get("edited"), (
                    "S7: template changed"
                )
        operation = "Update" if live is None else "Apply"  # as a creation is noted, which is no apply
        owned = {"manager": OPERATOR, "operation": operation, "fieldsV1": _fields_of(manifest)}
        metadata["managedFields"] = [*metadata.get("managedFields", ()), owned]
        self._version += 1
        self._uid += 1
        changed = live is None or live.get("spec") != spec
        metadata |= {
            "uid": known.get("uid") or f"uid-{self._uid}",
            "resourceVersion": str(self._version),
            "generation": int(known.get("generation", 0)) + (1 if changed else 0),
        }
        if live is not None and "status" in live:
            made["status"] = live["status"]
        self.objects[key] = made
        if key.kind == "ControllerRevision":
            self.last_revisions.pop(key.name, None)
        if key.kind == "Deployment":
            self.last_replicas.pop(key.name, None)

    def _write_status(self, status: Manifest) -> None:
        self.status_writes += 1
        before = self.status
        self._check_status(before, status)
        self.service["status"] = json.loads(json.dumps(status))

    def remove(self, key: ObjectId) -> None:
        """Delete an object; the operator remembers what it last saw of it, unless it has deleted it itself."""
        gone = self.objects.pop(key)
        live = [(self.status.get(role) or {}).get("revision") for role in ("stable", "canary")]
        self.robbed |= key.kind == "Deployment" and key.name.removeprefix(f"{KEY.name}-") in live
        if key.kind == "Deployment":
            self.last_replicas[key.name] = gone["spec"]["replicas"]
            self.pods = {
                name: pod for name, pod in self.pods.items() if not name.startswith(f"{key.name}-pod")
            }
        if key.kind == "ControllerRevision":
            self.last_revisions[key.name] = gone

    def edit(self, key: ObjectId, **fields: Any) -> None:
        """Edit an object's spec as a stranger would."""
        live = self.objects[key]
        for name, value in fields.items():
            live["spec"][name] = value
        self._version += 1
        live["edited"] = True
        live["metadata"]["resourceVersion"] = str(self._version)
        live["metadata"]["generation"] += 1

    @property
    def routed(self) -> bool:
        """Whether a route is to carry the traffic: one that is asked for, and there already or complete and allowed."""
        asked = self.service["spec"].get("route")
        if not self.routes_served or asked is None:
            return False
        complete = with_defaults(asked, self.service["metadata"], self.settings.route)
        refused = lack(complete) or refusal(complete, KEY.namespace, self.settings.route)
        return self.route is not None or refused is None

    @property
    def selected(self) -> str | None:
        """The revision that the stable Service selects."""
        service = self.objects.get(ObjectId("Service", KEY.name))
        return service["spec"]["selector"][REVISION_LABEL] if service else None

    def serve_routes(self, served: bool) -> None:
        """Install the Gateway API, or remove it with all routes; the operator's process is replaced for it."""
        self.routes_served = served
        if not served:
            self.objects.pop(ObjectId("HTTPRoute", KEY.name), None)
        self.restart()

    # What the others do

    def kubelet(self) -> None:
        """Start and stop pods, and let those of the last time become ready."""
        for name, deployment in self.of_kind("Deployment").items():
            image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
            mine = sorted(pod for pod in self.pods if pod.startswith(f"{name}-pod"))
            for pod in mine:
                if image == "loading":
                    self.pods[pod]["status"] = self._loading(self.pods[pod], deployment)
                elif image not in NEVER_READY and not self.pods[pod].get("killed"):
                    self._say(self.pods[pod], ready=True)
                elif image in NEVER_READY:
                    self._say(self.pods[pod], ready=False, image=image)
            for index in range(len(mine), deployment["spec"]["replicas"]):
                self.pods[f"{name}-pod{index}"] = made = {
                    "metadata": {
                        "name": f"{name}-pod{index}",
                        "namespace": KEY.namespace,
                        "labels": deployment["metadata"]["labels"],
                        "creationTimestamp": text_of(self.now),
                    },
                    "started": self.now,
                }
                self._say(made, ready=False, image=image)
            for pod in mine[deployment["spec"]["replicas"] :]:
                del self.pods[pod]
            self._count(name)

    def _say(self, pod: Manifest, *, ready: bool, image: str = "") -> None:
        """Let the kubelet say of a pod what it says, and since when it is ready or not."""
        said, was = _pod_status(ready=ready, image=image), (pod.get("status") or {}).get("conditions")
        since = was[0].get("lastTransitionTime") if was and _is_ready(pod) == ready else None
        said["conditions"][0]["lastTransitionTime"] = since or text_of(self.now)
        if "ended" in pod:
            said.setdefault("containerStatuses", [{}])[0]["lastState"] = {"terminated": pod["ended"]}
        pod["status"] = said

    def _loading(self, pod: Manifest, deployment: Manifest) -> Manifest:
        """A container that is ready after `load_seconds`, or is restarted at the end of its startup probe."""
        started, age = pod["started"], (self.now - pod["started"]).total_seconds()
        made = _pod_status(ready=age >= self.load_seconds)
        since = started if age < self.load_seconds else started + timedelta(seconds=self.load_seconds)
        made["conditions"][0]["lastTransitionTime"] = text_of(since)
        container: Manifest = {"name": "model", "restartCount": 0, "ready": age >= self.load_seconds}
        container["state"] = {"running": {"startedAt": text_of(started)}}
        probe = deployment["spec"]["template"]["spec"]["containers"][0].get("startupProbe")
        limit = probe["periodSeconds"] * probe["failureThreshold"] if probe else float("inf")
        if limit <= min(age, self.load_seconds):
            ended = started + timedelta(seconds=limit)
            last = {"startedAt": text_of(started), "finishedAt": text_of(ended), "exitCode": 137}
            container |= {"restartCount": 1, "lastState": {"terminated": last}}
        made["containerStatuses"] = [container]
        return made

    def _count(self, name: str) -> None:
        mine = [pod for pod in self.pods if pod.startswith(f"{name}-pod")]
        ready = [self.pods[pod]["status"]["conditions"][0] for pod in mine if _is_ready(self.pods[pod])]
        counts = text_of(self.now - timedelta(seconds=self.min_ready_seconds))
        self.objects[ObjectId("Deployment", name)]["status"] = {
            "replicas": len(mine),
            "readyReplicas": len(ready),
            "availableReplicas": sum(entry.get("lastTransitionTime", "") <= counts for entry in ready),
        }

    def break_pods(self, revision: str, broken: bool = True) -> None:
        """Let the running pods of a revision fail, or get well."""
        for pod in self.pods.values():
            if pod["metadata"]["labels"][REVISION_LABEL] == revision:
                pod["killed"] = broken
                self._say(pod, ready=not broken, image="crashing")
        self._count(f"{KEY.name}-{revision}")

    def crash(self, revision: str) -> None:
        """Let a container of a revision end by itself; it is there again at once."""
        pod = next(p for p in self.pods.values() if p["metadata"]["labels"][REVISION_LABEL] == revision)
        pod["ended"] = {"finishedAt": text_of(self.now), "exitCode": 1, "reason": "Error"}

    def crash_by_turns(self, revision: str) -> None:
        """Let all pods of a revision crash ten times, and be ready for a moment each time."""
        for _ in range(10):
            self.break_pods(revision)
            self.run(4)
            self.break_pods(revision, broken=False)
            self.run(4)

    def replace_pods(self, revision: str) -> None:
        """Let new pods come in the place of those of a revision; they fail until they are let get well."""
        self.pods = {
            name: pod
            for name, pod in self.pods.items()
            if pod["metadata"]["labels"][REVISION_LABEL] != revision
        }
        self.kubelet()
        self.break_pods(revision)

    def take_pod(self, revision: str, reason: str, grace_seconds: float = 0) -> str:
        """Let somebody take a pod of a revision for a reason that is not its own; returns its name."""
        name = max(
            name for name, pod in self.pods.items() if pod["metadata"]["labels"][REVISION_LABEL] == revision
        )
        pod = self.pods[name]
        said = {"type": "DisruptionTarget", "status": "True", "reason": reason}
        pod["status"]["conditions"].append(said | {"lastTransitionTime": text_of(self.now)})
        pod["metadata"]["deletionTimestamp"] = text_of(self.now + timedelta(seconds=grace_seconds))
        pod["killed"] = True  # nothing more is heard of it
        if reason == "DeletionByPodGC" and revision == (self.status.get("canary") or {}).get("revision"):
            self._lacking += [self.now - timedelta(seconds=seconds) for seconds in range(UNNOTICED_SECONDS)]
        return name

    def end_pod(self, name: str) -> None:
        """Let a pod be gone; the operator remembers its last words, and another pod comes in its place."""
        self.disrupted_pods.append(self.pods.pop(name))

    def leave_failed(self, revision: str) -> None:
        """Let a node have failed a pod of a revision that had crashed before; its object stays, another takes its place."""
        made: Manifest = {
            "metadata": {
                "name": f"{KEY.name}-{revision}-evicted",
                "namespace": KEY.namespace,
                "labels": {REVISION_LABEL: revision},
                "creationTimestamp": text_of(self.now),
            },
            "killed": True,
        }
        self._say(made, ready=False, image="crashing")
        made["status"] |= {"phase": "Failed", "reason": "Evicted"}
        self.pods[made["metadata"]["name"]] = made

    def gateway(self) -> None:
        """Acknowledge the route as it is."""
        route = self.route
        if route is not None and self.gateway_answers:
            route["status"] = {
                "parents": [
                    {
                        "parentRef": parent,
                        "conditions": [
                            {
                                "type": kind,
                                "status": "True",
                                "observedGeneration": route["metadata"]["generation"],
                            }
                            for kind in ("Accepted", "ResolvedRefs")
                        ],
                    }
                    for parent in route["spec"]["parentRefs"]
                ]
            }

    def unstamped_gateway(self) -> None:
        """Accept the route, without a word of which generation."""
        self.gateway()
        for parent in ((self.route or {}).get("status") or {}).get("parents") or ():
            for condition in parent["conditions"]:
                del condition["observedGeneration"]

    def autoscaler(self) -> None:
        """Renew the Lease, answer every share, and scale every target that is not only advised."""
        if not self.autoscaler_alive:
            return
        self.renewed = self.now
        for name, found in self.of_kind(AUTOSCALER_KIND).items():
            spec, target = found["spec"], self.objects.get(ObjectId("Deployment", name))
            ready = int(((target or {}).get("status") or {}).get("readyReplicas", 0))
            reserve = spec["share"]["reservePercent"]
            need = max(1, -(-self.demand * reserve // 100))
            found["status"] = {
                **(
                    {"lastDecision": {"arrivalsPerMinute": self.arrivals_per_minute}}
                    if self.arrivals_per_minute is not None
                    else {}
                ),
                "reserve": {
                    "reservePercent": reserve,
                    "replicas": need,
                    "readyReplicas": ready,
                    "carriesPercent": min(100, 100 * ready // self.demand),
                    "observedGeneration": found["metadata"]["generation"],
                    "limited": need > spec["maxReplicas"],
                },
                "observedReplicas": target["spec"]["replicas"] if target else 0,
            }
            if target is not None and spec.get("mode", "Auto") == "Auto":
                wanted = min(spec["maxReplicas"], max(spec["minReplicas"], need))
                has = target["spec"]["replicas"]
                if spec["scaleDown"] == "Frozen" or self.stable_is_kept:
                    wanted = max(wanted, min(has, spec["maxReplicas"]))
                if "budgetReplicas" in spec["share"]:
                    wanted = min(wanted, max(has, self._room(spec["share"], name)))
                self._scale(target, wanted)
        self._check_budget()

    def _room(self, share: Manifest, name: str) -> int:
        others = [self.objects.get(ObjectId("Deployment", other)) for other in share["of"] if other != name]
        held = sum(other["spec"]["replicas"] if other else 1 for other in others)
        return int(share["budgetReplicas"]) - held

    def _scale(self, target: Manifest, replicas: int) -> None:
        entries = target["metadata"].setdefault("managedFields", [])
        if target["spec"]["replicas"] != replicas:
            target["spec"]["replicas"] = replicas
            target["metadata"]["generation"] += 1
            for entry in entries:
                entry["fieldsV1"]["f:spec"].pop("f:replicas", None)
        if not any(entry["manager"] == AUTOSCALER for entry in entries):
            entries.append(_owns_replicas(AUTOSCALER) | {"subresource": "scale"})
        self._version += 1
        target["metadata"]["resourceVersion"] = str(self._version)

    def tick(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def round(self, seconds: float = 1.0) -> int:
        """Let everybody act once; returns the operator's writes."""
        self.round_without_operator(seconds)
        return self.reconcile()

    def round_without_operator(self, seconds: float = 1.0) -> None:
        """Let everybody else act once."""
        self.tick(seconds)
        self.autoscaler()
        self.kubelet()
        self.gateway()
        self._note_lack()

    def run(self, seconds: int = 120) -> int:
        """Let everybody act for a while; returns the operator's writes."""
        return sum(self.round() for _ in range(seconds))

    # What the user does

    def apply(self, service: Manifest) -> None:
        """Apply a spec; labels, uid and status stay."""
        if self.service["spec"] != service["spec"]:
            self.service["spec"] = service["spec"]
            self.service["metadata"]["generation"] += 1

    def label(self, kind: str, value: str | None) -> None:
        """Set or remove a command label."""
        label = {"Promote": PROMOTE_LABEL, "Abort": ABORT_LABEL, "Retry": RETRY_LABEL}[kind]
        labels = self.service["metadata"].setdefault("labels", {})
        if value is None:
            labels.pop(label, None)
        else:
            labels[label] = value
            self.given_labels.add((kind, value))

    # What must hold

    def slices(self) -> list[Manifest]:
        """Return the EndpointSlices of all Services, as they ought to be."""
        made = []
        for name, service in self.of_kind("Service").items():
            revision = service["spec"]["selector"].get(REVISION_LABEL)
            pods = [
                pod for pod in self.pods.values() if pod["metadata"]["labels"][REVISION_LABEL] == revision
            ]
            made.append(
                {
                    "metadata": {"name": f"{name}-x", "labels": {"kubernetes.io/service-name": name}},
                    "endpoints": [
                        {
                            "conditions": {"ready": _is_ready(pod)},
                            "targetRef": {"name": pod["metadata"]["name"]},
                        }
                        for pod in pods
                    ],
                }
            )
        return made

    def ready(self, revision: str) -> int:
        """Return how many pods of a revision answer."""
        return sum(
            _is_ready(pod)
            for pod in self.pods.values()
            if pod["metadata"]["labels"][REVISION_LABEL] == revision
        )

    def _check_route(self, manifest: Manifest) -> None:
        before, after = weights(self.route) if self.route else {}, weights(manifest)
        assert sum(after.values()) == 100, f"S4: {after}"
        status = self.status
        stable, canary = status.get("stable") or {}, status.get("canary") or {}
        drifted = bool(self.route is None or self.route.get("edited"))
        aborts = "aborting" in str(manifest["metadata"].get("annotations"))
        for revision in () if aborts else after:
            assert ObjectId("Service", f"{KEY.name}-{revision}") in self.objects, (
                f"S1: {revision} has no Service"
            )
        if canary and stable and not drifted:
            revision, id_ = canary["revision"], canary["id"]
            had, has = before.get(revision, 0), after.get(revision, 0)
            if has > had:
                assert id_ not in self.aborted, "S4: an aborted attempt is raised"
                assert self._is_acknowledged(), "a weight is raised before the last route was acknowledged"
                assert self.ready(revision) >= 1, "S1: weight for a revision that does not answer"
                self._check_capacity(revision, stable["revision"], has)
                self._check_gate(canary, stable["revision"], had, has)
                assert ("Abort", id_) not in self.given_labels or not any(
                    command["kind"] == "Abort" and command["id"] == id_
                    for command in status.get("commands") or ()
                ), "S14: an abort was accepted"
                self.peak[id_] = has
            elif has < had:
                self._check_way_back(canary, stable["revision"], had, has)
                self.aborted.add(id_)
                label_given = any(
                    command["kind"] == "Abort" and command["id"] == id_
                    for command in status.get("commands") or ()
                )
                dark = self.ready(stable["revision"]) == 0 and self.ready(revision) > 0
                assert label_given or not dark, "an automatic abort moved traffic onto a dead stable"
        self.history.append((canary.get("id", ""), after))

    def _check_selector(self, live: Manifest | None, manifest: Manifest) -> None:
        """The stable Service selects the committed revision; without a route also a promoted one, with its need."""
        status = self.status
        stable, canary = status.get("stable") or {}, status.get("canary") or {}
        before = live["spec"]["selector"][REVISION_LABEL] if live else None
        after = manifest["spec"]["selector"][REVISION_LABEL]
        if not stable or after in (stable["revision"], before):
            return
        assert not self.routed, "the stable Service selects a canary"
        assert after == canary["revision"], f"the stable Service selects {after}"
        commands = {(entry["kind"], entry["id"]) for entry in status.get("commands") or ()}
        assert ("Abort", canary["id"]) not in commands, "S14: an abort was accepted"
        if ("Promote", canary["id"]) not in self.given_labels:
            assert canary.get("promotion"), "S5: all of the traffic, unasked"
        self._check_capacity(after, stable["revision"], 100)

    def _check_gate(self, canary: Manifest, stable: str, had: int, has: int) -> None:
        """A canary that has traffic gets more by its label, or after good evidence at the weight that it has."""
        canary, id_ = self.as_recorded(canary), canary["id"]
        labelled = ("Promote", id_) in self.given_labels
        if (canary.get("promotion") or {}).get("reason") == "Rollback":
            assert has == 100, f"{has} is not all of the traffic"
            return  # asked for when it began: see _check_promotion
        rolls_forward = (canary.get("promotion") or {}).get("reason") == "RollForward"
        if has < 100:
            weights_of_steps = [step["weight"] for step in self._rollout_of(canary["revision"])["steps"]]
            assert has in weights_of_steps, f"{has} is no step of {weights_of_steps}"
            assert had == 0 or (id_, had) in self.passed, f"S5: {had} to {has} without good evidence"
        elif not labelled:
            assert canary.get("promotion"), (
                "S5: promoted without a label, and without a record of the decision"
            )
            assert rolls_forward or (id_, had) in self.passed, f"S5: promoted at {had} without good evidence"

    def as_recorded(self, canary: Manifest) -> Manifest:
        """Return what status says of an attempt, with a passed step that its InferenceAutoscaler tells of."""
        found = self.objects.get(ObjectId(AUTOSCALER_KIND, f"{KEY.name}-{canary['revision']}"))
        text = ((found or {}).get("metadata", {}).get("annotations") or {}).get(PASSING_ANNOTATION)
        said = json.loads(text) if text else {}
        if said.get("id") != canary["id"]:
            return canary
        began = canary.get("phaseStartedAt", canary["startedAt"])
        return canary | said if said["phaseStartedAt"] > began else canary

    def _check_passing(self, manifest: Manifest, stable: Manifest) -> None:
        text = (manifest["metadata"].get("annotations") or {}).get(PASSING_ANNOTATION)
        canary = self.status.get("canary") or {}
        said = json.loads(text) if text else {}
        if said.get("id") == canary.get("id") and said.get("promotion") and not canary.get("promotion"):
            self._check_promotion(canary | said, stable)

    def _is_acknowledged(self) -> bool:
        assert self.route is not None
        generation = self.route["metadata"]["generation"]
        parents = (self.route.get("status") or {}).get("parents") or ()
        stamps = [condition["observedGeneration"] for parent in parents for condition in parent["conditions"]]
        return bool(stamps) and min(stamps) >= generation

    def _check_capacity(self, canary: str, stable: str, weight: int) -> None:
        if self.service["spec"]["scaling"].get("class") == "External":
            total = self.service["spec"]["scaling"]["external"]["replicas"]
            split = -(-total * weight // 100)
            if self.shares_a_budget(canary) and weight < 100:
                split = min(total - 1, split)
                assert self.ready(stable) >= total - split, "S2: stable below its split"
            assert self.ready(canary) >= split, "S2: canary below its split"
            return
        most = self.service["spec"]["predictor"]["maxReplicas"]
        said = self.objects[ObjectId(AUTOSCALER_KIND, f"{KEY.name}-{canary}")]["status"]["reserve"]
        assert said["reservePercent"] == weight, "S2: the need was not asked for"
        assert self.ready(canary) >= min(said["replicas"], most), "S2: canary below its need"
        if weight < 100:
            kept = self.objects[ObjectId(AUTOSCALER_KIND, f"{KEY.name}-{stable}")]["status"]["reserve"]
            assert kept["carriesPercent"] >= 100 - weight or kept["limited"], "S2: stable below its need"

    def shares_a_budget(self, canary: str) -> bool:
        """Return whether the attempt at a revision moves replicas along with the traffic."""
        return bool(self._rollout_of(canary).get("surge") == "Budget")

    def _check_way_back(self, canary: Manifest, stable: str, had: int, has: int) -> None:
        """An abort takes all at once; with a budget no more than stable carries, as long as the canary answers."""
        revision = canary["revision"]
        if not self.shares_a_budget(revision):
            assert has == 0, "S4: lowered to something else than 0"
            return
        carries = self._carries(stable)
        found = self.of_kind("Deployment").get(f"{KEY.name}-{revision}")
        left = found["spec"]["replicas"] if found else 0
        answered_by_nobody = self.ready(revision) == 0 or self.ready(stable) == 0
        assert 100 - has <= carries or answered_by_nobody or left <= 1, (
            f"{had} to {has}%, and stable carries {carries}%"
        )

    def _carries(self, stable: str) -> int:
        """Return the percent of the demand that stable carries, by what anybody has said of it."""
        scaling = self.service["spec"]["scaling"]
        if "external" in scaling:
            return int(100 * self.ready(stable) // scaling["external"]["replicas"])
        found = self.of_kind(AUTOSCALER_KIND).get(f"{KEY.name}-{stable}", {}).get("status")
        if not found:
            return 100
        said = found["reserve"]
        return int(said["carriesPercent"] * self.ready(stable) // max(1, said["readyReplicas"]))

    def _check_budget(self) -> None:
        """Both revisions of class Auto have at most maxReplicas together, whoever has just acted."""
        canary, stable = self.status.get("canary"), self.status.get("stable")
        if not canary or not stable or not self.shares_a_budget(canary["revision"]):
            self.robbed = False
            return
        if self.service["spec"]["scaling"].get("class") != "Auto":
            return
        names = [ObjectId("Deployment", f"{KEY.name}-{entry['revision']}") for entry in (canary, stable)]
        has = [self.objects[name]["spec"]["replicas"] for name in names if name in self.objects]
        # What a retry finds of the attempt before counts from now on; until something has gone nobody grows.
        id_, had = self.baseline
        self.baseline = (canary["id"], sum(has) if id_ != canary["id"] else min(had, sum(has)))
        most = max(self.service["spec"]["predictor"]["maxReplicas"], self.baseline[1])
        assert self.robbed or sum(has) <= most, f"over the budget: {has}"

    def _check_deletion(self, key: ObjectId) -> None:
        revision = key.name.removeprefix(f"{KEY.name}-")
        if key.kind in ("Deployment", "Service") and self.route is not None:
            assert revision not in weights(self.route), f"S3: {key} is still in the route"
        assert key.kind != "Deployment" or revision != self._kept_warm(), f"{key} is kept warm"
        assert revision != (self.status.get("stable") or {}).get("revision") or key.kind == AUTOSCALER_KIND, (
            "S3"
        )

    def _kept_warm(self) -> str | None:
        """Return the former revision while its pods are to stay; a canary ends that, and a spec that asks for one."""
        stable, rollout = self.status.get("stable") or {}, self.service["spec"]["rollout"]
        if "previous" not in stable or "canary" in self.status:
            return None
        known = [stable, stable["previous"], *self.status.get("rejected", ())]
        wanted = revision_of(InferenceService.parse(self.service).spec.predictor)
        if wanted not in [entry["revision"] for entry in known]:
            return None
        until = moment_of(stable["committedAt"]) + timedelta(seconds=rollout.get("keepWarmSeconds", 0))
        return str(stable["previous"]["revision"]) if self.now < until else None

    def _check_bounds(self) -> None:
        status = self.status
        live = {(status.get(role) or {}).get("revision") for role in ("stable", "canary")} - {None}
        assert len(live) <= 2
        running = {
            found["metadata"]["labels"][REVISION_LABEL]
            for found in self.of_kind("Deployment").values()
            if found["spec"]["replicas"] > 0
        }
        weighted = {
            revision for revision, weight in (weights(self.route) if self.route else {}).items() if weight
        }
        assert len(running & (live | weighted)) <= 3, f"S6: {running}"
        self._check_budget()

    def _check_status(self, before: Manifest, after: Manifest) -> None:
        was, is_ = before.get("stable") or {}, after.get("stable") or {}
        decided = (after.get("canary") or {}).get("promotion")
        if decided and decided != (before.get("canary") or {}).get("promotion"):
            self._check_promotion(after["canary"], was or is_)
        if was and is_ != was:
            assert is_, "the stable revision was forgotten"
            by_itself = (before.get("canary") or {}).get("promotion")
            assert by_itself or ("Promote", is_["id"]) in self.given_labels, (
                f"S5: {is_['id']} committed unasked"
            )
            assert not any(
                c["kind"] == "Abort" and c["id"] == is_["id"] for c in before.get("commands") or ()
            ), "S14"
            assert self.ready(is_["revision"]) or not self.ready(was["revision"]), (
                "committed, and answers nobody"
            )
            if self.routed:
                assert weights(self.route or {"metadata": {"name": ""}}).get(is_["revision"]) == 100
            else:
                assert self.selected == is_["revision"], "committed without the traffic"
        assert after["observedGeneration"] <= self.service["metadata"]["generation"], "S11"
        assert after["observedGeneration"] >= before.get("observedGeneration", 0), "S11"
        types = {entry["type"] for entry in after["conditions"]}
        assert not {"Reconciling", "Stalled"} <= types
        for entry in after["conditions"]:
            assert entry["reason"], entry
            assert entry["message"], entry

    def _check_promotion(self, canary: Manifest, stable: Manifest) -> None:
        if canary["promotion"]["reason"] == "Rollback":
            assert ("Abort", stable["id"]) in self.given_labels, "S5: rolled back unasked"
            assert canary["revision"] == stable["previous"]["revision"], "rolled back to another revision"
            return
        rollout = self._rollout_of(canary["revision"])
        assert rollout["promotion"] == "Automatic", "S5: nobody asked for promotion without a label"
        if canary["promotion"]["reason"] == "GoodEnough":
            weights_of_steps = [step["weight"] for step in rollout["steps"]]
            assert {(canary["id"], weight) for weight in weights_of_steps} <= self.passed, (
                "S5: a step was not good"
            )
        elif canary["promotion"]["reason"] == "RollForward":
            assert self.ready(stable["revision"]) == 0, "S5: stable answers"


def _fields_of(manifest: Any) -> Manifest:
    """Return the fields that a manifest states, as the API server notes them; lists are taken as one field."""
    if not isinstance(manifest, dict):
        return {}
    identity = (
        ("apiVersion", "kind", "name", "namespace") if "kind" in manifest and "metadata" in manifest else ()
    )
    fields = {f"f:{key}": _fields_of(value) for key, value in manifest.items() if key not in identity}
    if "f:metadata" in fields:
        fields["f:metadata"] = {
            key: value for key, value in fields["f:metadata"].items() if key in ("f:labels", "f:annotations")
        }
    return fields


def _owns_replicas(manager: str) -> Manifest:
    return {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}


def _is_ready(pod: Manifest) -> bool:
    return any(
        entry["type"] == "Ready" and entry["status"] == "True" for entry in pod["status"]["conditions"]
    )


def _pod_status(*, ready: bool, image: str = "") -> Manifest:
    made: Manifest = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    waiting = {"crashing": "CrashLoopBackOff", "unpullable": "ImagePullBackOff"}.get(image)
    if image == "unschedulable":
        said = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
        made["conditions"].append(
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
        )
    elif waiting and not ready:
        container = {"name": "model", "image": image, "restartCount": 3, "ready": False}
        made["containerStatuses"] = [container | {"state": {"waiting": {"reason": waiting, "message": "no"}}}]
    elif image == "broken":
        container = {"name": "model", "image": image, "restartCount": 0, "ready": False}
        made["containerStatuses"] = [container | {"state": {"running": {}}}]
    return made


def settled(image: str = "a", **spec: Any) -> Simulation:
    """Return a cluster with a committed first revision."""
    made = Simulation(inference_service(image, **spec))
    made.run(30)
    assert "stable" in made.status, made.status
    return made


def at_step(image: str = "b", **spec: Any) -> Simulation:
    """Return a cluster whose canary has the step's weight and waits for its label."""
    made = settled(**spec)
    made.apply(inference_service(image, **spec))
    made.run(30)
    assert made.status["canary"]["verdict"] == "WaitingForPromotion", made.status
    return made


def revision(image: str) -> str:
    """Return the revision that an image makes."""
    return revision_of(InferenceService.parse(inference_service(image)).spec.predictor)
