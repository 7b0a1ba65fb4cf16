"""What the package offers."""

from __future__ import annotations

import inspect

import serving_io


def test_everything_public_exists_and_is_documented() -> None:
    """Every name in `__all__` is there, once, sorted, and says what it is."""
    assert serving_io.__all__ == sorted(set(serving_io.__all__))
    for name in serving_io.__all__:
        member = getattr(serving_io, name)
        if inspect.isclass(member) or inspect.isfunction(member):
            assert member.__doc__, name
