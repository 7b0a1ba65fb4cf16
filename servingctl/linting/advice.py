"""Our own rules: what the API server accepts, and what would still surprise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from serving_api.names import COMMAND_LABELS, SERVICE_KIND
from serving_api.predictor import ModelSource
from serving_api.service import InferenceServiceSpec
from serving_operator.runtimes.built_in import MLSERVER
from servingctl.linting.schema import Violation

SPEC: Final = ("spec",)
PREDICTOR: Final = ("spec", "predictor")
MLSERVER_BOUNDS_MILLISECONDS: Final = (5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)
"""Buckets of MLServer's latency histogram, as its metrics page has them."""


def advice(manifest: dict[str, Any]) -> list[Violation]:
    """Return what to think over of a service that is valid."""
    if manifest.get("kind") != SERVICE_KIND:
        return []
    spec = InferenceServiceSpec.model_validate(manifest["spec"])
    labels = (manifest.get("metadata") or {}).get("labels") or {}
    return [found for rule in _RULES for found in rule(spec)] + list(_commands(labels))


def _commands(labels: dict[str, Any]) -> Iterator[Violation]:
    for label in COMMAND_LABELS:
        if label in labels:
            yield Violation(
                ("metadata", "labels", label),
                "a command names one attempt and is spent once it is accepted; give it by servingctl, and leave it out of the file",
            )


def _image(spec: InferenceServiceSpec) -> Iterator[Violation]:
    container = spec.predictor.container
    if container is None or "@" in container.image:
        return
    tag = container.image.rpartition("/")[2].partition(":")[2]
    if tag in ("", "latest"):
        yield Violation(
            (*PREDICTOR, "container", "image"),
            "without a tag other than latest two pods of one revision may run different images; name a tag or a digest",
        )


def _resources(spec: InferenceServiceSpec) -> Iterator[Violation]:
    name, runs = (
        ("model", spec.predictor.model) if spec.predictor.model else ("container", spec.predictor.container)
    )
    limits = (runs.resources.limits if runs and runs.resources else None) or {}
    if "memory" not in limits:
        yield Violation(
            (*PREDICTOR, name, "resources"),
            "without limits.memory one pod can take a node's memory from all others; set what the model needs",
        )


def _probes(spec: InferenceServiceSpec) -> Iterator[Violation]:
    container = spec.predictor.container
    if container is not None and container.readiness_probe is None:
        yield Violation(
            (*PREDICTOR, "container", "readinessProbe"),
            "without it a pod counts as ready once its port is open, which may be before the model is loaded; ask the server's "
            "own path",
        )


def _times(spec: InferenceServiceSpec) -> Iterator[Violation]:
    predictor, objective = spec.predictor, spec.objective
    if objective is not None and predictor.timeout * 1000 <= objective.threshold_milliseconds:
        yield Violation(
            (*PREDICTOR, "timeout"),
            f"requests are ended after {predictor.timeout} s, before objective.thresholdMilliseconds calls them late; raise it",
        )
    grace = predictor.termination_grace_period_seconds
    if grace is not None and grace < predictor.timeout:
        yield Violation(
            (*PREDICTOR, "terminationGracePeriodSeconds"),
            f"a leaving pod is killed after {grace} s, though a request may take {predictor.timeout} s; raise it above timeout",
        )


def _is_on_mlserver(model: ModelSource) -> bool:
    """Whether the built-in runtime serves a model, unless the cluster has another for its format."""
    formats = {entry["name"] for entry in MLSERVER["spec"]["supportedModelFormats"]}
    return model.runtime == MLSERVER["metadata"]["name"] or (
        model.runtime is None and model.model_format.name in formats
    )


def _objective(spec: InferenceServiceSpec) -> Iterator[Violation]:
    model = spec.predictor.model
    if spec.objective is None or model is None or not _is_on_mlserver(model):
        return
    threshold = spec.objective.threshold_milliseconds
    if threshold in MLSERVER_BOUNDS_MILLISECONDS or spec.scaling.signals is not None:
        return
    near = sorted(MLSERVER_BOUNDS_MILLISECONDS, key=lambda bound: abs(bound - threshold))[:2]
    yield Violation(
        ("spec", "objective", "thresholdMilliseconds"),
        f"MLServer's histogram has no bucket at {threshold} ms, so late requests cannot be counted there; the nearest are "
        f"{min(near)} and {max(near)}",
    )


def _evidence(spec: InferenceServiceSpec) -> Iterator[Violation]:
    analysis = spec.rollout.analysis
    if analysis is not None and analysis.source == "runtime" and spec.predictor.container is not None:
        yield Violation(
            ("spec", "rollout", "analysis", "source"),
            "runtime counts in the pods of built-in runtimes only; name the gateway, envoy-gateway or istio",
        )


def _bounds(spec: InferenceServiceSpec) -> Iterator[Violation]:
    least, most = spec.predictor.min_replicas or 1, spec.predictor.max_replicas
    if most is not None and least == most:
        yield Violation(
            (*PREDICTOR, "maxReplicas"),
            "is minReplicas: nothing is left for the autoscaler to decide; raise it",
        )


_RULES: Final[tuple[Callable[[InferenceServiceSpec], Iterator[Violation]], ...]] = (
    _image,
    _resources,
    _probes,
    _times,
    _objective,
    _evidence,
    _bounds,
)
