"""InferenceService: what a user asks for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from serving_api.names import ServiceKey
from serving_api.predictor import Predictor
from serving_api.schema import DNS_SUBDOMAIN, Model, Name, ObjectName, rule, rules


class Objective(Model):
    """The service level objective: so many percent of the requests within so many milliseconds."""

    indicator: Literal["RequestLatency"] = "RequestLatency"
    """What is measured: the time from a request's arrival at the server to its last byte."""
    threshold_milliseconds: Annotated[int, Field(ge=1, le=600000)]
    """A request that takes longer is late. Best equal to an upper bound of the latency histogram's buckets."""
    percent: Annotated[int, Field(ge=50, le=99)] = 99
    """Share of the requests that must be neither late nor failed."""


class Gpu(Model):
    """How GPU utilisation bounds the replicas."""

    target_utilization_percent: Annotated[int, Field(ge=1, le=100)]
    """Utilisation per replica above which a replica is added: one more lower bound beside the objective."""


class ExternalScaling(Model):
    """Replicas set by somebody else: a person, an HPA or a ScaledObject through the scale subresource."""

    replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    """Replicas of the service."""


SignalProfile = Literal["mlserver", "vllm", "triton", "sglang", "tgi", "gateway"]


class Signals(Model):
    """Where the autoscaler reads load and latency."""

    profile: SignalProfile
    """Names of the metrics: those of a runtime, or gateway for any container behind a gateway."""


class Scaling(Model):
    """Who sets the number of replicas, and how."""

    class_: Annotated[Literal["Auto", "External"], Field(alias="class")] = "Auto"
    """Auto: our autoscaler. External: the scale subresource of this object."""
    mode: Literal["Auto", "Advise"] | None = None
    """Auto (if absent): the autoscaler scales. Advise: it only says what it would do."""
    external: ExternalScaling | None = None
    """Replicas of class External."""
    gpu: Gpu | None = None
    """How GPU utilisation bounds the replicas."""
    scale_down_hold_seconds: Annotated[int, Field(ge=10, le=3600)] | None = None
    """Seconds for which a higher need is held before replicas are removed; if absent the measured start time, within 180 to 600."""
    signals: Signals | None = None
    """Where load and latency are read; if absent the runtime's own profile, and gateway for a container."""


class Step(Model):
    """One step of a rollout."""

    weight: Annotated[int, Field(ge=1, le=99)]
    """Percent of the traffic that the canary gets."""
    pause_seconds: Annotated[int, Field(ge=1, le=86400)] | None = None
    """Seconds that the canary stays at this weight even if its evidence is good earlier; bad evidence ends the step at once."""
    minimum_requests: Annotated[int, Field(ge=1, le=1000000)] | None = None
    """Requests that the canary must have answered at this weight before the step can be good."""


EvidenceSource = Literal["runtime", "envoy-gateway", "istio"]


class Analysis(Model):
    """How the canary is judged at each step, by comparing it with the stable revision and with the objective."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "self.stepDeadlineSeconds >= self.windowSeconds + 30",
                "rollout.analysis.stepDeadlineSeconds must be at least windowSeconds + 30: a window is read twenty seconds after its end",
                path=".stepDeadlineSeconds",
            )
        )
    }

    source: EvidenceSource = "runtime"
    """Where requests are counted: runtime (metrics of the pods, with any Gateway), envoy-gateway or istio (metrics of the proxies)."""
    window_seconds: Annotated[int, Field(ge=10, le=3600)] = 60
    """Seconds of one window in which requests and bad requests are counted."""
    unacceptable_percent: Annotated[int, Field(ge=2, le=99)] | None = None
    """Percent of bad requests that must not pass as good enough; if absent it follows from objective.percent."""
    step_deadline_seconds: Annotated[int, Field(ge=10, le=86400)] = 1800
    """Seconds at a step's weight, after its pause, in which the evidence must suffice; time lost to others does not count."""
    on_inconclusive: Literal["Pause", "Abort", "Extend"] = "Pause"
    """What happens at the step's deadline without a verdict: Pause waits for a person, Abort rejects, Extend waits as long again."""


