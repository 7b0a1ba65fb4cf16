"""From questions and answers to evidence: which windows are due, what is asked for them, what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from serving_operator.evidence.counting import HISTORY_SECONDS, Tally
from serving_operator.evidence.questions import Question
from serving_operator.evidence.sources import Source
from serving_operator.judge.windows import GRID_SECONDS, NOT_YET_READ, Evidence, Missing, Window

SETTLE_SECONDS: Final = 20
"""How long after its end a window is read. What a scrape began before the end may arrive until its time-out (10 s unless
configured), and storage takes its time. Scrape intervals up to 60 s work; a window should last at least two of them."""
CHUNK_SECONDS: Final = 1800
"""Time that one reading covers, unless a single window is longer: bounds the answer after a restart."""
STALE_SECONDS: Final = 90
"""Age of the newest sample of all at which Prometheus is taken to see nothing: a scrape interval of 60 s, and half."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A stretch of time to ask for, in seconds since 1970, and the windows that end in it, by question."""

    start: int
    end: int
    windows: Mapping[Question, tuple[int, ...]]
    """Indices of the windows to count."""


def nothing_yet(question: Question, now: float) -> Evidence:
    """The evidence of a question that was not asked yet; what was due before is missing until it is read."""
    missing = NOT_YET_READ if due_at(question, 0) <= now else None
    return Evidence(
        question.attempt, question.started_at, question.source, missing=missing, limits=question.limits
    )


def due_at(question: Question, index: int) -> float:
    """When a window may be read, in seconds since 1970."""
    return question.window(index)[1] + SETTLE_SECONDS


def reading(read: Mapping[Question, int], now: float) -> Reading | None:
    """What to ask next for questions of which so many windows are read; None if no window is due."""
    due = {question: _due(question, index, now) for question, index in read.items()}
    due = {question: indices for question, indices in due.items() if indices}
    if not due:
        return None
    starts = [question.window(indices[0])[0] for question, indices in due.items()]
    first_ends = [question.window(indices[0])[1] for question, indices in due.items()]
    end = max(min(starts) + CHUNK_SECONDS, min(first_ends))
    within = {
        question: tuple(index for index in indices if question.window(index)[1] <= end)
        for question, indices in due.items()
    }
    within = {question: indices for question, indices in within.items() if indices}
    start = min(question.window(indices[0])[0] for question, indices in within.items())
    last = max(question.window(indices[-1])[1] for question, indices in within.items())
    return Reading(
        math.floor((start - HISTORY_SECONDS) / GRID_SECONDS) * GRID_SECONDS,
        math.floor(last / GRID_SECONDS) * GRID_SECONDS,
        within,
    )


def _due(question: Question, index: int, now: float) -> tuple[int, ...]:
    ended = math.floor((now - SETTLE_SECONDS - question.anchor) / question.window_seconds)
    return tuple(range(index, max(index, ended)))


def spellings(bounds: Iterable[str], source: Source) -> dict[float, str]:
    """The bounds of a histogram in milliseconds, as its labels spell them; of several spellings the shortest."""
    found: dict[float, str] = {}
    for text in sorted(bounds, key=lambda text: (-len(text), text)):
        try:
            milliseconds = float(text) * source.milliseconds
        except ValueError:
            continue
        if math.isfinite(milliseconds):
            found[round(milliseconds, 6)] = text
    return found


def counted(
    evidence: Evidence, question: Question, indices: Sequence[int], tally: Tally, bounds: Mapping[float, str]
) -> Evidence:
    """The evidence with these windows counted. One that cannot be is four zeros, and the latest says what is missing."""
    bound = bounds.get(float(question.threshold_milliseconds))
    canary, stable = (question.backend(revision) for revision in (question.canary, question.stable))
    windows, missing, blind = list(evidence.windows), None, evidence.blind_windows
    for index in indices:
        start, end = question.window(index)
        blind += not tally.was_scraped(start, end)
        missing = _missing(question, tally, bounds, start, end)
        if any(tally.lacks_bound(backend, bound, start, end) for backend in (canary, stable)):
            windows.append(Window(0, 0, 0, 0))
            continue
        ours, theirs = (tally.counts(backend, bound, start, end) for backend in (canary, stable))
        windows.append(Window(*ours, *theirs))
    return replace(evidence, windows=tuple(windows), missing=missing, blind_windows=blind)


def _missing(
    question: Question, tally: Tally, bounds: Mapping[float, str], start: float, end: float
) -> Missing | None:
    source = tally.source
    bound = bounds.get(float(question.threshold_milliseconds))
    canary, stable = (question.backend(revision) for revision in (question.canary, question.stable))
    for backend in (canary, stable):
        if tally.lacks_bound(backend, bound, start, end):
            return Missing(
                "ObjectiveNotMeasurable", _nearest(question, source, bounds, backend), needs_person=True
            )
    if tally.has_series(stable, start, end):
        return None  # a canary without series where stable has some got no request
    if (question.key.namespace, question.key.name) in tally.routes:
        return Missing(
            "SplitNotVisible",
            "The gateway's Envoy counts all backends of the route together; set analysis.source to runtime, or use a "
            "gateway that makes a cluster named after each backend (httproute/…/backend/<service>).",
            needs_person=True,
        )
    if tally.not_finite:
        return Missing(
            "NotFinite",
            f"Prometheus answers NaN or infinity where {source.presence.name} is asked for; check the metric.",
        )
    return Missing(
        "NoSeries",
        f"Prometheus has no {source.presence.name} of {stable[1]} in the latest window: check that its scrape "
        "configuration finds what exports it (manifests/prometheus/scrape-config.yaml), and that requests come.",
    )


def _nearest(
    question: Question, source: Source, bounds: Mapping[float, str], backend: tuple[str, str]
) -> str:
    wanted = question.threshold_milliseconds
    below = max((bound for bound in bounds if bound < wanted), default=None)
    above = min((bound for bound in bounds if bound > wanted), default=None)
    near = " and ".join(f"{bound:g} ms" for bound in (below, above) if bound is not None)
    if float(wanted) in bounds:
        near += f", and {wanted} ms elsewhere but not for {backend[1]}"
    return (
        f"The histogram {source.buckets.name} has no bucket at {wanted} ms, so late requests cannot be counted; the "
        f"nearest bounds are {near or 'unknown'}: {source.remedy}."
    )


def stale(newest: float | None, now: float) -> Missing | None:
    """What is missing if Prometheus itself sees nothing now; `newest` is its newest sample, None if it has none."""
    if newest is None or now - newest <= STALE_SECONDS:
        return None
    return Missing(
        "Stale",
        f"The newest sample that Prometheus has is older than {STALE_SECONDS} s; check that it scrapes, and its clock.",
    )
