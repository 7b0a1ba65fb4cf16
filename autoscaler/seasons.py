"""Demand that comes by the clock: at the same minute of every hour, in the same minutes of every day.

Only what nothing else had forecast is learned. What was there in the last round is foretold for the next one, as high
as it has been lately. A season is believed as long as enough of what it foretold did come: it foretells from its first
round on, but is listened to only once it was right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoscaler.learn import left_of_evidence
from autoscaler.values import changed

BELIEVED_SHARE: Final = 0.3
"""Part of what was foretold that must have come."""
NEWS_RATIO: Final = 1.15
"""What is less above the other forecast is not foretold: sizing carries it."""
KEPT_HEIGHT: Final = 0.9
"""Of the highest peak, each round."""


@dataclass(frozen=True, eq=False)
class Season:
    """Peaks by slot of a period, in requests per second."""

    period_seconds: float
    slot_seconds: float
    peaks: NDArray[np.float32] | None = None
    """The peak of each slot in the last round: 0 where nothing was new, NaN where nothing was seen."""
    heights: NDArray[np.float32] | None = None
    """The highest peak of each slot, a little less each round."""
    slot: int = -1
    """Slots since the epoch, of the one that lasts."""
    peak: float = 0.0
    is_foretold: bool = False
    """Whether more was foretold for this slot than otherwise forecast."""
    foretold: float = 0.0
    came: float = 0.0

    def with_rate(self, now: float, rate: float, otherwise: float) -> Season:
        """See a rate, where `otherwise` was forecast for this moment without the season."""
        slot = int(now // self.slot_seconds)
        season = self if slot == self.slot else changed(self._ended(), slot=slot, peak=0.0, is_foretold=False)
        news = rate if rate > NEWS_RATIO * otherwise else 0.0
        foretold = season.is_foretold or (season._said(slot) or 0.0) > NEWS_RATIO * otherwise
        if news <= season.peak and foretold == season.is_foretold:
            return season
        return changed(season, peak=max(season.peak, news), is_foretold=foretold)

    def ahead(self, now: float, horizon_seconds: float) -> float:
        """The highest rate from now to the horizon; 0 while the season is not believed."""
        if not self.believed:
            return 0.0
        slots = range(int(now // self.slot_seconds), int((now + horizon_seconds) // self.slot_seconds) + 1)
        return max(self._said(slot) or 0.0 for slot in slots)

    def said(self, now: float) -> float | None:
        """What was foretold for this moment: the slot that lasts, and the one before, whose replicas still run.

        None where this time of the period was not seen yet.
        """
        slot = int(now // self.slot_seconds)
        here, before = self._said(slot), self._said(slot - 1)
        return None if here is None else max(here, before or 0.0)

    @property
    def believed(self) -> bool:
        """Whether enough of what it foretold came."""
        return self.foretold > 0 and self.came >= BELIEVED_SHARE * self.foretold

    def _said(self, slot: int) -> float | None:
        if self.peaks is None or self.heights is None:
            return None
        place = slot % len(self.peaks)
        last = float(self.peaks[place])
        return None if math.isnan(last) else float(self.heights[place]) if last > 0 else 0.0

    def _ended(self) -> Season:
        """Judge what was foretold for the slot that has ended, and write down its peak."""
        if self.slot < 0:
            return self
        kept = left_of_evidence(self.slot_seconds)
        foretold, came = self.foretold * kept, self.came * kept
        if self.is_foretold:
            said = self._said(self.slot) or 0.0
            foretold, came = foretold + said, came + min(said, self.peak)
        count = round(self.period_seconds / self.slot_seconds)
        empty = np.full(count, math.nan, dtype=np.float32)
        peaks = empty if self.peaks is None else self.peaks.copy()
        heights = np.zeros(count, dtype=np.float32) if self.heights is None else self.heights.copy()
        place = self.slot % count
        peaks[place], heights[place] = self.peak, max(self.peak, KEPT_HEIGHT * float(heights[place]))
        return changed(self, peaks=peaks, heights=heights, foretold=foretold, came=came)


HOUR: Final = Season(3600.0, 60.0)
DAY: Final = Season(86400.0, 300.0)
