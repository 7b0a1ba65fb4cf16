"""From what the audit log recorded to figures of services: pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from math import log
from typing import NamedTuple

from loadtests.figures import percentile
from loadtests.scale.audit import Request
from loadtests.scale.program import USER

CHILDREN = ("controllerrevisions", "deployments", "inferenceautoscalers", "poddisruptionbudgets", "services")
"""What a new service gets at once, one of each; its stable Service and its HTTPRoute wait for the pod."""
SETTLED = frozenset({"Ready", "UpToDate"})
_NAME = re.compile(r"[a-z]+-\d{5}")


class Place(NamedTuple):
    """Which service."""

    namespace: str
    name: str


def place_of(request: Request) -> Place | None:
    """Return the service that an object belongs to, by its name; None for objects of nobody."""
    found = _NAME.match(request.name)
    return Place(request.namespace, found[0]) if found else None


def written(requests: Iterable[Request]) -> list[Request]:
    """Return what the operator wrote, its Lease aside."""
    return [one for one in requests if one.user == USER and not one.is_read and one.resource != "leases"]


def tally(requests: Iterable[Request]) -> dict[str, int]:
    """Count requests by verb and resource, the most frequent first."""
    names = Counter(
        f"{one.verb} {one.resource}{f'/{one.subresource}' if one.subresource else ''}" for one in requests
    )
    return dict(names.most_common())


def reads_per_second(requests: Iterable[Request], seconds: float) -> float:
    """Return how often the operator asked for objects; watches are not asked for, they stand."""
    asked = [one for one in requests if one.user == USER and one.verb in ("get", "list")]
    return sum(one.resource != "leases" for one in asked) / seconds


def offered(requests: Iterable[Request]) -> dict[Place, float]:
    """Return when each service was created: when the API server received it."""
    return {
        place: one.received_seconds
        for one in requests
        if one.resource == "inferenceservices" and one.verb == "create" and one.code == 201
        if (place := place_of(one)) is not None
    }


def completed(requests: Iterable[Request]) -> dict[Place, float]:
    """Return when the last of its `CHILDREN` was created, of each service that has them all."""
    found: dict[Place, dict[str, float]] = defaultdict(dict)
    for one in written(requests):
        place = place_of(one)
        if place is not None and one.verb == "create" and one.code == 201 and one.resource in CHILDREN:
            found[place].setdefault(one.resource, one.ended_seconds)
    return {place: max(times.values()) for place, times in found.items() if len(times) == len(CHILDREN)}


def note_settled(found: MutableMapping[Place, float], requests: Iterable[Request]) -> None:
    """Note since when the status of each service says that it serves what its spec asks for, and nothing goes on."""
    for one in written(requests):
        place = place_of(one)
        if place is None or one.subresource != "status" or one.code != 200:
            continue
        if one.holds >= SETTLED and "Reconciling" not in one.holds:
            found.setdefault(place, one.ended_seconds)
        else:
            found.pop(place, None)


def delays(begun: Mapping[Place, float], ended: Mapping[Place, float]) -> list[float]:
    """Return the seconds from one moment to another of each service that has reached both."""
    return [ended[place] - at for place, at in begun.items() if place in ended]


def answers(requests: Iterable[Request], namespace: str) -> tuple[list[float], int]:
    """Return the seconds from each change of a service in a namespace to what it wrote of the InferenceAutoscaler.

    And how many changes were not answered. Changes of a service that wait together are answered together.
    """
    waiting: dict[Place, list[float]] = defaultdict(list)
    found: list[float] = []
    for one in sorted(requests, key=lambda request: request.ended_seconds):
        place = place_of(one)
        if place is None or one.namespace != namespace or one.verb != "patch" or one.subresource:
            continue
        if one.resource == "inferenceservices" and one.user != USER:
            waiting[place].append(one.received_seconds)
        elif one.resource == "inferenceautoscalers" and one.user == USER:
            found += [one.ended_seconds - at for at in waiting.pop(place, [])]
    return found, sum(map(len, waiting.values()))


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    return {f"p{percent}_seconds": round(percentile(seconds, percent), 3) for percent in (50, 99)}


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the power of x that y grows with, by least squares of the logarithms; None with fewer than two points."""
    logs = [(log(x), log(y)) for x, y in points if x > 0 and y > 0]
    mean_x, mean_y = (sum(axis) / max(1, len(logs)) for axis in zip(*logs, strict=True)) if logs else (0, 0)
    below = sum((x - mean_x) ** 2 for x, _ in logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / below if below else None
