"""Operators that judge wrongly, or do not do as the verdict says."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from loadtests.replaced import constant
from serving_operator.judge.windows import Window
from serving_operator.rollout import deadlines, evidence, judgement, promote
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import Move, State
from tests.campaign.mutants import ROLLOUT, always, mutant

mutant("good-after-one-window", "serving_operator.judge.objective:BOUND")(constant(1.1))
mutant("bad-after-one-window", "serving_operator.judge.comparison:BOUND")(constant(3.0))
mutant("former-step-counted", f"{ROLLOUT}.evidence:counted")(
    lambda old: lambda observed, canary: observed.world.evidence
)
mutant("silence-is-good", "serving_operator.evidence.counting:Tally.counts")(
    lambda old: lambda *a: found if (found := old(*a)).requests else type(found)(200, 0)
)
mutant("blind-windows-not-forgiven", f"{ROLLOUT}.evidence:blind")(always(timedelta()))
mutant("missing-metrics-not-waited-for", f"{ROLLOUT}.judgement:_without_source")(lambda old: _not_waited_for)
mutant("missing-is-good", f"{ROLLOUT}.evidence:counted")(lambda old: _where_missing(old, bad=0))
mutant("missing-is-bad", f"{ROLLOUT}.evidence:counted")(lambda old: _where_missing(old, bad=100))
mutant("verdict-not-recorded", f"{ROLLOUT}.evidence:recorded")(
    lambda old: lambda observed, state, found: state
)
mutant("promotion-not-recorded", f"{ROLLOUT}.deadlines:promotion")(lambda old: _unrecorded)
mutant("promoted-at-the-first-good-step", f"{ROLLOUT}.judgement:_good")(lambda old: _at_once)
mutant("inconclusive-is-good", f"{ROLLOUT}.judgement:_inconclusive")(
    lambda old: lambda observed, state, analysis: judgement._good(observed, state, analysis)
)
mutant("judge-aborts-without-the-route-first", f"{ROLLOUT}.judgement:_abort")(
    lambda old: (
        lambda *a: dataclasses.replace(m := old(*a), abort=None, state=m.state.with_canary(abort=m.abort))
    )
)
mutant("bad-not-heard", f"{ROLLOUT}.judgement:_abort")(
    lambda old: lambda observed, state, found: Move(state, "CollectingEvidence", "x")
)
mutant("turned-bad-not-heard", f"{ROLLOUT}.judgement:turned_bad")(always(None))
mutant("settling-not-awaited", "serving_operator.evidence.reading:SETTLE_SECONDS")(constant(0))
mutant("only-the-latest-window-is-read", "serving_operator.evidence.reading:_due")(
    lambda old: lambda question, index, now: old(question, index, now)[-1:]
)
mutant("windows-not-anchored-at-the-step", "serving_operator.evidence.questions:Question.window")(
    lambda old: lambda self, index: tuple(at + self.window_seconds // 2 for at in old(self, index))
)
mutant("pause-ignored", f"{ROLLOUT}.judgement:_pause_ends")(
    lambda old: lambda observed, state: observed.now - timedelta(days=1)
)
mutant("minimum-of-requests-ignored", f"{ROLLOUT}.evidence:limits_of")(
    lambda old: lambda *a, minimum_requests=0, **k: old(*a, **k)
)


def _where_missing(old: Any, bad: int) -> Any:
    """Make windows up where the source of evidence is missing."""

    def counted(observed: Observed, canary: Any) -> Any:
        found = old(observed, canary)
        if found is None or found.missing is None:
            return found
        return dataclasses.replace(found, missing=None, windows=(Window(200, bad, 800, 0),) * 5)

    return counted


def _not_waited_for(observed: Observed, state: State, missing: Any) -> Move:
    """Let the time of a missing source count like any other."""
    assert state.canary is not None
    analysis = evidence.analysis_of(observed, state.canary)
    assert analysis is not None
    settled = deadlines.accounted(state, None, observed.now)
    ends = judgement._deadline(observed, settled, analysis)
    if observed.now < ends:
        return judgement._collecting(observed, settled, analysis, (ends,))
    said = evidence.recorded(observed, settled, judgement._NOTHING)
    return judgement._inconclusive(observed, said, analysis)


def _unrecorded(observed: Observed, state: State, reason: str) -> Move:
    return promote.promote(observed, state)


def _at_once(observed: Observed, state: State, analysis: Any) -> Move:
    return deadlines.promotion(observed, state, "GoodEnough")
