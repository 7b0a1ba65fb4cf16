"""What a rollout keeps between reconciles, and what one look at it decides."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from serving_api.names import Attempt
from serving_api.status import Abort, CanaryStatus, Command, Promotion, Rejected, StableStatus
from serving_operator.world import Write

HISTORY = 10
"""Entries of `rejected` and `commands` that a status keeps."""


def text_of(moment: datetime) -> str:
    """Spell a moment as the API does: RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> datetime:
    """Read a moment as the API spells it, with or without a fraction of a second."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass(frozen=True, slots=True)
class State:
    """The part of the status that decides: it is read from the live object and written back with its version."""

    stable: StableStatus | None = None
    canary: CanaryStatus | None = None
    rejected: tuple[Rejected, ...] = ()
    commands: tuple[Command, ...] = ()

    @classmethod
    def of(cls, status: dict[str, Any]) -> State:
        """Read a live status; what is not there is not known."""
        stable, canary = status.get("stable"), status.get("canary")
        return cls(
            stable=StableStatus.model_validate(stable) if stable else None,
            canary=CanaryStatus.model_validate(canary) if canary else None,
            rejected=tuple(Rejected.model_validate(entry) for entry in status.get("rejected") or ()),
            commands=tuple(Command.model_validate(entry) for entry in status.get("commands") or ()),
        )

    def commanded(self, kind: str, attempt: str) -> Command | None:
        """Return the accepted command of this kind for this attempt."""
        found = [command for command in self.commands if (command.kind, command.id) == (kind, attempt)]
        return found[-1] if found else None

    def promoted(self) -> Command | Promotion | None:
        """Return the promotion of the attempt under way, as it was recorded: a label's, or one decided without."""
        if self.canary is None:
            return None
        return self.commanded("Promote", self.canary.id) or self.canary.promotion

    @property
    def rolls_back(self) -> bool:
        """Whether the attempt under way brings the former revision back."""
        promotion = self.canary.promotion if self.canary is not None else None
        return promotion is not None and promotion.reason == "Rollback"

    def rejection_of(self, revision: str) -> Rejected | None:
        """Return why a revision is not tried, unless a retry of that attempt was accepted."""
        found = [entry for entry in self.rejected if entry.revision == revision]
        if not found or self.commanded("Retry", found[-1].id):
            return None
        return found[-1]

    def has_rejected(self, attempt: Attempt | None) -> bool:
        """Whether this very attempt was rejected."""
        return attempt is not None and any(entry.id == str(attempt) for entry in self.rejected)

    def with_canary(self, **changes: object) -> State:
        """Return the state with some of the attempt's fields changed."""
        if self.canary is None:
            return self
        return replace(self, canary=self.canary.model_copy(update=changes))

    def with_stable(self, **changes: object) -> State:
        """Return the state with some of the committed revision's fields changed."""
        if self.stable is None:
            return self
        return replace(self, stable=self.stable.model_copy(update=changes))

    def without_canary(self, rejection: Rejected | None = None) -> State:
        """Return the state after the attempt has ended, rejected or not."""
        entries = (*self.rejected, rejection) if rejection else self.rejected
        return replace(self, canary=None, rejected=entries[-HISTORY:])

    def with_command(self, command: Command) -> State:
        """Return the state with one more accepted command."""
        return replace(self, commands=(*self.commands, command)[-HISTORY:])

    def committed(self, attempt: Attempt) -> State:
        """Return the state in which this attempt is the stable revision; its old rejections are void."""
        return replace(
            self,
            stable=StableStatus(id=str(attempt), revision=attempt.revision),
            canary=None,
            rejected=tuple(entry for entry in self.rejected if entry.revision != attempt.revision),
        )


class Wait(enum.Enum):
    """Whose a wait is, and with that what it does to the attempt's deadline."""

    OWN = "Own"
    """The attempt's own: its clock runs."""
    BRIEF = "Brief"
    """A step of the protocol that takes seconds: the clock runs, but nobody is rejected for it."""
    LOST = "Lost"
    """Somebody else's: the clock stands still, and the status names for whom it waits."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether something may happen now; if not, why, and whose the wait is."""

    open: bool
    reason: str = ""
    message: str = ""
    wait: Wait = Wait.OWN
    look_again: tuple[datetime, ...] = ()
    """Moments at which time alone may open it."""


OPEN = Gate(open=True)


@dataclass(frozen=True, slots=True)
class Move:
    """One look at a rollout: the writes that it calls for, the state to keep, and what it waits for."""

    state: State
    reason: str
    message: str
    writes: tuple[Write, ...] = ()
    waits_for_person: bool = False
    """Nothing is wrong, and nothing happens until somebody says so."""
    stalled: bool = False
    """Something is wrong, and nothing will change until somebody acts."""
    cause: str | None = None
    """What Stalled says, where `reason` only says what follows from it."""
    overdue: bool = False
    """The attempt's time is up."""
    abort: Abort | None = None
    """Why the attempt is to be aborted by what was found of it."""
    passes: bool = False
    """A step is passed: `state` is written in the canary's InferenceAutoscaler first."""
    look_again: tuple[datetime, ...] = ()
    """Moments at which time alone may change the decision."""
