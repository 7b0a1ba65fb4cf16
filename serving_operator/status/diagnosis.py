"""Why pods are not ready, from what the pods and their Deployment say: a cause and a remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from serving_operator.children.pod import load_seconds
from serving_operator.world import Manifest

_PULL = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a revision has too few ready pods."""

    reason: str
    message: str
    wants_nodes: bool = False
    """The pods wait for nodes: an autoscaled pool may still bring them."""
    final: bool = True
    """Whether a person is needed; False for what may be a start like any other."""

    @property
    def wants_room(self) -> bool:
        """Whether pods of others are in the way: on the nodes, or in what the API server lets the namespace have."""
        return self.wants_nodes or self.reason in ("QuotaExceeded", "PodsRefused")


def diagnose(pods: Sequence[Manifest], deployment: Manifest | None) -> Cause | None:
    """Return the gravest cause that is seen, or None if nothing is wrong that would show."""
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    template = ((deployment or {}).get("spec") or {}).get("template")
    limit = load_seconds(template) if template else None
    causes = [*_of_deployment(deployment), *(cause for pod in staying for cause in _of_pod(pod, limit))]
    return min(causes, key=lambda cause: (_GRAVITY.index(cause.reason), cause.message)) if causes else None


_GRAVITY = (
    "QuotaExceeded",
    "PodsRefused",
    "InitFailed",
    "ConfigError",
    "ImagePullFailed",
    "OutOfMemory",
    "LoadDeadlineExceeded",
    "CrashLoop",
    "Unschedulable",
    "NeverReady",
)


def _of_deployment(deployment: Manifest | None) -> Iterator[Cause]:
    for condition in ((deployment or {}).get("status") or {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            said = str(condition.get("message") or condition.get("reason") or "")
            if "quota" in said.lower():
                remedy = "raise the ResourceQuota or lower the resources or maxReplicas"
                yield Cause("QuotaExceeded", f"The namespace's quota refuses pods; {remedy}. {said}")
            else:
                yield Cause("PodsRefused", f"The API server refuses pods; change what it names. {said}")


def _of_pod(pod: Manifest, limit: int | None) -> Iterator[Cause]:
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    see = f"See: kubectl -n {pod['metadata'].get('namespace', 'default')} describe pod {name}"
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        said = scheduled.get("message", "")
        yield Cause(
            "Unschedulable", f"No node takes pod {name}; the scheduler says: {said}", wants_nodes=True
        )
    if conditions.get("Ready", {}).get("status") == "True":
        return
    for container in status.get("initContainerStatuses") or ():
        state = container.get("state") or {}
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            what = f"init container {container['name']} ended with code {ended['exitCode']}"
            # Its last line, where it is a log.
            said = (ended.get("message") or "").strip().rpartition("\n")[2]
            yield Cause(
                "InitFailed", f"Pod {name}: {what}: {said} {see}" if said else f"Pod {name}: {what}. {see}"
            )
    yield from _of_containers(name, see, filter(_cannot_start, status.get("initContainerStatuses") or ()))
    containers = status.get("containerStatuses") or ()
    slow = [entry for entry in containers if limit is not None and _has_loaded_for(entry, limit, conditions)]
    for container in slow:
        what = f"container {container['name']} was not ready within {limit} s of its start and is restarted"
        remedy = "raise predictor.modelLoadSeconds if it only needs longer"
        yield Cause("LoadDeadlineExceeded", f"Pod {name}: {what}; {remedy}. {see}")
    yield from _of_containers(name, see, [entry for entry in containers if entry not in slow])


def _cannot_start(container: Manifest) -> bool:
    waiting = (container.get("state") or {}).get("waiting") or {}
    return waiting.get("reason") in _PULL | _CONFIG


def _has_loaded_for(container: Manifest, limit: int, conditions: dict[str, Manifest]) -> bool:
    """Whether a container was ended after so long without having been ready once, as the startup probe ends it."""
    ended = (container.get("lastState") or {}).get("terminated") or {}
    unready = conditions.get("Ready", {}).get("lastTransitionTime")
    if ended.get("reason") == "OOMKilled" or not (
        ended.get("startedAt") and ended.get("finishedAt") and unready
    ):
        return False
    started, finished = (datetime.fromisoformat(ended[key]) for key in ("startedAt", "finishedAt"))
    return datetime.fromisoformat(unready) <= started and (finished - started).total_seconds() >= limit


def _of_containers(pod: str, see: str, containers: Iterable[Manifest]) -> Iterator[Cause]:
    for container in containers:
        state = container.get("state") or {}
        waiting = state.get("waiting") or {}
        reason, said = waiting.get("reason", ""), (waiting.get("message") or "").strip()
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
        restarts = int(container.get("restartCount", 0))
        if reason in _PULL:
            image = container.get("image", "")
            yield Cause("ImagePullFailed", f"Pod {pod}: image {image} cannot be pulled. {see}")
        elif reason in _CONFIG:
            remedy = "create the Secret, ConfigMap or key that is named, or correct the reference"
            yield Cause("ConfigError", f"Pod {pod}: {reason}: {said}; {remedy}.")
        elif ended.get("reason") == "OOMKilled":
            remedy = "raise resources.limits.memory"
            yield Cause(
                "OutOfMemory", f"Pod {pod}: container {container['name']} ran out of memory; {remedy}."
            )
        elif reason == "CrashLoopBackOff" or (ended and restarts):
            code = ended.get("exitCode", "unknown")
            logs = see.replace("describe pod", "logs --previous")
            yield Cause(
                "CrashLoop", f"Pod {pod}: container {container['name']} ends with code {code}. {logs}"
            )
        elif "running" in state and not container.get("ready"):
            what = f"container {container['name']} runs, but its startup or readiness probe does not succeed"
            yield Cause("NeverReady", f"Pod {pod}: {what}. {see}", final=False)