class Rollout(Model):
    """How a new revision takes over."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "size(self.steps) <= 1 || has(self.analysis)",
                "rollout.steps beyond the first need rollout.analysis, which decides when the next one comes; add it, "
                "for instance analysis: {}",
                path=".steps",
            ),
            rule(
                "self.promotion != 'Automatic' || has(self.analysis)",
                "rollout.promotion Automatic needs rollout.analysis, which gives the verdict; add it, for instance "
                "analysis: {}",
                path=".promotion",
            ),
            *(
                rule(
                    f"has(self.analysis) || self.steps.all(step, !has(step.{field}))",
                    f"rollout.steps {field} has no effect without rollout.analysis; add it, or remove {field}",
                    path=".steps",
                )
                for field in ("pauseSeconds", "minimumRequests")
            ),
            rule(
                "self.keepWarmSeconds <= self.rollbackWindowSeconds",
                "rollout.keepWarmSeconds must be at most rollbackWindowSeconds: pods that are kept for longer are of no use",
                path=".keepWarmSeconds",
            ),
            rule(
                "self.keepWarmSeconds == 0 || self.surge != 'Budget'",
                "rollout.keepWarmSeconds keeps replicas beside those of the new revision, for which rollout.surge Budget has "
                "no room; remove it, or set surge Full",
                path=".keepWarmSeconds",
            ),
        )
    }

    steps: Annotated[
        list[Step],
        Field(
            min_length=1,
            max_length=10,
            json_schema_extra=rules(
                rule(
                    "self.all(a, self.exists_one(b, a.weight == b.weight)) && "
                    "self.map(step, step.weight).isSorted()",
                    "weights must increase from step to step",
                )
            ),
        ),
    ] = Field(default=[Step(weight=10)])
    """Weights that the canary gets on its way to 100, each greater than the one before; more than one needs an analysis."""
    analysis: Analysis | None = None
    """How each step is judged; without it a person gives the verdict. Needs an objective."""
    promotion: Literal["Manual", "Automatic"] = "Manual"
    """Manual: after the last step the rollout waits for the promote label. Automatic: it goes on by itself if all steps were good."""
    progress_deadline_seconds: Annotated[int, Field(ge=10, le=86400)] = 600
    """Seconds in which a canary must become ready, anew for each step; past it the attempt is aborted and rejected."""
    capacity_deadline_seconds: Annotated[int, Field(ge=10, le=86400)] = 900
    """Seconds for which pods may be pending for want of nodes before the rollout is called stalled."""
    soak_seconds: Annotated[int, Field(ge=0, le=86400)] = 60
    """Seconds at 100 percent before a promoted revision is committed."""
    keep_warm_seconds: Annotated[int, Field(ge=0, le=86400)] = 0
    """Seconds after a commit for which the former revision keeps its pods, so that a rollback starts none; a new canary ends it."""
    rollback_window_seconds: Annotated[int, Field(ge=0, le=604800)] = 3600
    """Seconds after a commit in which the committed attempt's abort label goes back to the former revision; 0 is never."""
    surge: Literal["Full", "Budget"] = "Full"
    """Full: stable keeps its replicas, so that an abort is instant. Budget: replicas move with the traffic, within maxReplicas for both."""


class ParentReference(Model):
    """A Gateway that the route attaches to."""

    name: ObjectName
    """Name of the Gateway."""
    namespace: Name | None = None
    """Namespace of the Gateway; the service's own if absent."""
    section_name: Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)] | None = None
    """Listener of the Gateway; all if absent."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port of the Gateway; all if absent."""


Hostname = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]


class Route(Model):
    """How requests reach the service from outside."""

    parent_refs: (
        Annotated[
            list[ParentReference],
            Field(
                min_length=1,
                max_length=8,
                json_schema_extra=rules(
                    rule(
                        "self.all(a, self.exists_one(b, a.name == b.name && "
                        "(has(a.__namespace__) ? a.__namespace__ : '') == (has(b.__namespace__) ? b.__namespace__ : '') && "
                        "(has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '') && "
                        "(has(a.port) ? a.port : 0) == (has(b.port) ? b.port : 0)))",
                        "entries must differ in name, namespace, sectionName or port",
                    ),
                    rule(
                        "self.all(a, self.all(b, a.name != b.name || "
                        "(has(a.__namespace__) ? a.__namespace__ : '') != (has(b.__namespace__) ? b.__namespace__ : '') || "
                        "(has(a.sectionName) == has(b.sectionName) && has(a.port) == has(b.port))))",
                        "entries for one Gateway must all set sectionName, or port, or neither",
                    ),
                ),
            ),
        ]
        | None
    ) = None
    """Gateways that the route attaches to; if absent those of the administrator's configuration."""
    hostnames: (
        Annotated[
            list[Hostname],
            Field(
                min_length=1,
                max_length=16,
                json_schema_extra=rules(
                    rule("self.all(h, self.exists_one(o, o == h))", "hostnames must be unique"),
                    rule(
                        r"self.all(h, !h.matches('^[0-9]+(\\.[0-9]+){3}$'))",
                        "an IP address is no hostname",
                    ),
                ),
            ),
        ]
        | None
    ) = None
    """Host names that requests carry; if absent one by the template of the administrator's configuration."""


_AUTO = "!has(self.scaling.class) || self.scaling.class == 'Auto'"


def _auto_only(field: str, path: str) -> dict[str, Any]:
    return rule(
        f"{_AUTO} || !has(self.{field})",
        f"{path} has no effect with scaling.class External; remove it",
        path=f".{field}",
    )


