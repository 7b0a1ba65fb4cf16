"""What a container says of its end: the termination message of its status, by the kubelet's rules."""

from __future__ import annotations

from pathlib import Path

from localcluster.objects import Object

DEFAULT_PATH = "/dev/termination-log"
MESSAGE_BYTES = 4096
LOG_BYTES = 2048
LOG_LINES = 80
"""Of the log, where a failed container has left no message and its policy is FallbackToLogsOnError."""


def path_of(container: Object) -> str:
    """Where the container writes its message."""
    return container.get("terminationMessagePath") or DEFAULT_PATH


def last_words(container: Object, message: Path, log: Path, code: int) -> str:
    """The message of a container that has ended with `code`; empty if it has left none."""
    said = message.read_bytes()[:MESSAGE_BYTES].decode(errors="replace") if message.exists() else ""
    if said or code == 0 or container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
        return said
    with log.open("rb") as lines:
        lines.seek(max(0, log.stat().st_size - LOG_BYTES))
        tail = lines.read().decode(errors="replace")
    return "".join(tail.splitlines(keepends=True)[-LOG_LINES:])
