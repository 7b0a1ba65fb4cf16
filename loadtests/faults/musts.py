"""What must hold of a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadtests.faults.measure import Figures


@dataclass(frozen=True)
class Must:
    """What must hold of a run. `test` gets its figures, those without the fault, and the conditions that were told."""

    sentence: str
    test: Callable[[Figures, Figures, frozenset[str]], bool]


NEVER_FEWER = Must("never fewer replicas while blind", lambda run, _, __: run.lowest >= run.before)


def no_thrash(more: int) -> Must:
    """Replicas do not go to and fro; what comes and goes takes some turns."""
    return Must(
        f"no thrash: at most {more} turns more than without",
        lambda run, without, _: run.turns <= without.turns + more,
    )


NO_THRASH = no_thrash(2)


def back_within(seconds: float) -> Must:
    """Replicas are what they would be without the fault."""
    return Must(
        f"back to the replicas of a run without it within {seconds:.0f} s",
        lambda run, _, __: run.settled_after is not None and run.settled_after <= seconds,
    )


def late_until(seconds: float) -> Must:
    """No late minutes long after it."""
    return Must(
        f"no minute with 5% late later than {seconds:.0f} s after it",
        lambda run, _, __: run.late_until <= seconds,
    )


def late_at_most(share: float) -> Must:
    """Of all requests from its beginning on."""
    return Must(f"at most {share:.0%} late", lambda run, _, __: run.late <= share)


def at_most(factor: float) -> Must:
    """Replicas do not explode."""
    return Must(
        f"at most {factor:g} times the replicas of a run without it",
        lambda run, _, __: run.excess <= factor,
    )


def says(condition: str) -> Must:
    """A condition is told."""
    return Must(f"says {condition}", lambda _, __, told: condition in told)
