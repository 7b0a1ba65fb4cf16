"""Which plans make the campaign: one function a class, each deterministic, so that a campaign can go on where it ended."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from tests.campaign.acts import mutations
from tests.campaign.plan import FREEZES, KILLS, LOST, REPLIES, REQUEST_FAULTS, Fault, Plan
from tests.campaign.rig import Reference, known_reference
from tests.campaign.scenarios import SCENARIOS

PAIRS = 560
DEPOSED = 560
STALE = 1200
UNOBSERVED = 360
SEQUENCES = 1000
MODEL_RUNS = 5000
MODEL_CHUNK = 50
FROZEN_SECONDS = 25.0
"""A Lease of fifteen, and time for the successor to set to work."""
HIDDEN = ("spec", "label", "route", "deployment", "service", "pods", "record", "scale")
"""What is done and undone while the operator is away."""
WATCHED = (
    "inferenceservices", "inferenceautoscalers", "controllerrevisions", "deployments", "services", "pods",
    "poddisruptionbudgets", "endpointslices", "httproutes",
)  # fmt: skip


REWOUND = Fault("rewind", "watch", nth=2, seconds=25.0)


def crashed(name: str, resource: str) -> list[Fault]:
    """The process dies after each write of a kind."""
    found = points(known_reference(name), writes_only=True)
    return [acted(point, "kill-after") for point in found if point.resource == resource]


def points(known: Reference, *, writes_only: bool) -> list[Fault]:
    """Every request of a run without faults, as a fault without an action yet."""
    counts: Counter[tuple[str, str, str]] = Counter()
    found = []
    for call in known.calls:
        key = (call.verb, call.resource, call.name)
        counts[key] += 1
        if call.is_write or not writes_only:
            found.append(Fault("", *key, nth=counts[key]))
    return found


def acted(point: Fault, action: str, seconds: float = 0.0) -> Fault:
    """The fault with an action."""
    return Fault(action, point.verb, point.resource, point.name, point.nth, seconds)


def crashes(name: str) -> Iterator[Plan]:
    """A: the process dies before and after each write."""
    for point in points(known_reference(name), writes_only=True):
        for action in ("kill-before", "kill-after"):
            yield Plan(name, faults=(acted(point, action),))


def late(name: str) -> Iterator[Plan]:
    """A write of a dead process arrives when its successor has long been at work."""
    for point in points(known_reference(name), writes_only=True):
        yield Plan(name, faults=(acted(point, "kill-late"),))


def deposed(name: str) -> Iterator[Plan]:
    """A, sampled: the leader is frozen at a write, the first among them, for so long that another one leads when it thaws."""
    chance = random.Random(f"deposed {name}")
    first, *others = points(known_reference(name), writes_only=True)
    for index in range(-(-DEPOSED // len(SCENARIOS))):
        point = chance.choice(others) if index else first
        yield Plan(name, faults=(acted(point, FREEZES[index % len(FREEZES)], FROZEN_SECONDS),))


def pairs(name: str) -> Iterator[Plan]:
    """A, sampled: two faults in one run, the first of them at a write."""
    chance = random.Random(f"pairs {name}")
    known = known_reference(name)
    writes, requests = points(known, writes_only=True), points(known, writes_only=False)
    for seed in range(-(-PAIRS // len(SCENARIOS))):
        first = acted(chance.choice(writes), chance.choice(KILLS))
        second = acted(chance.choice(requests), chance.choice((*KILLS, *REPLIES, *LOST)))
        if second.verb in ("get", "list") and second.action in ("kill-late",):
            second = acted(second, "kill-before")
        yield Plan(name, seed % 3, (first, second))


def faulted(name: str) -> Iterator[Plan]:
    """B: each request meets each fault."""
    for point in points(known_reference(name), writes_only=False):
        for action in REQUEST_FAULTS:
            yield Plan(name, faults=(acted(point, action),))


def stale(name: str) -> Iterator[Plan]:
    """C: watches that lag, stall, lose, repeat, mix, expire and go back in time."""
    chance = random.Random(f"stale {name}")
    known = known_reference(name)
    kinds = [kind for kind in WATCHED if known.events.get(kind)]
    writes = points(known, writes_only=True)
    for index in range(-(-STALE // len(SCENARIOS))):
        kind = kinds[index % len(kinds)]
        nth = chance.randint(1, known.events[kind])
        action = ("stall", "410", "delay", "drop", "duplicate", "reorder", "rewind")[index % 7]
        seconds = {"stall": 20.0, "delay": 3.0, "410": 5.0, "reorder": 2.0}.get(action, 0.0)
        if action == "rewind":
            killed = acted(chance.choice(writes), chance.choice(("kill-before", "kill-after")))
            back = Fault("rewind", "watch", nth=2, seconds=float(chance.choice((17, 20, 25, 40))))
            yield Plan(name, faults=(killed, back))
        elif action == "reorder":
            yield Plan(name, faults=tuple(Fault(action, "watch", k, "", 1 + nth % 4, seconds) for k in kinds))
        else:
            yield Plan(name, faults=(Fault(action, "watch", kind, "", nth, seconds),))


def unobserved(name: str) -> Iterator[Plan]:
    """D: something is done and undone while nobody looks."""
    chance = random.Random(f"unobserved {name}")
    end = known_reference(name).times[-1]
    for index in range(-(-UNOBSERVED // len(SCENARIOS))):
        yield Plan(name, acts=((HIDDEN[index % len(HIDDEN)], round(chance.uniform(9, max(10, end)), 1)),))


def sequences(index: int) -> Plan:
    """E: ten operations drawn from the CRD's schema, valid and invalid, then back to the first spec."""
    return Plan("mutations", index, acts=mutations(index))
