"""InferenceAutoscalers joined with what they scale, and who else claims it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

from pydantic import ValidationError

from autoscaler.signals.numbers import TargetKey
from autoscaler.signals.profiles import Profile, profile_of
from serving_api.autoscaler import InferenceAutoscaler, InferenceAutoscalerSpec
from serving_api.names import AUTOSCALER, SERVICE_LABEL

Manifest = Mapping[str, Any]
T = TypeVar("T")


class Known:
    """What was read of manifests that are there still: one that has not been replaced is not read again."""

    def __init__(self) -> None:
        self._read: dict[Callable[[Manifest], Any], dict[int, tuple[Manifest, Any]]] = {}

    def of(self, manifests: Iterable[Manifest], read: Callable[[Manifest], T]) -> list[T]:
        """What `read` makes of each; the others that it has read are forgotten."""
        before, found, results = self._read.get(read, {}), {}, []
        for manifest in manifests:
            # By identity: the manifest is kept, so that no other one can be taken for it.
            entry = found[id(manifest)] = before.get(id(manifest)) or (manifest, read(manifest))
            results.append(entry[1])
        self._read[read] = found
        return results


@dataclass(frozen=True)
class ApiObjects:
    """What the API server holds in this tick. Manifests are replaced, never altered."""

    autoscalers: Sequence[Manifest]
    deployments: Sequence[Manifest]
    horizontal_pod_autoscalers: Sequence[Manifest] = ()
    scaled_objects: Sequence[Manifest] = ()
    known: Known = field(default_factory=Known, compare=False, repr=False, kw_only=True)
    """Of the ticks before, where the same is handed on."""

    @cached_property
    def _joined(self) -> tuple[list[Target], list[str]]:
        return _join(self)


@dataclass(frozen=True)
class Workload:
    """A Deployment as far as scaling goes."""

    uid: str
    resource_version: str
    created: float
    wanted: int
    """`spec.replicas`."""
    observed: int
    ready: int
    ours: bool
    """Whether `managedFields` shows the autoscaler as the owner of `spec.replicas`."""


@dataclass(frozen=True)
class Target:
    """One InferenceAutoscaler with everything that its decision takes from the API."""

    manifest: Manifest
    autoscaler: InferenceAutoscaler
    profile: Profile
    workload: Workload | None
    conflict: str | None = None
    """Who else claims the workload, as a sentence with the remedy."""
    members: tuple[str, ...] = field(default=())
    """Uids of the InferenceAutoscalers whose demands are summed, the oldest first; its own among them."""
    weight_percent: int = 100
    """Percent of the summed demand that arrives here."""

    uid: str = field(init=False)
    spec: InferenceAutoscalerSpec = field(init=False)
    key: TargetKey = field(init=False)
    """Namespace and name of the workload."""

    def __post_init__(self) -> None:
        # Not properties: a tick asks each target for them a dozen times.
        spec = self.autoscaler.spec
        own = {"uid": self.autoscaler.uid, "spec": spec}
        self.__dict__.update(own, key=(self.autoscaler.namespace, spec.scale_target_ref.name))

    @property
    def service(self) -> str:
        """The InferenceService that it belongs to, by label; empty if none."""
        return str((self.manifest["metadata"].get("labels") or {}).get(SERVICE_LABEL, ""))

    @property
    def route(self) -> str:
        """Name of the HTTPRoute that its requests come by: its service's, or its workload's if it belongs to none."""
        return self.service or self.key[1]

    @property
    def reserve_percent(self) -> int:
        return self.spec.share.reserve_percent if self.spec.share else 100


def targets_of(objects: ApiObjects) -> tuple[list[Target], list[str]]:
    """Every readable InferenceAutoscaler that is not being deleted, and what is wrong with the others."""
    return objects._joined


def _join(objects: ApiObjects) -> tuple[list[Target], list[str]]:
    names = objects.known.of(objects.deployments, _name)
    workloads = dict(zip(names, objects.known.of(objects.deployments, workload_of), strict=True))
    parsed: list[tuple[Manifest, InferenceAutoscaler]] = []
    unreadable = []
    read = objects.known.of(objects.autoscalers, _autoscaler)
    for manifest, autoscaler in zip(objects.autoscalers, read, strict=True):
        if isinstance(autoscaler, str):
            unreadable.append(autoscaler)
        elif autoscaler is not None:
            parsed.append((manifest, autoscaler))
    parsed.sort(key=lambda pair: (pair[1].created, pair[1].uid))
    foreign = _foreign_claims(objects)
    keys = [(autoscaler.namespace, autoscaler.spec.scale_target_ref.name) for _, autoscaler in parsed]
    oldest: dict[TargetKey, InferenceAutoscaler] = {}
    for key, (_, autoscaler) in zip(keys, parsed, strict=True):
        oldest.setdefault(key, autoscaler)
    age = {autoscaler.uid: rank for rank, (_, autoscaler) in enumerate(parsed)}
    by_name = {(autoscaler.namespace, autoscaler.name): autoscaler.uid for _, autoscaler in parsed}
    by_uid = {autoscaler.uid: autoscaler for _, autoscaler in parsed}
    targets = []
    for key, (manifest, autoscaler) in zip(keys, parsed, strict=True):
        share = autoscaler.spec.share
        members = [autoscaler.uid]
        if share and share.of != [autoscaler.name]:
            named = {by_name.get((autoscaler.namespace, name)) for name in share.of}
            members = sorted({autoscaler.uid, *(uid for uid in named if uid)}, key=age.__getitem__)
        conflict = foreign.get(key)
        if oldest[key].uid != autoscaler.uid:
            conflict = (
                f"InferenceAutoscaler {oldest[key].name} is older and scales Deployment {key[1]}: delete one"
            )
        targets.append(
            Target(
                manifest,
                autoscaler,
                profile_of(autoscaler.spec.signals),
                workloads.get(key),
                conflict,
                tuple(members),
                _weight_percent(autoscaler, [by_uid[uid] for uid in members]),
            )
        )
    return targets, unreadable


def _autoscaler(manifest: Manifest) -> InferenceAutoscaler | str | None:
    """None if it is being deleted, and what is wrong if it cannot be read."""
    if manifest["metadata"].get("deletionTimestamp"):
        return None
    try:
        return InferenceAutoscaler.parse(dict(manifest))
    except (ValidationError, KeyError) as error:
        return f"InferenceAutoscaler {'/'.join(_name(manifest))}: {error}"


def _weight_percent(autoscaler: InferenceAutoscaler, members: Iterable[InferenceAutoscaler]) -> int:
    """The weight that is stated, or what those of the other members leave of 100."""
    share = autoscaler.spec.share
    if share is None:
        return 100
    if share.weight_percent is not None:
        return share.weight_percent
    others = (member.spec.share for member in members if member.uid != autoscaler.uid)
    return max(0, 100 - sum((other.weight_percent or 0) for other in others if other is not None))


def workload_of(manifest: Manifest) -> Workload:
    """Read a Deployment."""
    metadata, spec, status = manifest["metadata"], manifest.get("spec") or {}, manifest.get("status") or {}
    return Workload(
        uid=metadata["uid"],
        resource_version=str(metadata.get("resourceVersion", "")),
        created=seconds_of(metadata.get("creationTimestamp")),
        wanted=int(spec.get("replicas", 1)),
        observed=int(status.get("replicas", 0)),
        ready=int(status.get("readyReplicas", 0)),
        ours=any(_owns_replicas(entry) for entry in metadata.get("managedFields") or ()),
    )


def seconds_of(timestamp: str | None) -> float:
    """Seconds since 1970 of an API timestamp; 0 without one."""
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0


def timestamp_of(seconds: float) -> str:
    """API timestamp, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def _owns_replicas(entry: Manifest) -> bool:
    spec = (entry.get("fieldsV1") or {}).get("f:spec") or {}
    return entry.get("manager") == AUTOSCALER and "f:replicas" in spec


