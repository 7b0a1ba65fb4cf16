"""InferenceAutoscaler: how one Deployment is kept at the fewest replicas that hold an objective."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from serving_api.scaling import Gpu, Objective, SignalProfile
from serving_api.schema import Model, ObjectName, rule, rules

Percent = Annotated[int, Field(ge=0, le=100)]

WORDS_OF_PROMQL: Final = "(?i)^(atan2|bool|group_left|group_right|ignoring|inf|nan|on)$"
"""Where a metric's name belongs PromQL reads these as numbers and operators, and refuses all of the question."""
_NO_METRIC: Final = "must be the name of a metric: this is a word of PromQL"


def _named(metric: str) -> str:
    if re.match(WORDS_OF_PROMQL, metric):
        raise ValueError(_NO_METRIC)
    return metric


MetricName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$",
        json_schema_extra=rules(rule(f"!self.matches('{WORDS_OF_PROMQL}')", _NO_METRIC)),
    ),
    AfterValidator(_named),
]


class TargetReference(Model):
    """The workload whose replicas are set."""

    api_version: Literal["apps/v1"] = "apps/v1"
    """API version of the workload."""
    kind: Literal["Deployment"] = "Deployment"
    """Kind of the workload."""
    name: ObjectName
    """Name of the workload, in the namespace of this object."""


class Share(Model):
    """The part of a summed demand that this target serves now, and the part that it must be ready for."""

    of: Annotated[list[ObjectName], Field(min_length=1, max_length=8)]
    """InferenceAutoscalers whose demands are summed; this one is among them."""
    weight_percent: Percent | None = None
    """Percent of the summed demand that arrives here now, or as soon as the reserve is ready; if absent what the others leave of 100."""
    reserve_percent: Percent
    """Percent of the summed demand to be ready for."""
    budget_replicas: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Most replicas of all that `of` names together: none grows beyond what the others leave. Nobody loses any for it."""


class MetricNames(Model):
    """Metrics of a server without a profile, by name; each series carries the labels namespace and pod."""

    requests_total: MetricName
    """Counter of requests that were answered."""
    failures_total: MetricName | None = None
    """Counter of requests that failed and are not in requestsTotal."""
    in_flight: MetricName | None = None
    """Gauge of requests being worked on or waiting."""
    duration_seconds: MetricName
    """Base name of a histogram of durations in seconds; _bucket, _sum and _count are read."""


class AutoscalerSignals(Model):
    """Where load and latency are read: a profile, or metrics by name."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule("has(self.profile) != has(self.metrics)", "set exactly one of profile and metrics")
        )
    }

    profile: SignalProfile | None = None
    """Names of the metrics as a known runtime or gateway has them."""
    metrics: MetricNames | None = None
    """Metrics by name."""


class InferenceAutoscalerSpec(Model):
    """What is scaled, within which bounds, and for which objective."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "self.minReplicas <= self.maxReplicas",
                "minReplicas must be at most maxReplicas",
                path=".minReplicas",
            )
        )
    }

    scale_target_ref: TargetReference
    """The workload whose replicas are set."""
    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    """Fewest replicas."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    """Most replicas."""
    objective: Objective
    """What is held."""
    signals: AutoscalerSignals
    """Where load and latency are read."""
    share: Share | None = None
    """Part of a summed demand, for targets that serve one service together."""
    scale_down: Literal["Allowed", "Frozen"] = "Allowed"
    """Frozen: replicas are not reduced for now."""
    gpu: Gpu | None = None
    """How GPU utilisation bounds the replicas."""
    scale_down_hold_seconds: Annotated[int, Field(ge=10, le=3600)] | None = None
    """Seconds for which a higher need is held before replicas are removed; if absent the measured start time, within 180 to 600."""
    mode: Literal["Auto", "Advise"] = "Auto"
    """Auto: the autoscaler scales. Advise: it only says what it would do."""


class InferenceAutoscaler(Model):
    """An InferenceAutoscaler as read from the API server."""

    namespace: str
    name: str
    uid: str
    generation: int
    created: str
    spec: InferenceAutoscalerSpec

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> InferenceAutoscaler:
        """Read an object of the API. Raises pydantic.ValidationError if its spec is not one that the CRD admits."""
        metadata = raw["metadata"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 1),
            created=metadata.get("creationTimestamp", ""),
            spec=InferenceAutoscalerSpec.model_validate(raw["spec"]),
        )


class Reserve(Model):
    """The answer to a share: what the reserve takes, and what the ready replicas carry."""

    reserve_percent: Percent
    """The reserve that is answered."""
    replicas: Annotated[int, Field(ge=0)]
    """Replicas that the reserve takes: the need."""
    ready_replicas: Annotated[int, Field(ge=0)]
    """Replicas that are ready."""
    carries_percent: Percent
    """Highest percent of the summed demand that the ready replicas hold."""
    observed_generation: int
    """Generation of the spec that is answered."""
    limited: bool = False
    """Whether maxReplicas cut the need."""


class Learned(Model):
    """What was measured."""

    service_time_milliseconds: int | None = None
    """Mean time of work per request."""
    start_time_seconds: int | None = None
    """Time from the scale write to a ready pod."""
    capacity_per_replica_per_minute: int | None = None
    """Requests per minute that one more replica carries within the objective, at the present number."""


class LastDecision(Model):
    """The decision in force, in numbers and in a sentence."""

    time: str
    """When it was made."""
    reason: str
    """One word."""
    message: str
    """One sentence."""
    arrivals_per_minute: int | None = None
    """Demand that it was made on."""
    forecast_per_minute: int | None = None
    """Demand expected when a pod started now would be ready."""
    prepared_per_minute: int | None = None
    """Demand that it prepares for: more than the forecast where the clock, or what came by surprise, asks for it."""
    needed_replicas: int | None = None
    """Replicas that hold the objective at the part of that demand which arrives here."""
    target_replicas: int | None = None
    """Replicas that all evidence and bounds ask for, before holds and limits on the rate of change."""
    previous_replicas: int | None = None
    """Replicas before it."""


class Condition(Model):
    """A condition as the Kubernetes conventions have it."""

    type: str
    """Name of the condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """One word for the cause."""
    message: Annotated[str, Field(max_length=32768)]
    """Cause and remedy in a sentence."""
    observed_generation: int | None = None
    """Generation of the spec that it was decided on."""
    last_transition_time: str
    """When the status last changed."""


Conditions = Annotated[
    list[Condition],
    Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]
"""One entry a type, so that appliers own conditions one by one."""


class InferenceAutoscalerStatus(Model):
    """What was observed and decided."""

    observed_generation: int | None = None
    """Generation of the spec that was decided on."""
    observed_replicas: int | None = None
    """Replicas of the target."""
    desired_replicas: int | None = None
    """Replicas that were decided."""
    reserve: Reserve | None = None
    """The answer to the share."""
    last_decision: LastDecision | None = None
    """The decision in force."""
    learned: Learned | None = None
    """What was measured."""
    conditions: Conditions | None = None
    """ScalingActive, ScalingLimited, ReserveLimited, SignalsAvailable, ObjectiveNotMeasurable, ObjectiveInfeasible, Conflict."""
