"""What the tick would have been told with other replicas: recorded objects and answers, with the model's numbers in them.

Demand at the gateway and the work of each request stay as recorded. What depends on the replicas does not: how many are
there, what they complete, what is in flight, what is late, how long it stays, how busy accelerators are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from autoscaler.replay.model import Deployment, Recent, Span, late_share, mean
from autoscaler.replay.recording.moment import Number, Recorded
from autoscaler.signals.numbers import SampleLike, TargetKey, bound_of
from autoscaler.signals.observe import Observation, exact_bound
from autoscaler.signals.profiles import BUILT_IN, Profile
from autoscaler.signals.queries import Windows, of_route
from autoscaler.signals.views import AnswerLike, Answers, Failure
from autoscaler.targets import ApiObjects, Target
from serving_api.names import AUTOSCALER

_OF_SCRAPES: Final = frozenset({"sampled_at", "samples_per_minute"})
"""Signals that are no numbers of requests, and so have no parts."""


@dataclass(frozen=True)
class Instead:
    """One target's replicas in the model, beside those that were recorded."""

    target: Target
    observed: Observation
    """What was recorded."""
    deployment: Deployment
    recent: Recent

    @property
    def now(self) -> Span:
        return self.recent.spans[-1]

    def completed(self, arrived: float, seconds: float) -> float:
        """Of so many requests per second in a window those that the model's replicas complete: all but what queues."""
        spans = self.recent.over(seconds)
        return max(arrived - (spans[-1].queued - spans[0].queued) / seconds, 0.0)


def objects_with(objects: ApiObjects, instead: Mapping[TargetKey, Instead]) -> ApiObjects:
    """The recorded objects with the model's replicas, owned by the autoscaler, and nobody else who scales them."""
    deployments = [_deployment(manifest, instead.get(_key(manifest))) for manifest in objects.deployments]
    autoscalers = [
        {**manifest, "spec": {**manifest["spec"], "mode": "Auto"}} for manifest in objects.autoscalers
    ]
    return replace(
        objects,
        autoscalers=autoscalers,
        deployments=deployments,
        horizontal_pod_autoscalers=(),
        scaled_objects=(),
    )


def answers_with(answers: Answers, instead: Mapping[TargetKey, Instead], windows: Windows) -> Answers:
    """The recorded answers with the model's numbers."""
    routes = _routes(instead.values())
    return {
        name: answer
        if isinstance(answer, Failure)
        else _answer(name, _divided(answer, routes), instead, windows)
        for name, answer in answers.items()
    }


def _routes(instead: Iterable[Instead]) -> dict[TargetKey, list[Instead]]:
    """By what stands for their route in answers: targets that were seen as a part of it."""
    found: dict[TargetKey, list[Instead]] = {}
    for model in instead:
        if model.observed.gateway.part is not None:
            route = model.target.key[0], of_route(model.target.route)
            found.setdefault(route, []).append(model)
    return found


def _divided(answer: AnswerLike, routes: Mapping[TargetKey, Sequence[Instead]]) -> AnswerLike:
    """With each target's part of a route as if the gateway counted it by itself: other replicas change that alone."""
    if not routes:
        return answer
    samples = [Number(sample.labels, sample.value) for sample in answer.samples]
    for sample in answer.samples:
        labels = sample.labels
        for model in routes.get((labels.get("namespace", ""), labels.get("deployment", "")), ()):
            part = 1.0 if labels.get("signal") in _OF_SCRAPES else model.observed.gateway.part or 0.0
            own = {**labels, "deployment": model.target.key[1]}
            samples.append(Number(own, part * sample.value))
    return Recorded(samples, answer.not_finite, answer.not_finite_of)


def _answer(
    question: str, answer: AnswerLike, instead: Mapping[TargetKey, Instead], windows: Windows
) -> Recorded:
    totals = _completions(question, answer, instead)
    samples = []
    for sample in answer.samples:
        labels = sample.labels
        key = (labels.get("namespace", ""), labels.get("deployment", ""))
        value = sample.value
        if (model := instead.get(key)) is not None:
            value = _value(question, sample, model, windows, totals.get(key, 0.0))
        samples.append(Number(labels, value))
    return Recorded(samples, answer.not_finite, answer.not_finite_of)


