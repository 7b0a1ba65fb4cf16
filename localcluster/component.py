"""One process of the cluster, as data."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Ready:
    """Ready once `url` answers 2xx. For https: the authority to trust and, if asked for, a client pair."""

    url: str
    authority: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True)
class Component:
    """How to run one process, what it waits for, and when it counts as ready."""

    name: str
    argv: tuple[str, ...]
    ready: Ready | None = None
    """None: ready as soon as it runs."""
    after: tuple[str, ...] = ()
    """Components that must be ready before this one is first started."""
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    """How long after `stop_signal` it is killed."""
