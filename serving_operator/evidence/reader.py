"""The task that reads evidence: it knows what is wanted, asks when a window has ended, and keeps what was counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from serving_api.names import ServiceKey
from serving_io.errors import SignalUnavailable
from serving_io.prometheus import Answer, RangeAnswer
from serving_operator.evidence import queries
from serving_operator.evidence.counting import Tally
from serving_operator.evidence.questions import Question
from serving_operator.evidence.reading import (
    Reading,
    counted,
    due_at,
    nothing_yet,
    reading,
    spellings,
    stale,
)
from serving_operator.evidence.sources import Source, source_of
from serving_operator.judge.windows import GRID_SECONDS, NOT_YET_READ, Evidence, Missing

RETRY_SECONDS: Final = 10.0
SPACING_SECONDS: Final = float(GRID_SECONDS)
"""Least time between two rounds: windows that end at about the same time are read together."""

log = logging.getLogger(__name__)


class PrometheusLike(Protocol):
    """What the reader asks of Prometheus; both raise `SignalUnavailable`."""

    async def query(self, promql: str, at: float | None = None) -> Answer: ...
    async def query_range(
        self, promql: str, start: float, end: float, step_seconds: float
    ) -> RangeAnswer: ...


NOT_CONFIGURED: Final = Missing(
    "PrometheusNotConfigured",
    "The operator was not told where Prometheus is; set prometheus.url in the ConfigMap serving-config (or "
    "--prometheus-url) and restart it.",
    needs_person=True,
)


@dataclass
class _Entry:
    question: Question
    source: Source | Missing
    evidence: Evidence


class EvidenceReader:
    """Evidence by service. `track` and `evidence` never wait; `run` reads for as long as it runs."""

    def __init__(
        self,
        prometheus: PrometheusLike | None,
        *,
        matcher: str = "",
        changed: Callable[[ServiceKey], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._prometheus = prometheus
        self._matcher = matcher
        self._changed = changed
        self._now = now
        self._entries: dict[ServiceKey, _Entry] = {}
        self._bounds: dict[str, dict[float, str]] = {}
        self._wake = asyncio.Event()

    def track(self, key: ServiceKey, question: Question | None) -> None:
        """Say what is wanted of a service now: another question begins anew, None ends it."""
        known = self._entries.get(key)
        if question is None:
            self._entries.pop(key, None)
        elif known is None or known.question != question:
            source = NOT_CONFIGURED if self._prometheus is None else _source(question)
            evidence = nothing_yet(question, self._now())
            if isinstance(source, Missing):
                evidence = replace(evidence, missing=source)
            self._entries[key] = _Entry(question, source, evidence)
            self._wake.set()

    def evidence(self, key: ServiceKey) -> Evidence | None:
        """What was counted for the step under way; None where nothing is wanted."""
        entry = self._entries.get(key)
        return entry.evidence if entry else None

    async def run(self) -> None:
        """Read windows as they end, until cancelled."""
        while True:
            wait = await self.round()
            await asyncio.sleep(SPACING_SECONDS)
            left = None if wait is None else max(0.0, wait - SPACING_SECONDS)
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def round(self) -> float | None:
        """Read what is due. Returns the seconds until the next window is; None if nothing is wanted."""
        self._wake.clear()
        if self._prometheus is None:
            return None
        failed = False
        for source in self._sources():
            try:
                while await self._read_some(self._prometheus, source):
                    pass
            except SignalUnavailable as error:
                failed = True
                log.warning("evidence of %s: %s", source.id, error)
                self._tell(source, _failure(error))
            except Exception:  # one source that cannot be understood must not end the process
                failed = True
                log.exception("evidence of %s cannot be read", source.id)
                self._tell(
                    source,
                    Missing("Unreadable", "The answers of Prometheus cannot be understood; see the log."),
                )
        if failed:
            return RETRY_SECONDS
        return self._until_due()

    def _sources(self) -> list[Source]:
        """Sources in use, each once."""
        found = {
            entry.source.id: entry.source
            for entry in self._entries.values()
            if isinstance(entry.source, Source)
        }
        return [found[name] for name in sorted(found)]

    def _entries_of(self, source: Source) -> list[_Entry]:
        return [entry for entry in self._entries.values() if entry.source is source]

    def _until_due(self) -> float | None:
        return min(
            (
                due_at(entry.question, len(entry.evidence.windows)) - self._now()
                for entry in self._entries.values()
                if isinstance(entry.source, Source)
            ),
            default=None,
        )

    async def _read_some(self, prometheus: PrometheusLike, source: Source) -> bool:
        """Read one stretch of time. Returns whether there was one, so that there may be another."""
        now = self._now()
        due = reading(
            {entry.question: len(entry.evidence.windows) for entry in self._entries_of(source)}, now
        )
        if due is None:
            return False
        pulse = await prometheus.query(queries.pulse_question(self._matcher))
        newest = max((sample.value for sample in pulse), default=None)
        if (blind := stale(newest, now)) is not None:
            self._tell(source, blind)
            return False
        bounds = await self._bounds_for(prometheus, source, due)
        tally = await self._asked(prometheus, source, due, bounds)
        for entry in self._entries_of(source):
            if indices := due.windows.get(entry.question):
                evidence = counted(entry.evidence, entry.question, indices, tally, bounds)
                if due_at(entry.question, len(evidence.windows)) <= now:
                    evidence = replace(evidence, missing=evidence.missing or NOT_YET_READ)
                self._keep(entry, evidence)
        return True

    async def _bounds_for(self, prometheus: PrometheusLike, source: Source, due: Reading) -> dict[float, str]:
        """The histogram's bounds; asked again while an objective is not among them."""
        known = self._bounds.get(source.id, {})
        if not all(float(question.threshold_milliseconds) in known for question in due.windows):
            answer = await prometheus.query(queries.bounds_question(source, self._matcher))
            known = spellings((sample.labels.get("le", "") for sample in answer), source)
            self._bounds[source.id] = known
        return known

    async def _asked(
        self, prometheus: PrometheusLike, source: Source, due: Reading, bounds: dict[float, str]
    ) -> Tally:
        wanted = {bounds.get(float(question.threshold_milliseconds)) for question in due.windows}
        asked = queries.questions(source, (bound for bound in wanted if bound is not None), self._matcher)
        asked |= {
            "": queries.pulse_question(self._matcher),
            "failing": queries.failing_question(self._matcher),
        }
        answers = await asyncio.gather(
            *(prometheus.query_range(promql, due.start, due.end, GRID_SECONDS) for promql in asked.values())
        )
        found = dict(zip(asked, answers, strict=True))
        pulse, failing = found.pop(""), found.pop("failing")
        tally = Tally(
            source,
            pulse={at: value for series in pulse for at, value in series.points},
            failing={
                queries.exporter_of(series.labels): [at for at, _ in series.points] for series in failing
            },
            not_finite=sum(answer.not_finite for answer in found.values()),
        )
        for signal, answer in found.items():
            tally.add(signal, answer)
        return tally

    def _tell(self, source: Source, missing: Missing) -> None:
        """Let those whose windows are due know why they are not read."""
        now = self._now()
        for entry in self._entries_of(source):
            if due_at(entry.question, len(entry.evidence.windows)) <= now:
                self._keep(entry, replace(entry.evidence, missing=missing))

    def _keep(self, entry: _Entry, evidence: Evidence) -> None:
        """Keep evidence, unless the question is another one by now."""
        if self._entries.get(entry.question.key) is not entry or entry.evidence == evidence:
            return
        entry.evidence = evidence
        self._changed(entry.question.key)


def _source(question: Question) -> Source | Missing:
    return source_of(question.source, question.profiles)


def _failure(error: SignalUnavailable) -> Missing:
    """What the status says: without the error's own words, which differ from one time to the next."""
    if error.reason in ("Unreachable", "Timeout"):
        return Missing(
            "PrometheusUnreachable",
            "Prometheus does not answer; check that it runs and that prometheus.url names it. The operator's log has "
            "the error.",
        )
    if error.reason == "PartialAnswer":
        return Missing(
            error.reason,
            "Prometheus warns that its answer lacks what a store or a remote read holds; bring that back. The "
            "operator's log has the warning.",
        )
    return Missing(
        error.reason,
        "Prometheus gives no usable answer; the operator's log has the query and the error.",
    )
