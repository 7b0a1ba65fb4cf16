"""Commands that begin with a cluster of their own, without one."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest


def stopped_clusters(monkeypatch: pytest.MonkeyPatch, command: ModuleType) -> list[Path]:
    """Run directories whose cluster was stopped; nothing is, and signals stay as they are."""
    found: list[Path] = []
    monkeypatch.setattr(command.setup, "stop_cluster", found.append)
    monkeypatch.setattr(command, "ignore", lambda: None)
    return found


def starting_raises(monkeypatch: pytest.MonkeyPatch, command: ModuleType, error: BaseException) -> None:
    """The cluster does not start."""

    async def start(_: Path) -> None:
        raise error

    monkeypatch.setattr(command.setup, "start_cluster", start)
