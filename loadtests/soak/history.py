"""What happened in a soak. Times are seconds since its begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from loadtests.record import Record
from loadtests.soak.stories import COSTS_REQUESTS, Fault, Story
from loadtests.soak.vitals import Vital

AFTER_SECONDS = 10.0
"""For how long a lost pod is still felt: its readiness has to be noticed, and another pod to become ready."""


@dataclass(frozen=True)
class Told:
    """A story of one service, and how it ended."""

    service: str
    story: Story
    problem: str = ""
    """What did not come about; empty if all did."""


@dataclass(frozen=True)
class Struck:
    """A fault."""

    fault: Fault
    began: float
    ended: float
    service: str = ""
    """Whose pod it hit, if it hit one."""


LEASE_SECONDS: Final = 8.0
"""For so long a leader can do without the API server: what is left of its term just before it renews its Lease."""


def outlasting_leases(struck: Sequence[Struck]) -> int:
    """How often the API server was away for longer than a leader may wait: then each program ends, and is started again."""
    return sum(one.fault == "api-server-killed" and one.ended - one.began > LEASE_SECONDS for one in struck)


@dataclass
class Traffic:
    """The requests of one service."""

    records: list[Record] = field(default_factory=list)
    sent: int = 0
    started: float = 0.0
    """When the clock of its records began, on the soak's."""
    failing: set[str] = field(default_factory=set)
    """Revisions that answer every request with an error."""


@dataclass
class History:
    """Everything."""

    told: list[Told] = field(default_factory=list)
    struck: list[Struck] = field(default_factory=list)
    traffic: dict[str, Traffic] = field(default_factory=dict)
    """By service."""
    vitals: list[Vital] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Rules that were broken."""
    versions: int = 0
    """Versions of objects that were looked at."""
    restarts: dict[str, int] = field(default_factory=dict)
    """Of each program's pods, those that a fault of ours explains aside."""
    tracebacks: dict[str, int] = field(default_factory=dict)
    """Lines in each program's logs that begin a traceback."""
    rest_seconds: float = 0.0
    rest_writes: dict[str, int] = field(default_factory=dict)
    """By program, in the rest at the end."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Bad:
    """Responses other than 2xx, by whose they are."""

    own: int
    """Of versions that fail."""
    of_lost_pods: int
    """While a pod that was killed was missed."""
    unexplained: Sequence[Record]


def attributed(name: str, history: History) -> Bad:
    """Tell whose each bad response of a service is."""
    traffic = history.traffic[name]
    windows = [
        (one.began - 1.0, one.ended + AFTER_SECONDS)
        for one in history.struck
        if one.fault in COSTS_REQUESTS and one.service == name
    ]
    own = of_lost_pods = 0
    unexplained = []
    for record in traffic.records:
        if record.is_success:
            continue
        sent, ended = traffic.started + record.sent_seconds, traffic.started + record.ended_seconds
        if record.revision in traffic.failing:
            own += 1
        elif any(sent <= end and begin <= ended for begin, end in windows):
            of_lost_pods += 1
        else:
            unexplained.append(record)
    return Bad(own, of_lost_pods, unexplained)
