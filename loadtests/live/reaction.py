"""How long a policy takes from a step of the load to the write of more replicas, and on what. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from loadtests.live.policies import POLICIES, Policy

PARTS = ("scrape", "window", "tick", "decision")


@dataclass(frozen=True)
class Reaction:
    """The parts of one reaction, in seconds; their sum is the time from the step to the write."""

    policy: Policy
    scrape: float
    """From the step to the first sample taken after it."""
    window: float
    """From there to the newest sample that the deciding look could see: so many samples did the signal take."""
    tick: float
    """From there to the deciding look."""
    decision: float
    """From there to the write, as the API server received it."""

    @property
    def total(self) -> float:
        """From the step to the write."""
        return self.scrape + self.window + self.tick + self.decision


def reaction(
    policy: Policy, stepped: float, samples: Sequence[float], looked: float, written: float
) -> Reaction | None:
    """Return the parts, from moments of one clock; None if the look saw no sample of after the step: chance moved it."""
    after = [moment for moment in samples if stepped < moment <= looked]
    if not after:
        return None
    first, newest = min(after), max(after)
    return Reaction(policy, first - stepped, newest - first, looked - newest, written - looked)


def figures(reactions: Sequence[Reaction]) -> list[dict[str, Any]]:
    """Return what the summary holds of each."""
    return [
        {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(one).items()}
        | {"total": round(one.total, 2)}
        for one in reactions
    ]


def table(told: Sequence[Mapping[str, Any]]) -> str:
    """Return medians by policy, in seconds, as a Markdown table."""
    lines = [
        f"| policy | steps | {' | '.join(PARTS)} | step to write | fastest, slowest |",
        f"|---|---:|{'---:|' * len(PARTS)}---:|---:|",
    ]
    for policy in POLICIES:
        its = [one for one in told if one["policy"] == policy]
        if its:
            parts = " | ".join(f"{median(one[part] for one in its):.1f}" for part in PARTS)
            totals = [one["total"] for one in its]
            lines.append(
                f"| {policy} | {len(its)} | {parts} | {median(totals):.1f} | {min(totals):.1f}, {max(totals):.1f} |"
            )
    return "\n".join(lines) + "\n"
