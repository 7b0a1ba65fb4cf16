"""Questions asked of the history of a run."""

from dataclasses import replace

from loadtests.demo.history import (
    Exposure,
    exposure,
    measured_start_seconds,
    seconds_while,
    series,
    start_time_seconds,
    was_scaled,
)
from loadtests.demo.observation import RevisionReplicas, Snapshot


def replicas(seconds: float, desired: int, ready: int, start: int | None = None) -> tuple[float, Snapshot]:
    return seconds, Snapshot(
        replicas={"a": RevisionReplicas(desired, ready)}, stable="a", start_time_seconds=start
    )


def weights(seconds: float, canary: float, acknowledged: bool) -> tuple[float, Snapshot]:
    return seconds, Snapshot(weights={"a": 100 - canary, "b": canary}, acknowledged=acknowledged)


SCALED = [replicas(-1, 1, 1), replicas(10, 3, 1), replicas(18, 3, 2), replicas(22, 3, 3), replicas(80, 1, 1)]


def test_seconds_are_counted_from_the_start_to_the_end() -> None:
    """A sample holds until the next, the last one to the end; what was before second 0 does not count."""
    assert seconds_while(SCALED, 100, lambda now: now.replicas["a"].ready >= 3) == 58
    assert seconds_while(SCALED, 100, lambda now: now.replicas["a"].ready == 1) == 18 + 20


def test_start_time_is_from_the_raise_to_the_last_ready() -> None:
    """A raise is over when all wanted replicas are ready."""
    assert measured_start_seconds(SCALED) == 12


def test_an_overtaken_raise_is_not_measured() -> None:
    """A second raise before the first is met begins the measurement anew; a lowered one ends it."""
    assert (
        measured_start_seconds([replicas(0, 1, 1), replicas(5, 2, 1), replicas(9, 4, 1), replicas(20, 4, 4)])
        == 11
    )
    assert measured_start_seconds([replicas(0, 1, 1), replicas(5, 2, 1), replicas(9, 1, 1)]) == 0


def test_the_autoscalers_measure_goes_before_ours() -> None:
    """What the autoscaler learned last is the start time in force."""
    assert start_time_seconds(SCALED) == 12
    assert start_time_seconds([*SCALED, replicas(90, 1, 1, 7), replicas(95, 1, 1, 8)]) == 8


def test_scaled_up_and_down() -> None:
    """Up means from below the number asked about to it; down means lower afterwards, but not removed."""
    assert was_scaled(SCALED, up_to=3) == (True, True)
    assert was_scaled(SCALED[:-1], up_to=3) == (True, False)
    assert was_scaled([*SCALED[:-1], replicas(80, 0, 0)], up_to=3) == (True, False)
    assert was_scaled([replicas(0, 3, 3), replicas(9, 1, 1)], up_to=3) == (False, False)
    assert was_scaled(SCALED, up_to=4) == (False, False)


def test_a_canarys_capacity_is_no_scaling() -> None:
    """Replicas that a revision gets before it is stable, or loses when it no longer is, do not count."""
    growing = [(now, replace(snapshot, stable="b")) for now, snapshot in SCALED]
    assert was_scaled(growing, up_to=3) == (False, False)
    assert was_scaled([*SCALED[:-1], *growing[-1:]], up_to=3) == (True, False)


def test_exposure_is_wide_by_writes_and_narrow_by_acknowledgements() -> None:
    """Outer: first weight to the acknowledged end. Inner: first acknowledgement to the write of the end."""
    samples = [
        weights(0, 0, True),
        weights(10, 20, False),
        weights(12, 20, True),
        weights(30, 0, False),
        weights(31, 0, True),
        weights(40, 0, True),
    ]
    assert exposure(samples, "b", 50) == Exposure((10, 31), (12, 30), 20)
    assert exposure(samples, "c", 50) is None


def test_exposure_without_end_or_acknowledgement() -> None:
    """Without an end the window reaches to the end of the run; without acknowledgement nothing is sure."""
    assert exposure([weights(10, 20, False)], "b", 50) == Exposure((10, 50), (50, 50), 20)
    assert exposure([weights(10, 20, True), weights(30, 0, False)], "b", 50) == Exposure(
        (10, 50), (10, 30), 20
    )


def test_a_series_has_a_point_per_change() -> None:
    """Unchanged values add no points; the last one is carried to the end."""
    points = series(SCALED, lambda now: now.replicas["a"].desired, 100)
    assert points == [(0, 1), (10, 3), (80, 1), (100, 1)]
