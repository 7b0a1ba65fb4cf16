"""What is mutated, and the tests that hold it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUT = ROOT / "out" / "mutation"
ENOUGH_RATIO = 0.85
"""The share of the mutants that must be killed."""


@dataclass(frozen=True)
class Part:
    """Modules that the same tests hold."""

    mutated: tuple[str, ...]
    """Files below the root; `*` stands for any name."""
    tests: tuple[str, ...]
    """What pytest is asked to run. All of it runs once at each start, and for a mutant what reaches its function."""


PARTS = {
    "judge": Part(
        ("serving_operator/judge/*.py",),
        ("tests/operator/judge", "--deselect=tests/operator/judge/test_monte_carlo.py"),
    ),
    "evidence": Part(("serving_operator/evidence/*.py",), ("tests/operator/evidence",)),
    "rollout": Part(
        (
            "serving_operator/rollout/*.py",
            "serving_operator/decide.py",
            "serving_operator/ensure.py",
            "serving_operator/repair.py",
        ),
        ("tests/operator/rollout", "--deselect=tests/operator/rollout/test_invariants.py"),
    ),
}
