"""A first look at a recording: how long it is, how long replicas took to start, whether its decisions replay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

from autoscaler.learn import START_PRIOR_SECONDS, StartTime
from autoscaler.replay.faithful import Difference, differences, replayed
from autoscaler.replay.recording.decode import RecordingError
from autoscaler.replay.recording.moment import Moment
from autoscaler.targets import Target, targets_of

DIFFERENCES_SHOWN = 20


@dataclass
class Survey:
    """What is known of a recording once it has been read."""

    begin: float = 0.0
    end: float = 0.0
    moments: int = 0
    compared: int = 0
    """Decisions that were recorded."""
    differing: int = 0
    differences: list[Difference] = field(default_factory=list)
    """The first of those that replay as others."""
    starts: dict[str, StartTime] = field(default_factory=dict)
    """By uid of the InferenceAutoscaler."""
    stated: dict[str, float] = field(default_factory=dict)
    """Start time in seconds that the recorded status states, by uid."""

    def start_seconds(self, uid: str) -> float:
        """Mean time to start: as measured from the recorded replicas, else as status had it, else a minute."""
        starts = self.starts.get(uid)
        if starts is not None and starts.samples_seconds:
            return fmean(starts.samples_seconds)
        return self.stated.get(uid, START_PRIOR_SECONDS)


def survey(moments: Iterable[Moment]) -> Survey:
    """Read a whole recording. Raises RecordingError where it is of no use."""
    found = Survey()
    wanted: dict[str, int] = {}
    for moment in moments:
        if not found.moments:
            found.begin = moment.at
        found.end, found.moments = moment.at, found.moments + 1
        for target in targets_of(moment.objects)[0]:
            _see(found, wanted, target, moment.at)
    if found.moments < 2:
        raise RecordingError("the recording has fewer than two ticks: there is nothing to replay")
    if not wanted:
        raise RecordingError(
            "the recording has no InferenceAutoscaler with a Deployment: there is nothing to replay"
        )
    return found


def compare(found: Survey, moments: Iterable[Moment]) -> None:
    """Count the decisions that replay as other ones than were recorded."""
    for moment, result in replayed(moments):
        found.compared += len(moment.decided)
        if differing := differences(moment, result):
            found.differing += len(differing)
            found.differences += differing[: DIFFERENCES_SHOWN - len(found.differences)]


def _see(found: Survey, wanted: dict[str, int], target: Target, now: float) -> None:
    workload = target.workload
    if workload is None:
        return
    before = wanted.get(target.uid, workload.wanted)
    start = found.starts.get(target.uid, StartTime())
    found.starts[target.uid] = start.with_replicas(workload.wanted, before, workload.ready, now)
    wanted[target.uid] = workload.wanted
    learned = (target.manifest.get("status") or {}).get("learned") or {}
    if seconds := learned.get("startTimeSeconds"):
        found.stated[target.uid] = float(seconds)
