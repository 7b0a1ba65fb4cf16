"""Curves by few requests: without Numba each takes as long as a thousand with it."""

import pytest

from loadtests.bench import carried


@pytest.fixture(autouse=True)
def few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What replicas carry is found by so many."""
    monkeypatch.setattr(carried, "TRIED_REQUESTS", 300)
