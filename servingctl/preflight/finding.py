"""What a check finds, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from servingctl.tables import table

Level = Literal["OK", "Warning", "Failed", "Unknown"]


@dataclass(frozen=True, slots=True)
class Unasked:
    """In the place of a fact: why it could not be read."""

    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. Failed: services do not work without it. Warning: something works less well."""

    check: str
    level: Level
    message: str
    remedy: str = ""

    def wire(self) -> dict[str, Any]:
        """Return it for JSON and YAML."""
        return {"check": self.check, "level": self.level, "message": self.message, "remedy": self.remedy}


def ok(check: str, message: str) -> Finding:
    """Nothing is wrong."""
    return Finding(check, "OK", message)


def failed(check: str, message: str, remedy: str) -> Finding:
    """Services do not work without it."""
    return Finding(check, "Failed", message, remedy)


def warning(check: str, message: str, remedy: str) -> Finding:
    """Something works less well."""
    return Finding(check, "Warning", message, remedy)


def unknown(check: str, fact: Unasked, remedy: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(check, "Unknown", f"not looked at: {fact.why}", remedy)


def text(findings: Sequence[Finding], *, width: int = 0) -> str:
    """Return the findings for people; what is wrong has its remedy after an arrow."""
    rows = [
        (
            finding.level,
            finding.check,
            f"{finding.message} -> {finding.remedy}" if finding.remedy else finding.message,
        )
        for finding in findings
    ]
    counts = {
        level: sum(finding.level == level for finding in findings)
        for level in ("Failed", "Warning", "Unknown")
    }
    said = ", ".join(f"{number} {level.lower()}" for level, number in counts.items() if number)
    return f"{table(('RESULT', 'CHECK', 'WHAT -> REMEDY'), rows, width=width)}\n\n{said or 'all is well'}"
