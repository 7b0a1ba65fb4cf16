"""The gateway in front of a service: to whom it sends a request, when it gives up waiting, and whether it tries again.

What a pod does about a request does not end with the gateway's patience: given up, it is worked on all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtests.simulator.requests import PENDING, QUEUE, Count, Ints, Routing, choose, compiled

Records = NDArray[Any]
"""A structured array."""
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


HELD: Final = np.dtype(
    [
        ("offered_at", "f8"),
        ("came_at", "f8"),  # to its pod
        ("item", "f8"),
        ("inputs", "i8"),
        ("outputs", "i8"),
        ("unread", "i8"),  # tokens of its prompt that no iteration has read yet
        ("ends", "i8"),  # by the number of its pod's iterations, when it is answered
        ("pod", "i8"),
        ("door", "i8"),  # the replica of the gateway that sent it
        ("tries", "i8"),  # left after this one
        ("awaited", "i8"),  # whether the gateway waits for it
        (
            "older",
            "i8",
        ),  # those that are awaited, in the order of their coming: one line, for all are waited for equally long
        ("newer", "i8"),
    ]
)
"""A request that a pod holds."""
DOOR: Final = np.dtype([("awaited", "i8"), ("retrying", "i8"), ("answer_seconds", "f8")])
"""A replica of the gateway."""
SPARE, OLDEST, NEWEST, CHANCE = range(4)
"""Places in the book: how many of the free places count; the ends of the line of those awaited; state of the random numbers by
which requests come to a replica."""


class State(NamedTuple):
    """All of a service. Rows of structured arrays, because these are what compiled code reads quickest."""

    held: Records
    free: Ints
    """Places in `held`, those that are free first."""
    book: Ints
    lines: Records
    """By pod, see `iterations`."""
    accepts: NDArray[np.bool_]
    """By pod: whether it gets requests."""
    queue: Ints
    running: Ints
    """By pod: the places in `held` of those that wait, in a ring, and of those that run."""
    doors: Records
    sent: Ints
    ended: Ints
    """By replica and pod: requests sent there, and those of them that were answered or given up."""
    cursor: Ints
    """By replica: position of the rotation and state of the random numbers, by which it chooses."""
    counts: Ints
    """By replica and `Count`."""

    @classmethod
    def of(cls, lines: Records, replicas: int, largest_batch: int, seed: int) -> State:
        """Before the first request."""
        pods = len(lines)

        def table(*shape: int) -> Ints:
            return np.zeros(shape, dtype=np.int64)

        places, chance = pods * QUEUE, seed * 2 + 1
        cursor = table(replicas, 2)
        cursor[:, 1] = chance + 2 * np.arange(replicas)
        return cls(
            held=np.zeros(places, HELD),
            free=np.arange(places, dtype=np.int64),
            book=np.array([places, NOBODY, NOBODY, chance ^ 0x5DEECE66], dtype=np.int64),
            lines=lines,
            accepts=np.zeros(pods, dtype=np.bool_),
            queue=table(pods, QUEUE),
            running=table(pods, largest_batch),
            doors=np.zeros(replicas, DOOR),
            sent=table(replicas, pods),
            ended=table(replicas, pods),
            cursor=cursor,
            counts=table(replicas, len(Count)),
        )


@compiled
def door_of_next(state):  # type: ignore[no-untyped-def]
    book, replicas = state.book, state.doors.shape[0]
    if replicas == 1:
        return 0
    book[CHANCE] = (book[CHANCE] * 1103515245 + 12345) & 0x7FFFFFFF
    return (book[CHANCE] >> 8) % replicas


@compiled
def send(now, offered_at, door, tries, item, inputs, outputs, routing, state):  # type: ignore[no-untyped-def]
    """Whether a pod got the request."""
    held, lines, book, counts = state.held, state.lines, state.book, state.counts
    ready = np.flatnonzero(state.accepts)
    ended, sent = state.ended[door], state.sent[door]
    pod = choose(routing, ready, len(state.accepts), lines["freed_at"], ended, sent, state.cursor[door])
    if pod < 0:
        counts[door, 3] += 1
        return False
    line = lines[pod]
    if line["tail"] - line["head"] + line["count"] >= QUEUE or state.doors[door]["awaited"] >= PENDING:
        counts[door, 4] += 1
        return False
    book[SPARE] -= 1
    place = state.free[book[SPARE]]
    request = held[place]
    request["offered_at"] = offered_at
    request["came_at"] = now
    request["item"] = item
    request["inputs"] = inputs
    request["outputs"] = outputs
    request["pod"] = pod
    request["door"] = door
    request["tries"] = tries
    request["awaited"] = 1
    request["older"] = book[NEWEST]
    request["newer"] = -1
    if book[NEWEST] < 0:
        book[OLDEST] = place
    else:
        held[book[NEWEST]]["newer"] = place
    book[NEWEST] = place
    state.queue[pod, line["tail"] % QUEUE] = place
    line["tail"] += 1
    state.sent[door, pod] += 1
    state.doors[door]["awaited"] += 1
    counts[door, 0] += 1
    return True


@compiled
def let_go(place, retries, state):  # type: ignore[no-untyped-def]
    """The gateway waits for it no longer."""
    held, book = state.held, state.book
    request = held[place]
    door, older, newer = request["door"], request["older"], request["newer"]
    if older < 0:
        book[OLDEST] = newer
    else:
        held[older]["newer"] = newer
    if newer < 0:
        book[NEWEST] = older
    else:
        held[newer]["older"] = older
    request["awaited"] = 0
    state.ended[door, request["pod"]] += 1
    state.doors[door]["awaited"] -= 1
    if request["tries"] < retries:
        state.doors[door]["retrying"] -= 1


@compiled
def answered(place, now, objective, retries, state):  # type: ignore[no-untyped-def]
    """A pod is done with it, whether somebody waits for it or not."""
    request, book = state.held[place], state.book
    if request["awaited"]:
        let_go(place, retries, state)
        door, seconds = request["door"], now - request["offered_at"]
        state.counts[door, 1] += 1
        state.counts[door, 5 if seconds <= objective else 7] += 1
        state.doors[door]["answer_seconds"] += seconds
    state.free[book[SPARE]] = place
    book[SPARE] += 1


@compiled
def given_up(place, now, routing, retries, retrying, state):  # type: ignore[no-untyped-def]
    """Its time is over: it is tried again, or has failed."""
    let_go(place, retries, state)
    request, counts = state.held[place], state.counts
    door, tries = request["door"], request["tries"]
    if tries == 0:
        counts[door, 2] += 1
        counts[door, 7] += 1
        return
    if state.doors[door]["retrying"] >= retrying:
        counts[door, 7] += 1
        return
    counts[door, 8] += 1
    again = send(
        now, request["offered_at"], door, tries - 1, request["item"], request["inputs"], request["outputs"], routing, state
    )  # fmt: skip
    if again:
        state.doors[door]["retrying"] += 1
    else:
        counts[door, 7] += 1
