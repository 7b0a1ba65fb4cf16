"""A plan: what is run, and what goes wrong in it. Plain JSON, so that a run reproduces from a line in the report."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

REPLIES = ("409", "422", "429", "500", "503")
LOST = ("timeout", "reset", "ack-lost")
"""No reply in time; the connection breaks before the request is carried out, and after it."""
KILLS = ("kill-before", "kill-after", "kill-late")
"""The process dies before the request leaves, after it was carried out, or with a write still on its way."""
FREEZES = ("freeze-after", "freeze-before")
"""The process stands still for `seconds`, as by SIGSTOP, before it hears the answer or before its request leaves."""
REQUEST_FAULTS = ("409", "429", "500", "timeout", "reset", "ack-lost")
"""What class B does to each request."""
WATCH_FAULTS = ("delay", "stall", "drop", "duplicate", "reorder", "410", "rewind")


@dataclass(frozen=True)
class Fault:
    """What happens to the `nth` request (from 1) that matches, or to a watch from its `nth` event on."""

    action: str
    verb: str = ""
    """create, patch, delete, get, list, update; or `watch`."""
    resource: str = ""
    """Plural, with `/subresource`; empty: any."""
    name: str = ""
    nth: int = 1
    seconds: float = 0.0
    """How long a watch lags, stalls or is away, or a process is frozen; how many seconds back a watch rewinds."""

    def wire(self) -> dict[str, Any]:
        """As JSON."""
        match = {key: value for key in ("verb", "resource", "name") if (value := getattr(self, key))}
        made: dict[str, Any] = {"match": match, "nth": self.nth, "action": self.action}
        return made | ({"seconds": self.seconds} if self.seconds else {})

    @classmethod
    def read(cls, stated: dict[str, Any]) -> Fault:
        """From JSON."""
        seconds = float(stated.get("seconds", 0))
        return cls(stated["action"], **stated["match"], nth=int(stated["nth"]), seconds=seconds)


@dataclass(frozen=True)
class Plan:
    """One run. `acts` are what the user and fate do in a sequence or a model run, as `[name, value]`."""

    scenario: str
    seed: int = 0
    faults: tuple[Fault, ...] = ()
    acts: tuple[tuple[str, Any], ...] = field(default=())

    @property
    def happenings(self) -> int:
        """How often something has to go wrong for the run to be what it says: one kind of watch is enough to mix events."""
        actions = [fault.action for fault in self.faults]
        return 1 if set(actions) == {"reorder"} else len(actions) + len(self.acts)

    def text(self) -> str:
        """One line of JSON."""
        made: dict[str, Any] = {
            "scenario": self.scenario,
            "seed": self.seed,
            "faults": [fault.wire() for fault in self.faults],
        }
        if self.acts:
            made["acts"] = [list(act) for act in self.acts]
        return json.dumps(made, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Plan:
        """From a line of JSON."""
        stated = json.loads(text)
        return cls(
            stated["scenario"],
            int(stated.get("seed", 0)),
            tuple(map(Fault.read, stated.get("faults", ()))),
            tuple((name, value) for name, value in stated.get("acts", ())),
        )

    def __hash__(self) -> int:
        return hash(self.text())


def as_dict(fault: Fault) -> dict[str, Any]:
    """The fields of a fault."""
    return asdict(fault)
