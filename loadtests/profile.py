"""Load profiles: files that say at which rate requests arrive, piece by piece.

JSON: `[{"seconds": 30, "rate": 5}, …]`; CSV: a header `seconds,rate` and a row per piece.
`seconds` is how long the piece lasts, `rate` its requests per second.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from loadtests.arrivals import RateChange

_SHAPE = '[{"seconds": 30, "rate": 5}, …] as JSON, or CSV with the header seconds,rate'


class ProfileError(ValueError):
    """A load profile that cannot be used; the message names the place and the remedy."""


@dataclass(frozen=True)
class Profile:
    """Changes of the rate, and how long the whole lasts."""

    changes: tuple[RateChange, ...]
    duration_seconds: float

    @classmethod
    def constant(cls, rate_per_second: float, duration_seconds: float) -> Profile:
        """One rate for the whole time."""
        return cls((RateChange(0.0, rate_per_second),), duration_seconds)


def parse_profile(rows: Iterable[Mapping[str, Any]], source: str) -> Profile:
    """Read the pieces of a profile. Raises ProfileError."""
    changes = []
    at_seconds = 0.0
    for number, row in enumerate(rows, start=1):
        seconds = _number(row, "seconds", f"{source}, piece {number}")
        rate = _number(row, "rate", f"{source}, piece {number}")
        if seconds <= 0:
            raise ProfileError(f"{source}, piece {number}: seconds must be above 0, it is {seconds:g}")
        changes.append(RateChange(at_seconds, rate))
        at_seconds += seconds
    if not changes:
        raise ProfileError(f"{source} holds no pieces; write {_SHAPE}")
    return Profile(tuple(changes), at_seconds)


def load_profile(path: Path) -> Profile:
    """Read a profile file. Raises ProfileError, also if the file cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}; give a file that holds {_SHAPE}") from None
    if path.suffix == ".csv":
        return parse_profile(csv.DictReader(text.splitlines()), str(path))
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise ProfileError(f"{path} is no JSON ({error}); write {_SHAPE}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ProfileError(f"{path} must be a list of pieces; write {_SHAPE}")
    return parse_profile(rows, str(path))


def _number(row: Mapping[str, Any], name: str, place: str) -> float:
    try:
        value = float(row[name])
    except (KeyError, TypeError, ValueError):
        raise ProfileError(f"{place}: {name} must be a number, it is {row.get(name)!r}") from None
    if not isfinite(value) or value < 0:
        raise ProfileError(f"{place}: {name} must be finite and not negative, it is {value:g}")
    return value
