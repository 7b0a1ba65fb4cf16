"""What became of each field of the input: the account from which the scorecard is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from servingctl.paths import Path, leaves, spelled, value_at

Fate = Literal["Carried", "Implied", "Noted", "Refused"]

UNKNOWN = (
    "is no documented field of KServe's v1beta1 InferenceService, so nobody can say what it was to do; "
    "correct its name, or remove it"
)
NOTHING = "says nothing: null, or empty"


@dataclass(frozen=True, slots=True)
class Entry:
    """One field of the input, and what became of it."""

    path: Path
    fate: Fate
    words: str = ""
    """Carried: what to know of it, if anything. Implied: why it is so anyway. Noted: what is different. Refused: why, and the way out."""
    targets: tuple[Path, ...] = ()
    """Where it went: the kind of the made object, then the path in it."""
    is_renamed: bool = False
    """Whether its value is spelled in another way there."""


class Ledger:
    """Entries by path. Whatever is not entered by the end is refused."""

    def __init__(self, source: dict[str, Any]) -> None:
        self._entries: dict[Path, Entry | None] = dict.fromkeys(leaves(source))

    def carry(self, path: Path, *targets: Path, words: str = "") -> None:
        """Enter that the value at a leaf has gone to these places of the made objects. What is no leaf is left out."""
        if path in self._entries:
            self._entries[path] = Entry(path, "Carried", words, targets)

    def imply(self, path: Path, words: str) -> None:
        """Enter that what is at or under a path is so anyway, and why. What has an entry keeps it."""
        self._enter(path, "Implied", words)

    def note(self, path: Path, words: str) -> None:
        """Enter that what is at or under a path is not carried, and what is there instead. What has an entry keeps it."""
        self._enter(path, "Noted", words)

    def refuse(self, path: Path, words: str) -> None:
        """Enter that what is at or under a path cannot be had, and the way out. What has an entry keeps it."""
        self._enter(path, "Refused", words)

    def withdraw(self, path: Path, words: str) -> None:
        """Refuse what is at or under a path, whatever was entered before but a refusal."""
        for leaf, entry in self._entries.items():
            if leaf[: len(path)] == path and (entry is None or entry.fate != "Refused"):
                self._entries[leaf] = Entry(leaf, "Refused", words)

    def remark(self, path: Path, words: str) -> None:
        """Add what to know of a carried leaf."""
        entry = self._entries.get(path)
        if entry is not None:
            self._entries[path] = replace(entry, words=words)

    def rename(self, path: Path) -> None:
        """Mark a carried leaf as spelled in another way where it went."""
        entry = self._entries.get(path)
        if entry is not None:
            self._entries[path] = replace(entry, is_renamed=True)

    def verify(self, source: dict[str, Any], made: dict[str, Any]) -> None:
        """Hold each carried leaf against the made objects, by kind: where the value is not there, it was not carried."""
        for path, entry in self._entries.items():
            if entry is None or entry.fate != "Carried" or path == ("apiVersion",):
                continue
            held = tuple(
                target for target in entry.targets if _holds(entry, value_at(source, path), made, target)
            )
            if not held:
                self._entries[path] = Entry(
                    path, "Refused", "another field says otherwise; say one of the two"
                )
            elif held != entry.targets:
                self._entries[path] = replace(
                    entry, targets=held, words="elsewhere another field says otherwise"
                )

    def overrule(self, target: Path, words: str) -> bool:
        """Refuse what went to a place, or under it or above it; False if nothing did."""
        hit = [
            entry
            for entry in self._entries.values()
            if entry is not None and any(_related(one, target) for one in entry.targets)
        ]
        for entry in hit:
            self._entries[entry.path] = Entry(entry.path, "Refused", words)
        return bool(hit)

    def close(self) -> list[Entry]:
        """Return all entries in the order of the input; what nobody entered is refused as unknown."""
        return [
            entry if entry is not None else Entry(path, "Refused", UNKNOWN)
            for path, entry in self._entries.items()
        ]

    def _enter(self, path: Path, fate: Fate, words: str) -> None:
        for leaf in list(self._open(path)):
            self._entries[leaf] = Entry(leaf, fate, words)

    def _open(self, path: Path) -> Iterator[Path]:
        for leaf, entry in self._entries.items():
            if entry is None and leaf[: len(path)] == path:
                yield leaf


def _holds(entry: Entry, value: Any, made: dict[str, Any], target: Path) -> bool:
    try:
        found = value_at(made, target)
    except KeyError:
        return False
    return entry.is_renamed or bool(found == value)


def _related(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def described(entry: Entry) -> str:
    """Say in a phrase where a field went, or why not."""
    if entry.fate != "Carried":
        return entry.words
    places = ", ".join(f"{target[0]} {spelled(target[1:])}" for target in entry.targets)
    return f"{places}; {entry.words}" if entry.words else places