def _value(question: str, sample: SampleLike, model: Instead, windows: Windows, completed: float) -> float:
    profile, signal = sample.labels.get("profile", ""), sample.labels.get("signal", "")
    own = model.target.profile
    match question, profile, signal:
        case "gauges", "up", "scraped":
            return float(model.now.ready)
        case "gauges", _, "in_flight":
            return model.now.in_flight
        case "gpu", _, _:
            workload = model.target.workload
            busy = sample.value * (workload.ready if workload is not None else 0)
            return min(busy / model.now.ready, 1.0) if model.now.ready else 0.0
        case "late", _, _:
            return _late(sample, model, windows)
        case "now", _, "work_sum" if profile == own.id and own.durations == "sojourn":
            return mean(model.recent.over(windows.fast), "sojourn_seconds") * completed / own.work.seconds
        case "now" | "base", _, _ if profile == own.id and own.source == "pods" and signal in own.arrivals:
            share = sample.value / completed if completed else 0.0
            if question == "now":
                return share * model.completed(model.observed.arrivals_now, windows.fast)
            return share * model.completed(model.observed.arrivals_base, windows.base)
    return sample.value


def _late(sample: SampleLike, model: Instead, windows: Windows) -> float:
    """Responses of the slow window: all that were completed, those in time as the model has it, none unanswered."""
    profile = _profile(model, sample.labels.get("profile", ""))
    signal, bound = sample.labels.get("signal", ""), bound_of(sample.labels.get("le", ""))
    if profile is None:
        return sample.value
    if profile.durations == "service":  # the tail of the work: in proportion to what is completed
        recorded = model.observed.pods.arrivals_base
        completed = model.completed(model.observed.arrivals_base, windows.base)
        return sample.value * completed / recorded if recorded else sample.value
    view = model.observed.gateway if profile.source == "gateway" else model.observed.pods
    responses = model.completed(view.arrivals_base, windows.base)
    if signal == "responses":
        return responses
    if signal != "within" or bound is None or profile.buckets is None:
        return 0.0
    threshold = model.target.spec.objective.threshold_milliseconds / 1000
    if exact_bound([bound * profile.buckets.seconds], threshold) is None:
        return min(sample.value, responses)
    return responses * (1 - late_share(model.recent.over(windows.base)))


def _completions(
    question: str, answer: AnswerLike, instead: Mapping[TargetKey, Instead]
) -> dict[TargetKey, float]:
    """What was recorded of each target's own completions, by which the model's are told apart again."""
    found: dict[TargetKey, float] = {}
    for sample in answer.samples:
        key = (sample.labels.get("namespace", ""), sample.labels.get("deployment", ""))
        model = instead.get(key)
        if model is None or sample.labels.get("profile") != model.target.profile.id:
            continue
        own, signal = model.target.profile, sample.labels.get("signal", "")
        counted = {"work_count"} if own.durations == "sojourn" and question == "now" else own.arrivals.keys()
        if signal in counted:
            found[key] = found.get(key, 0.0) + sample.value
    return found


def _profile(model: Instead, profile: str) -> Profile | None:
    own = model.target.profile
    return own if own.id == profile else BUILT_IN.get(profile)


def _key(manifest: Mapping[str, Any]) -> TargetKey:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _deployment(manifest: Mapping[str, Any], model: Instead | None) -> Mapping[str, Any]:
    if model is None:
        return manifest
    owner = {"manager": AUTOSCALER, "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    deployment = model.deployment
    return {
        **manifest,
        "metadata": {**manifest["metadata"], "managedFields": [owner]},
        "spec": {**(manifest.get("spec") or {}), "replicas": deployment.wanted},
        "status": {"replicas": deployment.wanted, "readyReplicas": deployment.ready},
    }