class InferenceServiceSpec(Model):
    """The wanted state."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "has(self.predictor.model) != has(self.predictor.container)",
                "set exactly one of predictor.model and predictor.container",
                path=".predictor",
            ),
            rule(
                f"!({_AUTO}) || has(self.predictor.maxReplicas)",
                "predictor.maxReplicas is required with scaling.class Auto: the most replicas that the autoscaler may use",
                path=".predictor.maxReplicas",
            ),
            rule(
                f"!({_AUTO}) || has(self.objective)",
                "objective is required with scaling.class Auto: what the autoscaler holds",
                path=".objective",
            ),
            rule(
                "!has(self.predictor.minReplicas) || !has(self.predictor.maxReplicas) || "
                "self.predictor.minReplicas <= self.predictor.maxReplicas",
                "predictor.minReplicas must be at most predictor.maxReplicas",
                path=".predictor.minReplicas",
            ),
            _auto_only("predictor.minReplicas", "predictor.minReplicas"),
            _auto_only("predictor.maxReplicas", "predictor.maxReplicas"),
            _auto_only("objective", "objective"),
            rule(
                "!has(self.rollout.analysis) || has(self.objective)",
                "rollout.analysis judges by the objective, which scaling.class External has none of; remove the analysis, "
                "or set scaling.class Auto and an objective",
                path=".rollout.analysis",
            ),
            rule(
                "has(self.route) || !has(self.rollout.analysis)",
                "rollout.analysis compares revisions that share the traffic by weight, which takes a route; add route, or "
                "remove the analysis",
                path=".rollout.analysis",
            ),
            rule(
                "has(self.route) || self.rollout.steps.all(step, step.weight == 10)",
                "rollout.steps has no effect without route: a new revision gets all of the traffic at once, by its label; "
                "add route, or remove the steps",
                path=".rollout.steps",
            ),
            rule(
                "!has(self.rollout.analysis) || !has(self.rollout.analysis.unacceptablePercent) || !has(self.objective) || "
                "self.rollout.analysis.unacceptablePercent > 100 - self.objective.percent",
                "rollout.analysis.unacceptablePercent must be more than the objective allows: more than 100 - objective.percent",
                path=".rollout.analysis.unacceptablePercent",
            ),
            rule(
                "has(self.route) || self.rollout.surge != 'Budget'",
                "rollout.surge Budget moves replicas along with the traffic, which takes a route; add route, or set surge Full",
                path=".rollout.surge",
            ),
            rule(
                "self.rollout.surge != 'Budget' || !has(self.scaling.mode) || self.scaling.mode != 'Advise'",
                "rollout.surge Budget lets the autoscaler move replicas, which scaling.mode Advise only speaks of; set "
                "mode Auto, or surge Full",
                path=".rollout.surge",
            ),
            rule(
                "self.rollout.surge != 'Budget' || !has(self.predictor.maxReplicas) || self.predictor.maxReplicas >= 2",
                "rollout.surge Budget keeps both revisions within predictor.maxReplicas, which must then be at least 2; "
                "raise it, or set surge Full",
                path=".rollout.surge",
            ),
        )
    }

    predictor: Predictor
    """What is run."""
    objective: Objective | None = None
    """What the autoscaler holds; required with scaling class Auto."""
    scaling: Annotated[
        Scaling,
        Field(
            json_schema_extra=rules(
                rule(
                    "self.class != 'External' || has(self.external)",
                    "scaling.external is required with scaling.class External",
                    path=".external",
                ),
                rule(
                    "self.class != 'Auto' || !has(self.external)",
                    "scaling.external has no effect with scaling.class Auto; remove it",
                    path=".external",
                ),
                *(
                    rule(
                        f"self.class != 'External' || !has(self.{field})",
                        f"scaling.{field} has no effect with scaling.class External; remove it",
                        path=f".{field}",
                    )
                    for field in ("mode", "gpu", "scaleDownHoldSeconds", "signals")
                ),
            )
        ),
    ] = Scaling()
    """Who sets the number of replicas, and how."""
    rollout: Rollout = Rollout()
    """How a new revision takes over."""
    route: Route | None = None
    """How requests reach the service from outside; if absent it is reached inside the cluster only, and no weights are to be had."""


class InferenceService(Model):
    """A service as read from the API server; `raw` keeps everything else."""

    key: ServiceKey
    uid: str
    generation: int
    labels: dict[str, str]
    spec: InferenceServiceSpec

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> InferenceService:
        """Read an object of the API. Raises pydantic.ValidationError if its spec is not one that the CRD admits."""
        metadata = raw["metadata"]
        return cls(
            key=ServiceKey(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            generation=metadata.get("generation", 1),
            labels=metadata.get("labels") or {},
            spec=InferenceServiceSpec.model_validate(raw["spec"]),
        )
