"""The gateway in front of a service: to whom it sends a request, when it gives up waiting, and whether it tries again.

What a pod does about a request does not end with the gateway's patience: given up, it is worked on all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtests.simulator.requests import PENDING, QUEUE, Count, Floats, Ints, Routing, choose, compiled

NOBODY: Final = -1
"""In place of a request or a pod."""


@dataclass(frozen=True)
class Gateway:
    """How requests are passed on; the numbers are Envoy's defaults, where there are any."""

    routing: Routing = Routing.LEAST_REQUEST
    replicas: int = 1
    """Each gets its part of the requests by chance, and knows of its own alone."""
    timeout_seconds: float = 15.0
    """Of a request, retries included; they share it evenly."""
    retries: int = 0
    """Of a request that a pod has not answered in its part of the time, to whichever pod is chosen then."""
    retrying: int = 3
    """Retries that a replica has under way at a time; beyond them a request fails when its first part is over."""

    @property
    def patience_seconds(self) -> float:
        """For one try."""
        return self.timeout_seconds / (self.retries + 1)


class Held(NamedTuple):
    """The table of the requests that pods hold, one place each."""

    offered_at: Floats
    came_at: Floats
    """When it came to its pod."""
    item: Floats
    inputs: Ints
    outputs: Ints
    unread: Ints
    """Tokens of its prompt that no iteration has read yet."""
    ends: Ints
    """By the number of its pod's iterations, when it is answered."""
    pod: Ints
    door: Ints
    """The replica of the gateway that sent it."""
    tries: Ints
    """Left after this one."""
    awaited: NDArray[np.bool_]
    """Whether the gateway waits for it."""
    older: Ints
    newer: Ints
    """Those that are awaited, in the order of their coming: one line, because all are waited for equally long."""
    free: Ints
    """The places that are free, and how many of these count."""
    spare: Ints

    @classmethod
    def of(cls, places: int) -> Held:
        """An empty table."""
        floats, ints = (lambda: np.zeros(places)), (lambda: np.zeros(places, dtype=np.int64))
        return cls(
            floats(), floats(), floats(), ints(), ints(), ints(), ints(), ints(), ints(), ints(),
            np.zeros(places, dtype=np.bool_), ints(), ints(),
            free=np.arange(places, dtype=np.int64), spare=np.array([places], dtype=np.int64),
        )  # fmt: skip


class Doors(NamedTuple):
    """What the replicas of the gateway count, one row each."""

    sent: Ints
    ended: Ints
    """By replica and pod: requests sent there, and those of them that were answered or given up."""
    awaited: Ints
    retrying: Ints
    counts: Ints
    """By replica and `Count`."""
    answer_seconds: Floats
    cursor: Ints
    """Position of the rotation and state of the random numbers, by which a replica chooses."""
    chance: Ints
    """State of the random numbers by which requests come to a replica."""
    ends: Ints
    """The oldest and the newest request that is awaited."""

    @classmethod
    def of(cls, replicas: int, pods: int, seed: int) -> Doors:
        """Before the first request."""
        by_pod, alone = (replicas, pods), (lambda: np.zeros(replicas, dtype=np.int64))
        cursor = np.zeros((replicas, 2), dtype=np.int64)
        cursor[:, 1] = seed * 2 + 1 + 2 * np.arange(replicas)
        return cls(
            np.zeros(by_pod, dtype=np.int64), np.zeros(by_pod, dtype=np.int64), alone(), alone(),
            np.zeros((replicas, len(Count)), dtype=np.int64), np.zeros(replicas), cursor,
            np.array([(seed * 2 + 1) ^ 0x5DEECE66], dtype=np.int64), np.array([NOBODY, NOBODY], dtype=np.int64),
        )  # fmt: skip


@compiled
def door_of_next(doors):  # type: ignore[no-untyped-def]
    replicas = doors.awaited.shape[0]
    if replicas == 1:
        return 0
    doors.chance[0] = (doors.chance[0] * 1103515245 + 12345) & 0x7FFFFFFF
    return (doors.chance[0] >> 8) % replicas


@compiled
def send(now, offered_at, door, tries, item, inputs, outputs, routing, held, lines, doors):  # type: ignore[no-untyped-def]
    """Whether a pod got the request."""
    counts = doors.counts[door]
    pod = choose(
        routing, lines.accepts, lines.freed_at, doors.ended[door], doors.sent[door], doors.cursor[door]
    )
    if pod < 0:
        counts[3] += 1
        return False
    holds = lines.tail[pod] - lines.head[pod] + lines.running_count[pod]
    if holds >= QUEUE or doors.awaited[door] >= PENDING:
        counts[4] += 1
        return False
    held.spare[0] -= 1
    request = held.free[held.spare[0]]
    held.offered_at[request], held.came_at[request] = offered_at, now
    held.item[request], held.inputs[request], held.outputs[request] = item, inputs, outputs
    held.pod[request], held.door[request], held.tries[request] = pod, door, tries
    held.awaited[request] = True
    newest = doors.ends[1]
    held.older[request], held.newer[request] = newest, -1
    if newest < 0:
        doors.ends[0] = request
    else:
        held.newer[newest] = request
    doors.ends[1] = request
    lines.queue[pod, lines.tail[pod] % QUEUE] = request
    lines.tail[pod] += 1
    doors.sent[door, pod] += 1
    doors.awaited[door] += 1
    counts[0] += 1
    return True


@compiled
def let_go(request, retries, held, doors):  # type: ignore[no-untyped-def]
    """The gateway waits for it no longer."""
    door = held.door[request]
    older, newer = held.older[request], held.newer[request]
    if older < 0:
        doors.ends[0] = newer
    else:
        held.newer[older] = newer
    if newer < 0:
        doors.ends[1] = older
    else:
        held.older[newer] = older
    held.awaited[request] = False
    doors.ended[door, held.pod[request]] += 1
    doors.awaited[door] -= 1
    if held.tries[request] < retries:
        doors.retrying[door] -= 1


@compiled
def answered(request, now, objective, retries, held, doors):  # type: ignore[no-untyped-def]
    """A pod is done with it, whether somebody waits for it or not."""
    if held.awaited[request]:
        let_go(request, retries, held, doors)
        door, seconds = held.door[request], now - held.offered_at[request]
        doors.counts[door, 1] += 1
        doors.answer_seconds[door] += seconds
        doors.counts[door, 5 if seconds <= objective else 7] += 1
    held.free[held.spare[0]] = request
    held.spare[0] += 1


@compiled
def given_up(request, now, routing, retries, retrying, held, lines, doors):  # type: ignore[no-untyped-def]
    """Its time is over: it is tried again, or has failed."""
    let_go(request, retries, held, doors)
    door, tries = held.door[request], held.tries[request]
    counts = doors.counts[door]
    if tries == 0:
        counts[2] += 1
        counts[7] += 1
        return
    if doors.retrying[door] >= retrying:
        counts[7] += 1
        return
    counts[8] += 1
    again = send(
        now, held.offered_at[request], door, tries - 1, held.item[request], held.inputs[request],
        held.outputs[request], routing, held, lines, doors,
    )  # fmt: skip
    if again:
        doors.retrying[door] += 1
    else:
        counts[7] += 1
