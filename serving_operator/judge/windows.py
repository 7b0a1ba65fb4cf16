"""What is counted, and what is found: the values between evidence, judge and rollout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

Verdict = Literal["Good", "Bad", "Inconclusive"]

GRID_SECONDS = 5
"""Windows begin at a multiple of this at or after the start of the step."""


class Window(NamedTuple):
    """Requests and bad ones (late or failed) of canary and stable in one window."""

    requests: int
    bad: int
    stable_requests: int
    stable_bad: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What is good enough: shares of bad requests, from 0 to 1."""

    acceptable_ratio: float
    unacceptable_ratio: float
    minimum_requests: int = 0
    """Requests of the canary below which nothing is Good."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no evidence where there should be: a reason in CamelCase, and a sentence with the remedy."""

    reason: str
    message: str
    needs_person: bool = False
    """Whether it stays so until somebody changes something; the others pass by themselves."""


NOT_YET_READ: Final = Missing(
    "NotYetRead", "Windows of this step that have ended are being read from Prometheus; nothing to do."
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a source has counted for one step of one attempt, windows oldest first."""

    attempt: str
    """The attempt's id."""
    started_at: datetime
    """Start of the step that the windows are anchored at."""
    source: str
    windows: tuple[Window, ...] = ()
    missing: Missing | None = None
    blind_windows: int = 0
    """Those of the windows in which Prometheus scraped nothing: they say nothing, and their time is nobody's."""
    limits: Limits | None = None
    """What the judge goes by, for those who show what it makes of the windows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the judge says of a step, and from what."""

    verdict: Verdict
    windows: int
    requests: int
    bad: int
    stable_requests: int
    stable_bad: int
    worse: float
    """The e-value of "worse than stable": 1 says nothing, its bound aborts."""
    good_enough: float
    """The likelihood ratio of acceptable to unacceptable: 1 says nothing, its bound advances."""


def totals(windows: Sequence[Window]) -> Window:
    """The sums over all windows."""
    return Window(*(sum(column) for column in zip(*windows, strict=True))) if windows else Window(0, 0, 0, 0)
