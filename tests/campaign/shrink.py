"""A smaller plan that still fails: without some faults and acts, with simpler ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.campaign.plan import Plan
from tests.campaign.rig import Outcome, run


def shrunk(outcome: Outcome, again: Callable[[Plan], Outcome] = run, tries: int = 60) -> Outcome:
    """The smallest plan found that breaks the same kind of thing, and what comes of it."""
    kinds = {problem.partition(":")[0] for problem in outcome.problems}
    found = True
    while found and tries > 0:
        found = False
        for plan in _smaller(outcome.plan):
            tries -= 1
            tried = again(plan)
            if kinds & {problem.partition(":")[0] for problem in tried.problems}:
                outcome, found = tried, True
                break
            if tries <= 0:
                break
    return outcome


def _smaller(plan: Plan) -> Iterator[Plan]:
    acts, faults = plan.acts, plan.faults
    size = len(acts) // 2
    while size >= 1:
        for start in range(0, len(acts), size):
            yield replace(plan, acts=acts[:start] + acts[start + size :])
        size //= 2
    for index in range(len(faults)):
        if len(faults) > 1 or acts:
            yield replace(plan, faults=faults[:index] + faults[index + 1 :])
    for index, fault in enumerate(faults):
        for simpler in ("kill-before", "kill-after"):
            if fault.action in ("kill-late",) and fault.verb != "watch":
                changed = replace(fault, action=simpler)
                yield replace(plan, faults=(*faults[:index], changed, *faults[index + 1 :]))
        if fault.nth > 1:
            yield replace(plan, faults=(*faults[:index], replace(fault, nth=1), *faults[index + 1 :]))
    if plan.seed and not acts:
        yield replace(plan, seed=0)
