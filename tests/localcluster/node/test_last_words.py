"""A container's termination message, by the kubelet's rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcluster.node.last_words import LOG_BYTES, MESSAGE_BYTES, last_words, path_of

LOG = "starting\nno such model\n"


@pytest.mark.parametrize(
    ("policy", "written", "code", "expected"),
    [
        ("File", "refused", 3, "refused"),
        ("File", "done", 0, "done"),
        ("File", None, 3, ""),
        ("FallbackToLogsOnError", "refused", 3, "refused"),
        ("FallbackToLogsOnError", None, 3, LOG),
        ("FallbackToLogsOnError", "", 3, LOG),
        ("FallbackToLogsOnError", None, 0, ""),
    ],
)
def test_who_has_the_last_word(
    tmp_path: Path, policy: str, written: str | None, code: int, expected: str
) -> None:
    """The file; else, after a failure and if the policy says so, the end of the log."""
    message, log = tmp_path / "message", tmp_path / "log"
    log.write_text(LOG)
    if written is not None:
        message.write_text(written)
    assert last_words({"terminationMessagePolicy": policy}, message, log, code) == expected


def test_long_words_are_cut(tmp_path: Path) -> None:
    """A message keeps its beginning, a log its end."""
    message, log = tmp_path / "message", tmp_path / "log"
    message.write_text("a" * MESSAGE_BYTES + "b")
    log.write_text("a" * LOG_BYTES + "b")
    policy = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    assert last_words(policy, message, log, 1) == "a" * MESSAGE_BYTES
    message.unlink()
    assert last_words(policy, message, log, 1) == "a" * (LOG_BYTES - 1) + "b"


def test_where_the_message_is_written() -> None:
    """As the container states, or where the API has it."""
    assert path_of({"terminationMessagePath": "/mine"}) == "/mine"
    assert path_of({}) == "/dev/termination-log"
