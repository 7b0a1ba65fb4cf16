"""The terminal: what is done and why, line by line, and beneath it a live table of what is so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from loadtests.demo.evidence import Tally, in_words
from loadtests.demo.observation import Snapshot
from loadtests.figures import Interval, interval
from loadtests.record import Record

WINDOW_SECONDS = 10.0
_REFRESH_SECONDS = 0.5
_LINE_SECONDS = 10.0
_SHOWN_CONDITIONS = (
    "Ready",
    "Servable",
    "UpToDate",
    "RouteProgrammed",
    "CanaryHealthy",
    "Reconciling",
    "Stalled",
)


@dataclass(frozen=True)
class View:
    """What is shown of one moment."""

    snapshot: Snapshot
    records: Sequence[Record]
    rate_wanted: float
    seconds: float
    tally: Tally | None
    """The latest evidence of the canary under way."""


def table(shown: View, recent: Interval) -> RenderableType:
    """Return the picture of one moment."""
    snapshot = shown.snapshot
    load = Text.assemble(
        (f"{shown.seconds:4.0f} s  ", "dim"),
        (f"{recent.rate_per_second:.1f}/s", "bold"),
        f" of {shown.rate_wanted:g} wanted   p50 {recent.p50_seconds * 1000:.0f} ms   ",
        (f"p99 {recent.p99_seconds * 1000:.0f} ms", "bold"),
        "   late ",
        (f"{recent.late_fraction:.1%}", "red" if recent.late_fraction > 0.05 else "green"),
        "   bad ",
        (str(recent.not_2xx), "red" if recent.not_2xx else "green"),
        f"   (last {WINDOW_SECONDS:.0f} s)",
    )
    rows = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("revision", "role", "weight", "ready/desired"):
        rows.add_column(name, no_wrap=True)
    rows.add_column("the autoscaler says", overflow="fold", ratio=1)
    for revision, replicas in snapshot.replicas.items():
        rows.add_row(
            revision,
            role(snapshot, revision),
            f"{snapshot.weights.get(revision, 0):.0f}%",
            f"{replicas.ready}/{replicas.desired}",
            snapshot.decisions.get(revision, ""),
        )
    conditions = Text("  ").join(
        Text(
            f"{name}={view.status}" + (f" ({view.reason})" if view.reason != name else ""),
            style=_tone(name, view.status),
        )
        for name in _SHOWN_CONDITIONS
        if (view := snapshot.conditions.get(name))
    )
    parts: list[RenderableType] = [load, rows, conditions]
    if snapshot.canary and snapshot.canary.verdict:
        parts.append(Text(f"canary {snapshot.canary.id}: {snapshot.canary.verdict}", style="dim"))
    if shown.tally:
        parts.append(Text(f"evidence of {shown.tally.attempt}, {in_words(shown.tally)}", style="bold"))
    return Group("", *parts)


def role(snapshot: Snapshot, revision: str) -> str:
    """Return what a revision is at the moment."""
    if revision == snapshot.stable:
        return "stable"
    if snapshot.canary and snapshot.canary.revision == revision:
        return "canary"
    return "candidate" if not snapshot.stable else "leaving"


def line(view: View, recent: Interval) -> str:
    """Return the same picture as one line, for output that is no terminal."""
    snapshot = view.snapshot
    revisions = ", ".join(
        f"{revision} {role(snapshot, revision)} {replicas.ready}/{replicas.desired} at "
        f"{snapshot.weights.get(revision, 0):.0f}%"
        for revision, replicas in snapshot.replicas.items()
    )
    return (
        f"[{view.seconds:3.0f} s] {recent.rate_per_second:.1f}/s, p99 {recent.p99_seconds * 1000:.0f} ms, "
        f"late {recent.late_fraction:.1%}, bad {recent.not_2xx}; {revisions}"
        + (f"; evidence, {in_words(view.tally)}" if view.tally else "")
    )


class Display:
    """Prints lines at once; while entered it also keeps the table fresh."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live: Live | None = None
        self._task: asyncio.Task[None] | None = None
        self._source: Callable[[], View] | None = None
        self._threshold_seconds = 0.5

    def say(self, sentence: str) -> None:
        """Print one line: a command as it is typed, or what happens and why."""
        if sentence.startswith("$ "):
            self._console.print(Text(sentence, style="bold cyan"), soft_wrap=True)
        else:
            self._console.print(Text(sentence), soft_wrap=True)

    def show(self, source: Callable[[], View], threshold_seconds: float) -> Self:
        """Name where the table comes from."""
        self._source, self._threshold_seconds = source, threshold_seconds
        return self

    async def __aenter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._task = asyncio.create_task(self._refresh(), name="display")
        return self

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._live:
            self._live.stop()
            self._live = None

    async def _refresh(self) -> None:
        assert self._source is not None, "show() is called first"
        while True:
            await asyncio.sleep(_REFRESH_SECONDS if self._live else _LINE_SECONDS)
            view = self._source()
            begin = max(0.0, view.seconds - WINDOW_SECONDS)
            recent = interval(view.records[-1000:], begin, view.seconds, self._threshold_seconds)
            if self._live:
                self._live.update(table(view, recent), refresh=True)
            else:
                self._console.print(line(view, recent), soft_wrap=True, markup=False)


def _tone(name: str, status: str) -> str:
    if name in ("Reconciling", "Stalled"):
        return "red" if name == "Stalled" and status == "True" else "yellow"
    return {"True": "green", "False": "red"}.get(status, "yellow")
