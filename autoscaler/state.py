"""What the loop remembers from tick to tick: values, no connections. Lost state is learned again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from autoscaler.contention import Contention
from autoscaler.crowd import Crowd
from autoscaler.forecast import Band, Held, RateHistory
from autoscaler.learn import SCRAPE_PRIOR_SECONDS, FirstScrapes, ServiceTime, StartTime
from autoscaler.sampled import Sampled
from autoscaler.seasons import DAY, HOUR, Season
from autoscaler.signals.numbers import bound_of
from autoscaler.signals.profiles import Profile
from autoscaler.signals.queries import Windows
from autoscaler.surprise import Came, Surprises

_NO_SERVICE_TIME, _NO_START_TIME = ServiceTime(), StartTime()
_NO_HISTORY, _NOTHING_HELD, _NO_BAND = RateHistory(), Held(), Band()
_NOTHING_CAME = Came()
_NO_CONTENTION = Contention()
_NEVER_SAMPLED = Sampled()


@dataclass(frozen=True)
class TargetState:
    """What is remembered of one InferenceAutoscaler."""

    first_seen: float
    service: ServiceTime = _NO_SERVICE_TIME
    start: StartTime = _NO_START_TIME
    history: RateHistory = _NO_HISTORY
    own_fast: float = 0.0
    """Requests per second of this target alone in the fast window."""
    own_base: float = 0.0
    """The same in the slow window; stands in while it is blind."""
    expected: Held = _NOTHING_HELD
    """Forecasts of the summed demand over the hold."""
    level: Held = _NOTHING_HELD
    """Levels of the summed demand over the hold."""
    expected_band: Band = _NO_BAND
    asked: RateHistory = _NO_HISTORY
    """What was expected at the ticks of the last start time, without seasons and what is stood by for."""
    came: Came = _NOTHING_CAME
    surprises: Mapping[tuple[bool, ...], Surprises] = field(default_factory=dict)
    """What was a surprise to who listens to these seasons."""
    seasons: tuple[Season, ...] = (HOUR, DAY)
    seasonal: float = 0.0
    """Requests per second that come by the clock until the horizon."""
    stand_by: float = 0.0
    """Requests per second that are always to be ready."""
    told: Surprises | None = None
    """Those that it follows from, and since when."""
    told_at: float = 0.0
    service_band: Band = _NO_BAND
    gpu_replicas: Held = _NOTHING_HELD
    urgent: Held = _NOTHING_HELD
    """Replicas asked for by a backlog or by late requests, over the hold."""
    replicas: int | None = None
    """Wanted replicas of the Deployment at the last tick."""
    ready_since: float | None = None
    served_since: float | None = None
    """Since when the service may have got requests: before it no counter can have counted any."""
    first_scrapes: FirstScrapes | None = None
    gateway_seen_at: float | None = None
    gateway_since: float | None = None
    """Since when the gateway has told of it at every tick."""
    sampled: Sampled = _NEVER_SAMPLED
    """At the pods."""
    sampled_at_gateway: Sampled = _NEVER_SAMPLED
    lowered_at: float | None = None
    complete_since: float | None = None
    """Since when no signal that is expected has been missing."""
    settled_since: float | None = None
    """Since when all wanted replicas are ready."""
    incomplete_since: float | None = None
    """Since when they are not, though some are."""
    late_first: float | None = None
    """The late fraction when there were as few replicas as arrivals justified."""
    contention: Contention = _NO_CONTENTION
    quiet_since: float | None = None
    """Since when the replicas, but for those that do not come, are ready and have nothing waiting, as far as is known."""
    crowd: Crowd | None = None
    numbers_written_at: float | None = None
    written: tuple[str, int] | None = None
    """The replicas that were written last, and the resourceVersion of the Deployment that they were decided on."""

    @property
    def gpu_replicas_held(self) -> int:
        """What the accelerators' utilisation asked for in the hold."""
        return int(self.gpu_replicas.highest or 0)


@dataclass(frozen=True)
class LoopState:
    """What is remembered altogether."""

    targets: Mapping[str, TargetState] = field(default_factory=dict)
    """By uid of the InferenceAutoscaler."""
    scrape_seconds: float = SCRAPE_PRIOR_SECONDS
    """Interval of the scrapes of pods."""
    gateway_scrape_seconds: float | None = None
    """The same of gateways; None until it is known."""
    bounds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The `le` values of the histograms, by profile."""
    bounds_read_at: float | None = None
    ticked_at: float | None = None

    @property
    def windows(self) -> Windows:
        """Long enough for the slower of the two."""
        return Windows.of(max(self.scrape_seconds, self.gateway_scrape_seconds or 0.0))

    @cached_property
    def _known(self) -> dict[str, dict[float, str]]:
        """What `known_bounds` has told of these bounds, by profile."""
        return {}


def known_bounds(state: LoopState, profile: Profile) -> dict[float, str]:
    """Bounds in seconds → `le` as Prometheus spells it."""
    if profile.buckets is None:
        return {}
    if profile.id not in state._known:
        unit = profile.buckets.seconds
        state._known[profile.id] = {
            bound * unit: le for le in state.bounds.get(profile.id, ()) if (bound := bound_of(le)) is not None
        }
    return state._known[profile.id]


def history_bytes(state: TargetState) -> int:
    """Bytes of what is remembered of a target's past: arrays as they are, and eight for each time and number.

    Objects of Python take more; a process' memory tells how much.
    """
    pairs = (
        *(history.points for history in (state.history, state.asked)),
        *(held.steps for held in (state.expected, state.level, state.gpu_replicas, state.urgent)),
    )
    arrays = [array for season in state.seasons for array in (season.peaks, season.heights)]
    arrays += [surprises.steps for surprises in state.surprises.values()]
    numbers = 2 * sum(map(len, pairs)) + len(state.start.samples_seconds) + 3 * len(state.contention.moments)
    return 8 * numbers + sum(array.nbytes for array in arrays if array is not None)
