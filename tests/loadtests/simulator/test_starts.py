"""How long simulated pods take to start."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.simulator.pods import Pods
from loadtests.simulator.quantiles import Quantiles
from loadtests.simulator.requests import Requests
from loadtests.simulator.starts import (
    Starts,
    bimodal_start,
    crowded,
    empirical_start,
    failing,
    fixed_start,
    lognormal_start,
)

MEASURED = Quantiles((0, 0.5, 1), (10, 20, 60))


def drawn(starts: Starts, starting: int = 1, count: int = 4000) -> np.ndarray:
    """So many starts, each beside `starting` - 1 others."""
    random = np.random.default_rng(0)
    return np.array([starts(random, starting) for _ in range(count)])


@pytest.mark.parametrize(
    ("starts", "mean"),
    [
        (fixed_start(60.0), 60.0),
        (lognormal_start(60.0), 60.0),
        (empirical_start(MEASURED, before_seconds=5.0), 5 + (15 + 40) / 2),
        (bimodal_start(60.0, 300.0, new_share=0.25), 120.0),
        (failing(fixed_start(60.0), 0.5), 60 + 60 + 10 * 0.5 * (1 + 1 + 1 + 1 + 1 + 30 / 32 * 2)),
    ],
    ids=["fixed", "lognormal", "empirical", "bimodal", "failing"],
)
def test_starts_have_their_mean(starts: Starts, mean: float) -> None:
    """Of failing ones: another attempt half of the time, and pauses of 10, 20, 40, 80, 160, 300, 300 … seconds."""
    assert drawn(starts).mean() == pytest.approx(mean, rel=0.05)


def test_a_start_is_on_a_warm_node_or_a_new_one() -> None:
    """Nothing between."""
    assert set(drawn(bimodal_start())) == {60.0, 300.0}


def test_the_more_start_the_slower() -> None:
    """The first of five as ever, the fifth by four tenths: each is slowed by those that are under way."""
    requests = Requests(8, 0.5)
    pods = Pods(requests, crowded(fixed_start(100.0), 0.1), np.random.default_rng(0))
    pods.scale(5, 0.0)
    assert sorted(pods.ready_at[:5]) == pytest.approx([100, 110, 120, 130, 140])
    pods.become_ready(140.0)
    pods.scale(6, 200.0)
    assert pods.next_ready_at == 300.0


def test_a_failed_start_is_paid_for() -> None:
    """The pod is there while it is tried again."""
    requests = Requests(4, 0.5)
    pods = Pods(requests, failing(fixed_start(60.0), 0.9), np.random.default_rng(1))
    pods.scale(1, 0.0)
    assert pods.next_ready_at >= 60 + 10 + 60
    pods.scale(0, 129.0)
    assert (pods.ready, pods.cost_seconds(200.0)) == (0, 129.0)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_no_start_fails_for_ever(share: float) -> None:
    """It would never be drawn to its end."""
    with pytest.raises(ValueError, match="failed starts"):
        failing(fixed_start(1.0), share)
