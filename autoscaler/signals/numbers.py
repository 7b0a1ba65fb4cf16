"""The numbers of all answers of a tick, found by target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import itemgetter
from typing import Final, Protocol

TargetKey = tuple[str, str]
"""Namespace and name of a Deployment."""

_NAMES: Final = ("namespace", "deployment", "profile", "signal")
_named = itemgetter(*_NAMES)


class SampleLike(Protocol):
    """One number of an instant query."""

    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def value(self) -> float: ...


def bound_of(le: str) -> float | None:
    """The bound that a label `le` tells; None if it is no number: a pod may export any text."""
    try:
        bound = float(le)
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _key(labels: Mapping[str, str]) -> TargetKey:
    return labels.get("namespace", ""), labels.get("deployment", "")


class Numbers:
    """Finite numbers by target, question, profile and signal; those of histograms by bound, in the metric's own unit."""

    def __init__(self) -> None:
        self._not_finite: set[TargetKey] = set()
        self._not_finite_anywhere = False
        self._values: dict[TargetKey, dict[tuple[str, str, str], float]] = {}
        self._within: dict[tuple[TargetKey, str], dict[float, float]] = {}
        self._bounds: dict[str, set[float]] = {}

    def put(self, question: str, samples: Sequence[SampleLike]) -> None:
        """Add an answer. In one loop: at ten thousand targets there are hundreds of thousands of samples in a tick."""
        of_target, isfinite = self._values, math.isfinite
        for sample in samples:
            labels, value = sample.labels, sample.value
            if not isfinite(value):
                self.put_not_finite(1, [labels])
                continue
            try:
                namespace, deployment, profile, signal = _named(labels)
            except KeyError:
                namespace, deployment, profile, signal = (labels.get(name, "") for name in _NAMES)
            key = (namespace, deployment)
            if "le" in labels:
                if (bound := bound_of(labels["le"])) is not None:
                    self._within.setdefault((key, profile), {})[bound] = value
                    self._bounds.setdefault(profile, set()).add(bound)
            elif (values := of_target.get(key)) is not None:
                values[question, profile, signal] = value
            else:
                of_target[key] = {(question, profile, signal): value}

    def put_not_finite(self, count: int, of: Sequence[Mapping[str, str]]) -> None:
        """Add `count` values of an answer that were no numbers, with the labels of those that had any."""
        labelled = [labels for labels in of if labels]
        self._not_finite |= {_key(labels) for labels in labelled}
        self._not_finite_anywhere |= count > len(labelled)

    def not_finite(self, key: TargetKey) -> bool:
        """Whether a value of the target may have been none. One without labels may be anybody's."""
        return self._not_finite_anywhere or key in self._not_finite

    def value(self, key: TargetKey, question: str, profile: str, signal: str) -> float | None:
        """One number, if it was answered."""
        return self._values.get(key, {}).get((question, profile, signal))

    def of(self, key: TargetKey) -> Mapping[tuple[str, str, str], float]:
        """All of a target, by question, profile and signal."""
        return self._values.get(key, {})

    def within(self, key: TargetKey, profile: str) -> Mapping[float, float]:
        """A target's rates of responses by the bounds of its own histogram."""
        return self._within.get((key, profile), {})

    def bounds(self, profile: str) -> AbstractSet[float]:
        """The bounds that any histogram has."""
        return self._bounds.get(profile, set())
