"""Kubernetes quantities in one canonical spelling, so that `1` and `1000m` are the same revision."""

from __future__ import annotations

import re
from decimal import Decimal

PATTERN = r"^[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+|[munkMGTPE]|[KMGTPE]i)?$"

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
} | {unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_SHAPE = re.compile(
    r"^(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?P<suffix>[munkMGTPE]|[KMGTPE]i)?$"
)


def value_of(quantity: str | int | float) -> Decimal:
    """Return the amount in base units (cores, bytes, devices). Raises ValueError if it is no quantity."""
    found = _SHAPE.match(str(quantity).strip())
    if not found:
        raise ValueError(f"{quantity!r} is not a quantity such as 500m, 2 or 4Gi")
    return Decimal(found["number"]) * _SUFFIXES[found["suffix"] or ""]


def canonical(quantity: str | int | float) -> str:
    """Return the one spelling of an amount: binary multiples from 1 Mi up, whole numbers, else milli to nano."""
    value = value_of(quantity)
    if value == value.to_integral_value():
        for unit in ("Ei", "Pi", "Ti", "Gi", "Mi"):
            if value and value % _SUFFIXES[unit] == 0:
                return f"{int(value / _SUFFIXES[unit])}{unit}"
        return str(int(value))
    for unit in ("m", "u", "n"):
        scaled = value / _SUFFIXES[unit]
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{unit}"
    return f"{int(value / _SUFFIXES['n']) + 1}n"
