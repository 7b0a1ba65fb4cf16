"""What users do in a soak, and faults that come meanwhile: drawn by chance, the same for the same seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

from loadtests.soak.services import Kind

Story = Literal[
    "promotes-itself",
    "aborts-itself",
    "promoted",
    "aborted",
    "superseded",
    "reverted",
    "never-ready",
    "bounds",
    "objective",
    "load",
    "child-deleted",
    "created-anew",
]
Fault = Literal[
    "model-killed",
    "prometheus-away",
    "gateway-killed",
    "api-server-killed",
    "operator-killed",
    "autoscaler-killed",
]
STORIES: Final[Sequence[Story]] = get_args(Story)
FAULTS: Final[Sequence[Fault]] = get_args(Fault)
OF_PROGRAMS: Final = ("operator-killed", "autoscaler-killed")
"""Faults that end a process whose growth is measured."""
COSTS_REQUESTS: Final = ("model-killed",)
"""Faults that take with them what a pod held: its clients may see it."""
EACH: Final[Mapping[Story, str]] = {
    "promotes-itself": "a good version, judged: it becomes stable",
    "aborts-itself": "a version that fails, judged: it is rejected",
    "promoted": "a good version, promoted by its label: it becomes stable",
    "aborted": "a good version, aborted by its label: it is rejected",
    "superseded": "a good version, and another one before it is done: the second becomes stable",
    "reverted": "a good version, taken back before it is done: there is no canary, and stable is what it was",
    "never-ready": "a version that cannot start: it is rejected at its deadline",
    "bounds": "minReplicas goes up or down: no revision, and so many pods are ready",
    "objective": "the objective is edited: no revision",
    "load": "another rate",
    "child-deleted": "one of the service's objects is deleted: it is there again",
    "created-anew": "the service is deleted with all that it made, and made anew",
}
_WEIGHTS: Final[Mapping[Kind, Mapping[Story, int]]] = {
    "judged": {
        "promotes-itself": 5, "aborts-itself": 4, "promoted": 1, "aborted": 1, "superseded": 1, "never-ready": 1,
        "bounds": 1, "objective": 1, "load": 4, "child-deleted": 1, "created-anew": 1,
    },
    "manual": {
        "promoted": 5, "aborted": 3, "superseded": 2, "reverted": 2, "never-ready": 1,
        "bounds": 2, "objective": 1, "load": 4, "child-deleted": 2, "created-anew": 1,
    },
}  # fmt: skip
RATES: Final = (2.0, 4.0, 7.0, 10.0)
"""Requests per second of a service."""
PAUSE_SECONDS: Final = (3.0, 20.0)
"""Between two stories of a service."""
BETWEEN_FAULTS_SECONDS: Final = (20.0, 90.0)


def next_story(chance: random.Random, kind: Kind) -> Story:
    """Draw what happens next to a service."""
    weights = _WEIGHTS[kind]
    return chance.choices(list(weights), list(weights.values()))[0]


def next_fault(chance: random.Random, *, programs: bool) -> Fault:
    """Draw a fault; without `programs` none of those that end operator or autoscaler."""
    return chance.choice([fault for fault in FAULTS if programs or fault not in OF_PROGRAMS])
