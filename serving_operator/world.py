"""What the operator has seen of one service, and what it decides to write: the values between shell and core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from serving_api.configuration import AcceleratorConfiguration, RouteConfiguration
from serving_api.names import SYSTEM_NAMESPACE, ServiceKey
from serving_operator.judge.windows import Evidence
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.runtimes.storage import Downloads

Manifest = dict[str, Any]


SecretState = Literal["Labelled", "Unlabelled", "Missing", "Unreadable"]


class ObjectId(NamedTuple):
    """An object within the service's namespace."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What the administrator set for all services. Durations in seconds."""

    namespace: str = SYSTEM_NAMESPACE
    one_namespace: bool = False
    """Whether the operator serves its own namespace alone: its rights are Roles of it then."""
    propagation_delay_seconds: float = 10.0
    min_ready_seconds: int = 5
    drain_seconds: int = 5
    stable_broken_seconds: float = 30.0
    autoscaler_lease_seconds: float = 60.0
    revision_history_limit: int = 10
    route: RouteConfiguration = field(default_factory=RouteConfiguration)
    accelerators: tuple[AcceleratorConfiguration, ...] = ()
    downloads: Downloads = field(default_factory=Downloads)


DEFAULT_SETTINGS = Settings()


@dataclass(frozen=True, slots=True)
class World:
    """Everything observed about one service at one instant. `objects` holds what carries our controller reference."""

    key: ServiceKey
    service: Manifest
    objects: Mapping[ObjectId, Manifest]
    pods: tuple[Manifest, ...] = ()
    endpoint_slices: tuple[Manifest, ...] = ()
    gateways: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)
    quotas: tuple[Manifest, ...] = ()
    # Objects of ours by name and label that do not carry our controller reference: adopted, waited for, or in conflict.
    strangers: Mapping[ObjectId, Manifest] = field(default_factory=dict)
    routes_served: bool = True
    # Why the route that the spec asks for is not written, as a reason and a sentence.
    route_refused: tuple[str, str] | None = None
    # The Secret that the model's storage names, as its label allows it; None if it names none or it was not looked at.
    storage_secret: SecretState | None = None
    runtimes: Catalogue = field(default_factory=Catalogue)
    autoscaler_renewed: datetime | None = None
    # Facts that the API does not hold and a restart may lose: when something was first seen in its present state.
    since: Mapping[str, datetime] = field(default_factory=dict)
    # Replicas last observed of Deployments that somebody else has deleted, by name.
    last_replicas: Mapping[str, int] = field(default_factory=dict)
    # ControllerRevisions last observed that are gone, by name.
    last_revisions: Mapping[str, Manifest] = field(default_factory=dict)
    # Pods last observed that are gone because they were taken from the service, as their last words say.
    disrupted_pods: tuple[Manifest, ...] = ()
    # What was counted of the step under way, if its rollout has an analysis.
    evidence: Evidence | None = None
    # What the API server said to the last write of an object if it refused it: quota, admission, schema.
    refused: Mapping[ObjectId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Write:
    """One request to the API server. Preconditions travel in the body (uid, resourceVersion) or in `uid`/`resource_version`."""

    verb: Literal["create", "apply", "patch", "delete", "status"]
    manifest: Manifest
    why: str
    uid: str | None = None
    resource_version: str | None = None

    @classmethod
    def upon(cls, live: Manifest | None, wanted: Manifest, why: str) -> Write:
        """Create what is wanted, or apply it to the very version that was observed."""
        if live is None:
            return cls("create", wanted, why)
        seen = live["metadata"]
        return cls("apply", wanted, why, seen.get("uid"), seen.get("resourceVersion"))


@dataclass(frozen=True, slots=True)
class EventNote:
    """An event to post on the service, on a transition only."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    action: str = "Reconcile"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one reconcile decided: writes in order, the status, events, and when to look again."""

    writes: tuple[Write, ...] = ()
    status: Manifest | None = None
    # resourceVersion of the service that the status was decided on: on another one it is not written.
    service_version: str | None = None
    events: tuple[EventNote, ...] = ()
    requeue_after_seconds: float | None = None
    since: Mapping[str, datetime] = field(default_factory=dict)
    """Since when each fact that holds has held. Handed back as the `since` of the next world: the API does not hold it."""
