"""Pods that work in iterations, one after another, on all that runs in them. Compiled where Numba is installed.

An iteration begins when the one before it has ended, or when somebody comes to an idle pod; nothing that comes later is in
it. So a pod may be brought up to date whenever somebody looks, as long as that is done before every arrival.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtests.simulator.engine import Engine
from loadtests.simulator.gateway import NOBODY, answered
from loadtests.simulator.requests import QUEUE, Floats, Ints, compiled

NEVER: Final = 2**62
"""Later than any iteration."""


class Lines(NamedTuple):
    """The pods, one row each: who waits, who runs, and what was done."""

    accepts: NDArray[np.bool_]
    queue: Ints
    head: Ints
    tail: Ints
    running: Ints
    """Requests in the iteration, in the order in which they joined."""
    running_count: Ints
    reading: Ints
    """The one among them whose prompt is read in part, if there is one."""
    iterations: Ints
    next_end: Ints
    """The iteration after which somebody is answered."""
    cached: Ints
    """Tokens in the cache."""
    promised: Ints
    """Tokens that there will be in it when those that run are answered."""
    began_at: Floats
    ends_at: Floats
    """Of the iteration that runs; infinite where none does."""
    freed_at: Floats
    """When the last one has ended."""
    slowness: Floats
    spent: Floats
    """Seconds that have run in a period of the CPU limit, and in which."""
    spent_in: Ints
    done: Ints
    worked_seconds: Floats
    """Of these: their last iteration, for each of them; where answers are of one token, that is their work."""
    stayed_seconds: Floats
    """Of these: from their coming to their answer."""
    short_work: Ints
    short_stays: Ints
    """Of these: whose work or stay was within the bound of the pods' histograms."""
    busy_seconds: Floats

    @classmethod
    def of(cls, pods: int, largest_batch: int) -> Lines:
        """Pods of which none is ready."""

        def floats(value: float = 0.0) -> Floats:
            return np.full(pods, value)

        def ints(value: int = 0) -> Ints:
            return np.full(pods, value, dtype=np.int64)

        return cls(
            np.zeros(pods, dtype=np.bool_), np.zeros((pods, QUEUE), dtype=np.int64), ints(), ints(),
            np.zeros((pods, largest_batch), dtype=np.int64), ints(), ints(NOBODY), ints(), ints(NEVER), ints(), ints(),
            floats(), floats(np.inf), floats(), floats(1.0), floats(), ints(NOBODY),
            ints(), floats(), floats(), ints(), ints(), floats(),
        )  # fmt: skip


@compiled
def throttled(begin, seconds, share, period, spent, spent_in):  # type: ignore[no-untyped-def]
    """(end, seconds run in its period, that period) of work that may run for a share of each period.

    Source: the kernel's CFS bandwidth control (Documentation/scheduler/sched-bwc.rst): a group that has used its quota waits
    for the next period, and keeps nothing of what it leaves.
    """
    allowed = share * period
    index = int(begin / period)
    used = spent if spent_in == index else 0.0
    room = max(min(allowed - used, (index + 1) * period - begin), 0.0)
    if seconds <= room:
        return begin + seconds, used + seconds, index
    left = seconds - room
    whole = int(np.ceil(left / allowed)) - 1
    last = left - whole * allowed
    index += 1 + whole
    return index * period + last, last, index


@compiled
def _next_begin(pod, engine, held, lines):  # type: ignore[no-untyped-def]
    free = lines.freed_at[pod]
    if lines.running_count[pod] > 0:
        return free
    head, waiting = lines.head[pod], lines.tail[pod] - lines.head[pod]
    if waiting == 0:
        return np.inf
    begin = held.came_at[lines.queue[pod, head % QUEUE]] + engine.delay_seconds
    if waiting >= engine.largest_batch:
        full = held.came_at[lines.queue[pod, (head + engine.largest_batch - 1) % QUEUE]]
        begin = min(begin, full)
    return max(free, begin)


