"""Reads history after a restart, one bounded query a tick. Whatever goes wrong costs memory, never a tick."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from autoscaler.history.rebuild import Rebuilding, SeriesLike, begun, learned, next_chunk, remembered
from autoscaler.state import LoopState
from autoscaler.targets import ApiObjects, targets_of
from serving_io.errors import SignalUnavailable

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 60.0
TOO_MUCH: Final = ("AnswerTooLarge", "Timeout")
NAMED: Final = 5


class RangeLike(Protocol):
    """An answer to a range query."""

    @property
    def series(self) -> Sequence[SeriesLike]: ...


class RangeSource(Protocol):
    """Prometheus, or what stands for it."""

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> RangeLike: ...


class Reader:
    """Goes through the last two days once."""

    def __init__(self, prometheus: RangeSource, matcher: str = "") -> None:
        self._prometheus = prometheus
        self._matcher = matcher
        self._rebuilding: Rebuilding | None = None
        self._not_before = 0.0
        self.done = False

    async def read(self, objects: ApiObjects, state: LoopState, now: float) -> LoopState:
        """Read a chunk; the state, with what was learned once all is read."""
        if self.done or now < self._not_before:
            return state
        if self._rebuilding is None:
            self._rebuilding = begun(state, now)
        rebuilding = self._rebuilding
        if rebuilding is None:
            # Nothing that the status remembers: all targets are new, or none is there yet.
            self.done = bool(state.targets)
            return state
        targets, _ = targets_of(objects)
        chunk = next_chunk(rebuilding, targets, now, self._matcher)
        if chunk is None:
            self.done, self._rebuilding = True, None
            self._tell(rebuilding, state)
            return remembered(state, rebuilding)
        try:
            answer = await self._prometheus.query_range(
                chunk.promql, chunk.begin, chunk.end, chunk.step_seconds
            )
        except SignalUnavailable as error:
            self._failed(rebuilding, error, now)
            return state
        self._rebuilding = learned(rebuilding, targets, chunk, answer.series)
        return state

    def _failed(self, rebuilding: Rebuilding, error: SignalUnavailable, now: float) -> None:
        if error.reason in TOO_MUCH and rebuilding.most_steps > 1:
            self._rebuilding = replace(rebuilding, most_steps=rebuilding.most_steps // 2)
        elif error.reason in ("Unreachable", "Timeout", "PartialAnswer"):
            self._not_before = now + RETRY_SECONDS
        else:
            self.done, self._rebuilding = True, None
            log.warning("history is not read (%s: %s): %s", error.reason, error.message, LEARNED_ANEW)

    def _tell(self, rebuilding: Rebuilding, state: LoopState) -> None:
        empty = sorted(
            uid for uid, past in rebuilding.pasts.items() if uid in state.targets and not past.steps
        )
        log.info("history is read for %d targets", len(rebuilding.pasts) - len(empty))
        if empty:
            named = ", ".join(empty[:NAMED]) + (" and others" if len(empty) > NAMED else "")
            log.warning("Prometheus has no history of %d targets (%s): %s", len(empty), named, LEARNED_ANEW)


LEARNED_ANEW: Final = (
    "what comes by the clock, and what must be stood by for, is learned anew within two days"
)
