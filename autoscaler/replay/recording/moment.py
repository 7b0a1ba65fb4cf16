"""What a recording holds: moments, each with all that a tick was decided from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from autoscaler.signals.views import Answers
from autoscaler.targets import ApiObjects

FORMAT: Final = "serving-replay"
VERSION: Final = 1
KINDS: Final = ("autoscalers", "deployments", "horizontal_pod_autoscalers", "scaled_objects")


@dataclass(frozen=True, slots=True)
class Number:
    """One element of a recorded answer."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Recorded:
    """A recorded answer."""

    samples: Sequence[Number]
    not_finite: int = 0
    not_finite_of: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class Moment:
    """All that one tick was decided from, and what was decided, if that is known."""

    at: float
    """Seconds since 1970."""
    objects: ApiObjects
    asked: Mapping[str, str]
    """PromQL by name of the question."""
    answers: Answers
    decided: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """Replicas and reason, by uid of the InferenceAutoscaler."""
    matcher: str = ""
    """What was added to every selector of the questions."""
