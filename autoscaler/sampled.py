"""Since when the samples of a source have come without a gap: over more than that its rates are too low."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from autoscaler.signals.expected import Freshness
from autoscaler.signals.queries import LONGEST_COVERED, Windows
from autoscaler.signals.views import Gate, View
from autoscaler.values import changed

FULL_MINUTE: Final = 0.6
"""Share of the samples of a minute below which some are taken to be missing."""
ALIKE: Final = 0.2
"""By so much two intervals may differ."""
REGULAR: Final = 1.5
"""Times the interval that the samples of a minute tell: one that was no longer away is only scraped rarely."""


@dataclass(frozen=True)
class Sampled:
    """What is known of the samples of one source."""

    at: float | None = None
    """Time of the newest that Prometheus has told of."""
    before: float = -math.inf
    """Of the last one before the last gap that is known."""
    since: float = -math.inf
    """From when on rates count what came after it."""
    missed: bool = False
    """Whether nothing told of new ones at the last tick."""
    away: float | None = None
    """Seconds between the last two that are known."""

    def seeing(self, view: View, count: float | None, freshness: Freshness) -> Sampled:
        """See the source, of which there were `count` samples in the last minute. Samples that were only late fill a gap."""
        newest, before, since, usual = view.sampled_at, self.before, self.since, self.away
        if newest is not None and self.at is not None:
            away = newest - self.at
            usual = away if away > 0 else usual
            if self.missed and count is not None and _is_gap(away, count, freshness, self.away):
                # Of those of a minute some may be from before it.
                later = max(count - max(60 - away, 0.0) / freshness.scrape_seconds, 1.0)
                # From half an interval before the first of them a rate is extrapolated.
                before, since = self.at, newest - (later - 0.5) * freshness.scrape_seconds
            newest = max(newest, self.at)
        # A Prometheus that did not answer may not have scraped either: its restart is both.
        missed = view.gate in (Gate.STALE, Gate.MISSING) or (self.missed and newest is None)
        return changed(self, at=newest or self.at, before=before, since=since, missed=missed, away=usual)

    def missing(self, windows: Windows, now: float) -> tuple[float, float]:
        """By what rates over the fast and the slow window are to be multiplied."""
        shortest = windows.fast / LONGEST_COVERED
        return self._missing(windows.fast, shortest, now), self._missing(windows.base, shortest, now)

    def _missing(self, window: float, shortest: float, now: float) -> float:
        """A rate is over all of its window. What it counts is that, too, if it has a sample of before the gap: counters go on."""
        if now - window <= self.before:
            return 1.0
        return max(window / max(now - self.since, shortest), 1.0)


def _is_gap(away_seconds: float, count: float, freshness: Freshness, usual_seconds: float | None) -> bool:
    full = count * freshness.scrape_seconds >= 60 * FULL_MINUTE
    regular = count >= 2 and away_seconds * count <= 60 * REGULAR
    # One in a minute says nothing by itself; twice as long in a row is how often they come.
    if usual_seconds is not None and abs(away_seconds - usual_seconds) <= ALIKE * usual_seconds:
        regular = True
    return away_seconds > freshness.stale_seconds and not full and not regular
