"""How a new revision takes over: steps, how they are judged, and how long things may take."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from serving_api.schema import Model, rule, rules


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