@compiled
def _begin(pod, now, engine, held, lines):  # type: ignore[no-untyped-def]
    running = lines.running[pod]
    count, reading = lines.running_count[pod], lines.reading[pod]
    room = engine.iteration_tokens - count + (reading >= 0)
    read = 0
    while room > 0:
        if reading < 0:
            if lines.head[pod] == lines.tail[pod] or count == engine.largest_batch:
                break
            request = lines.queue[pod, lines.head[pod] % QUEUE]
            tokens = held.inputs[request] + held.outputs[request]
            # Whoever is alone may have more than the cache holds: nobody else would ever get in.
            if count > 0 and lines.promised[pod] + tokens > engine.cache_tokens:
                break
            lines.head[pod] += 1
            running[count] = request
            count += 1
            lines.promised[pod] += tokens
            held.unread[request], held.ends[request] = held.inputs[request], NEVER
            reading = request
        tokens = min(held.unread[reading], room)
        held.unread[reading] -= tokens
        read += tokens
        room -= max(tokens, 1)
        if held.unread[reading] > 0:
            break
        held.ends[reading] = lines.iterations[pod] + held.outputs[reading]
        lines.next_end[pod] = min(lines.next_end[pod], held.ends[reading])
        reading = -1
    lines.running_count[pod], lines.reading[pod] = count, reading
    lines.cached[pod] += read
    items = 0.0
    for place in range(count):
        items += held.item[running[place]]
    seconds = lines.slowness[pod] * (
        engine.fixed_seconds
        + engine.seconds_per_item * items
        + engine.seconds_per_input_token * read
        + engine.seconds_per_cached_token * lines.cached[pod]
    )
    lines.began_at[pod] = now
    if engine.cpu_share >= 1:
        lines.ends_at[pod] = now + seconds
    else:
        lines.ends_at[pod], lines.spent[pod], lines.spent_in[pod] = throttled(
            now, seconds, engine.cpu_share, engine.period_seconds, lines.spent[pod], lines.spent_in[pod]
        )


@compiled
def _end(pod, objective, bound, retries, held, lines, doors):  # type: ignore[no-untyped-def]
    now = lines.ends_at[pod]
    seconds = now - lines.began_at[pod]
    lines.ends_at[pod] = np.inf
    lines.freed_at[pod] = now
    lines.busy_seconds[pod] += seconds
    lines.iterations[pod] += 1
    count = lines.running_count[pod]
    lines.cached[pod] += count - (lines.reading[pod] >= 0)
    if lines.iterations[pod] < lines.next_end[pod]:
        return
    running = lines.running[pod]
    kept, next_end = 0, NEVER
    for place in range(count):
        request = running[place]
        if held.ends[request] > lines.iterations[pod]:
            running[kept] = request
            kept += 1
            next_end = min(next_end, held.ends[request])
            continue
        tokens = held.inputs[request] + held.outputs[request]
        lines.cached[pod] -= tokens
        lines.promised[pod] -= tokens
        stayed = now - held.came_at[request]
        lines.done[pod] += 1
        lines.worked_seconds[pod] += seconds
        lines.stayed_seconds[pod] += stayed
        lines.short_work[pod] += seconds <= bound
        lines.short_stays[pod] += stayed <= bound
        answered(request, now, objective, retries, held, doors)
    lines.running_count[pod], lines.next_end[pod] = kept, next_end


@compiled
def work(pod, until, engine: Engine, objective, bound, retries, held, lines, doors):  # type: ignore[no-untyped-def]
    """Let a pod work up to a time."""
    while True:
        if lines.ends_at[pod] <= until:
            _end(pod, objective, bound, retries, held, lines, doors)
        elif lines.ends_at[pod] < np.inf:
            return
        begin = _next_begin(pod, engine, held, lines)
        if begin >= until:  # who comes just then is in it
            return
        _begin(pod, begin, engine, held, lines)
