"""The account of a conversion, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from servingctl.conversion.convert import Conversion
from servingctl.conversion.ledger import Entry, described
from servingctl.paths import spelled
from servingctl.tables import table

WORDS = {
    "Lossless": "lossless",
    "LosslessWithNotes": "lossless with a note",
    "Refused": "refused",
}


def wire(conversions: Sequence[Conversion], passed_over: Sequence[str]) -> dict[str, Any]:
    """Return the account for JSON and YAML: every field of every input."""
    return {
        "summary": dict(_counts(conversions)) | {"passedOver": list(passed_over)},
        "services": [
            {
                "name": one.name,
                "namespace": one.namespace,
                "verdict": one.verdict,
                "fields": [
                    {"path": spelled(entry.path), "fate": entry.fate, "words": described(entry)}
                    for entry in one.entries
                ],
                "problems": list(one.problems),
                "advice": list(one.advice),
                "manifests": list(one.manifests),
            }
            for one in conversions
        ],
    }


def text(
    conversions: Sequence[Conversion], passed_over: Sequence[str], *, every_field: bool, width: int = 0
) -> str:
    """Return the account for people: all that is not simply carried, or with `every_field` that, too."""
    blocks = []
    for one in conversions:
        entries = [entry for entry in one.entries if every_field or _is_told(entry)]
        rows = [(spelled(entry.path), entry.fate, described(entry)) for entry in entries]
        rows += [("(the whole)", "Refused", problem) for problem in one.problems]
        lines = [f"{one.namespace + '/' if one.namespace else ''}{one.name}: {WORDS[one.verdict]}"]
        if rows:
            lines.append(table(("FIELD", "FATE", "WHERE, OR WHY NOT"), rows, width=width))
        lines += [f"  {advice}" for advice in one.advice]
        blocks.append("\n".join(lines))
    counts = ", ".join(f"{number} {WORDS[verdict]}" for verdict, number in _counts(conversions).items())
    rest = f"; passed over: {', '.join(passed_over)}" if passed_over else ""
    return "\n\n".join([*blocks, f"{len(conversions)} services: {counts or 'none'}{rest}"])


def _counts(conversions: Sequence[Conversion]) -> Counter[str]:
    return Counter(one.verdict for one in conversions)


def _is_told(entry: Entry) -> bool:
    return entry.fate != "Carried" or bool(entry.words)
