"""A budget that several targets share: none grows beyond what the others leave, and nobody loses replicas for it.

Who has replicas keeps them until a decision of its own lowers them; what that frees is there for the others at the
next tick. Within a tick the oldest target, which serves, is asked first. So the sum of what all are told to have
never passes the budget by what the autoscaler does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from autoscaler.case import Case
from autoscaler.decide import Decision, decide
from autoscaler.targets import Target

Named = Mapping[tuple[str, str], Target]
"""Targets by namespace and name of their InferenceAutoscaler."""
_NOTHING_ASKED: Mapping[str, int] = {}


def by_name(targets: Sequence[Target]) -> Named:
    """Return the targets as budgets name them."""
    return {(target.autoscaler.namespace, target.autoscaler.name): target for target in targets}


def room(target: Target, named: Named, asked: Mapping[str, int] = _NOTHING_ASKED) -> int | None:
    """Return the replicas that the others of a budget leave to a target; None if it shares none.

    `asked`: replicas that others get in this tick, by uid. One that is named and not there yet is about to start
    with one replica.
    """
    share = target.spec.share
    if share is None or share.budget_replicas is None:
        return None
    held = 0
    for name in set(share.of) - {target.autoscaler.name}:
        other = named.get((target.autoscaler.namespace, name))
        if other is None or other.workload is None:
            held += 1
        else:
            held += max(other.workload.wanted, asked.get(other.uid, 0))
    return max(0, share.budget_replicas - held)


def decide_together(named: Named, scaled: Sequence[Target], cases: Sequence[Case]) -> list[Decision]:
    """Return one decision per case, so that no budget is passed by what several targets want in one tick.

    `scaled` are the targets of the cases, the oldest first.
    """
    decisions = decide(cases)
    asked: dict[str, int] = {}
    for row, (target, case) in enumerate(zip(scaled, cases, strict=True)):
        left = room(target, named, asked)
        if left is not None and decisions[row].desired > max(case.wanted, left):
            decisions[row] = decide([replace(case, room=left)])[0]
        asked[target.uid] = decisions[row].desired
    return decisions


def full_replicas(target: Target) -> int | None:
    """Return what all of the demand takes, as far as the replicas of a target tell that is sized for its reserve."""
    if target.workload is None or target.reserve_percent < 1:
        return None
    return math.ceil(100 * target.workload.wanted / target.reserve_percent)