def with_workload(manifest: Manifest, workload: Workload) -> Manifest:
    """The Deployment as the workload has it, which may know of a write that the watch has yet to tell."""
    told = workload_of(manifest)
    if (workload.wanted, workload.ours) == (told.wanted, told.ours):
        return manifest
    owner = {"manager": AUTOSCALER, "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    metadata = {**manifest["metadata"], "managedFields": [owner] if workload.ours else []}
    return {**manifest, "metadata": metadata, "spec": {**manifest["spec"], "replicas": workload.wanted}}


def _foreign_claims(objects: ApiObjects) -> dict[TargetKey, str]:
    claims: dict[TargetKey, str] = {}
    for manifest in _deployment_scalers(objects.horizontal_pod_autoscalers):
        key = (manifest["metadata"]["namespace"], manifest["spec"]["scaleTargetRef"]["name"])
        claims[key] = _remedy("HorizontalPodAutoscaler", manifest, key[1])
    for manifest in _deployment_scalers(objects.scaled_objects):
        key = (manifest["metadata"]["namespace"], manifest["spec"]["scaleTargetRef"]["name"])
        claims[key] = _remedy("ScaledObject", manifest, key[1])
    return claims


def _deployment_scalers(manifests: Iterable[Manifest]) -> Iterable[Manifest]:
    for manifest in manifests:
        reference = (manifest.get("spec") or {}).get("scaleTargetRef") or {}
        if reference.get("kind", "Deployment") == "Deployment" and reference.get("name"):
            yield manifest


def _remedy(kind: str, manifest: Manifest, target: str) -> str:
    name = manifest["metadata"]["name"]
    return f"{kind} {name} scales Deployment {target} too: delete it, or this InferenceAutoscaler"


def _name(manifest: Manifest) -> TargetKey:
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
