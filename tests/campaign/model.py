"""F: interleavings of users, strangers, pods, gateway, autoscaler and crashes, drawn and shrunk by Hypothesis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from tests.campaign.acts import CHILDREN, IMAGES
from tests.campaign.plan import Fault, Plan
from tests.campaign.rig import Outcome, run

LONGEST = 50
_WHICH = st.sampled_from(("current", "current", "current", "stable", "rejected", "junk", "none"))
ACTS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from((0.1, 0.5, 1, 2, 5, 5, 12, 12, 40))),
    st.tuples(st.just("wait"), st.sampled_from((1, 5, 12))),
    st.tuples(st.just("image"), st.sampled_from(IMAGES)),
    st.tuples(st.just("Promote"), _WHICH),
    st.tuples(st.just("Abort"), _WHICH),
    st.tuples(st.just("Retry"), _WHICH),
    st.tuples(st.just("crash"), st.none()),
    st.tuples(st.just("break"), st.sampled_from(("stable", "canary"))),
    st.tuples(st.just("heal"), st.none()),
    st.tuples(st.just("delete"), st.sampled_from(sorted(CHILDREN))),
    st.tuples(st.just("weigh"), st.sampled_from(([0, 100], [100, 0], [50, 50], [0, 0]))),
    st.tuples(st.just("autoscaler"), st.booleans()),
    st.tuples(st.just("gateway"), st.booleans()),
    st.tuples(st.just("metrics"), st.booleans()),
    st.tuples(st.just("scrapes"), st.booleans()),
    st.tuples(st.just("spec"), st.sampled_from(("plain", "judged", "judged"))),
    st.tuples(st.just("demand"), st.integers(1, 5)),
    st.tuples(st.just("recreate"), st.none()),
)
FAULTS = st.builds(
    Fault,
    action=st.sampled_from(
        ("kill-before", "kill-after", "409", "429", "500", "timeout", "reset", "ack-lost")
    ),
    verb=st.sampled_from(("create", "patch", "delete")),
    nth=st.integers(1, 40),
)
PLANS = st.builds(
    lambda acts, faults: Plan("interleaving", 0, tuple(faults), tuple(acts)),
    st.lists(ACTS, min_size=3, max_size=LONGEST),
    st.lists(FAULTS, max_size=2),
)


@dataclass
class Ran:
    """Runs of one chunk: how many were drawn, and the smallest that failed."""

    runs: int = 0
    lag_seconds: float = 0.0
    failed: list[Outcome] = field(default_factory=list)


def chunk(number: int, size: int, play: Callable[[Plan], Outcome] = run) -> Ran:
    """Draw and run `size` plans; the same number draws the same plans."""
    ran = Ran()
    is_first, is_shrinking = True, False

    @seed(number)
    @settings(
        max_examples=size + 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
    )
    @given(PLANS)
    def drawn(plan: Plan) -> None:
        nonlocal is_first, is_shrinking
        if is_first:
            is_first = False
            return  # the simplest of all, with which each chunk begins
        outcome = play(plan)
        if not is_shrinking:
            ran.runs += 1
            ran.lag_seconds = max(ran.lag_seconds, outcome.lag_seconds)
        if outcome.problems:
            is_shrinking = True
            ran.failed.append(outcome)
            raise AssertionError(outcome.problems)

    with contextlib.suppress(AssertionError):
        drawn()
    del ran.failed[:-1]  # the last is the smallest
    return ran
