"""What one turn came to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from loadtests.figures import late_fraction
from loadtests.live.policies import POLICIES, Policy
from loadtests.record import Record


@dataclass(frozen=True)
class Life:
    """A pod, from its creation to the end of its processes, in seconds of the turn; None: it lives on."""

    begin_seconds: float
    end_seconds: float | None = None


@dataclass(frozen=True)
class Turn:
    """One policy under the load."""

    policy: Policy
    records: Sequence[Record]
    lives: Sequence[Life]
    seconds: float
    model_to_real: float | None = None
    """What the replay's model of the peer costs on the same demand, beside what the peer asked for; None for ours."""

    def figures(self, objective_seconds: float) -> dict[str, Any]:
        """Return what the summary holds of it."""
        cost = replica_seconds(self.lives, self.seconds)
        return {
            "policy": self.policy,
            "requests": len(self.records),
            "not_2xx": sum(not record.is_success for record in self.records),
            "late_fraction": round(late_fraction(self.records, objective_seconds), 5),
            "replica_seconds": round(cost, 1),
            "replicas_most": most_at_once(self.lives, self.seconds),
            "model_to_real": self.model_to_real,
        }


def replica_seconds(lives: Iterable[Life], seconds: float) -> float:
    """Return the pods' time within the turn, from creation to exit."""
    return sum(
        max(0.0, min(life.end_seconds or seconds, seconds) - max(life.begin_seconds, 0.0)) for life in lives
    )


def most_at_once(lives: Sequence[Life], seconds: float) -> int:
    """Return the most pods that there were at one time within the turn."""
    return max(
        (
            sum(
                other.begin_seconds <= life.begin_seconds < (other.end_seconds or seconds + 1)
                for other in lives
            )
            for life in lives
            if life.begin_seconds < seconds
        ),
        default=0,
    )


def table(turns: Sequence[Mapping[str, Any]]) -> str:
    """Return medians by policy as a Markdown table, cost also beside ours."""
    ours = median(turn["replica_seconds"] for turn in turns if turn["policy"] == "ours")
    lines = [
        "| policy | turns | late | replica-seconds | beside ours | most replicas | its model's cost to the real |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for policy in POLICIES:
        its = [turn for turn in turns if turn["policy"] == policy]
        if not its:
            continue
        late = median(turn["late_fraction"] for turn in its)
        cost = median(turn["replica_seconds"] for turn in its)
        modelled = [turn["model_to_real"] for turn in its if turn["model_to_real"] is not None]
        lines.append(
            f"| {policy} | {len(its)} | {100 * late:.1f}% | {cost:.0f} | {cost / ours:.2f} | "
            f"{max(turn['replicas_most'] for turn in its)} | {f'{median(modelled):.3f}' if modelled else '–'} |"
        )
    return "\n".join(lines) + "\n"
