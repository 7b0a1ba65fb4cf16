"""InferenceService: what a user asks for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from serving_api.names import ServiceKey
from serving_api.predictor import Predictor
from serving_api.rollout import Rollout
from serving_api.route import Route
from serving_api.scaling import Objective, Scaling
from serving_api.schema import Model, rule, rules

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
