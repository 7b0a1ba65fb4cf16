"""Pods that work in iterations, one after another, on all that runs in them. Compiled where Numba is installed.

An iteration begins when the one before it has ended, or when somebody comes to an idle pod; nothing that comes later is in
it. So a pod may be brought up to date whenever somebody looks, as long as that is done before every arrival.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from loadtests.simulator.gateway import NOBODY, Records, answered
from loadtests.simulator.requests import QUEUE, compiled

NEVER: Final = 2**62
"""Later than any iteration."""


LINE: Final = np.dtype(
    [
        ("head", "i8"),  # of the ring of those that wait
        ("tail", "i8"),
        ("count", "i8"),  # of those that run
        ("reading", "i8"),  # the one among them whose prompt is read in part, if there is one
        ("iterations", "i8"),
        ("next_end", "i8"),  # the iteration after which somebody is answered
        ("cached", "i8"),  # tokens in the cache
        ("promised", "i8"),  # tokens that there will be in it when those that run are answered
        ("began_at", "f8"),
        ("ends_at", "f8"),  # of the iteration that runs; infinite where none does
        ("freed_at", "f8"),  # when the last one has ended
        ("slowness", "f8"),  # how many times longer work takes
        ("spent", "f8"),  # seconds that have run in a period of the CPU limit, and in which
        ("spent_in", "i8"),
        ("done", "i8"),
        (
            "worked_seconds",
            "f8",
        ),  # of these, their last iteration for each: their work, where answers are of one token
        ("stayed_seconds", "f8"),  # of these, from their coming to their answer
        ("short_work", "i8"),  # of these, whose work or stay was within the bound of the pods' histograms
        ("short_stays", "i8"),
        ("busy_seconds", "f8"),
    ]
)
"""A pod: who waits, who runs, and what was done."""


def lines_of(pods: int) -> Records:
    """Pods of which none is ready."""
    lines = np.zeros(pods, LINE)
    for field, value in (
        ("reading", NOBODY), ("next_end", NEVER), ("ends_at", np.inf), ("slowness", 1.0), ("spent_in", NOBODY),
    ):  # fmt: skip
        lines[field] = value
    return lines


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
def _next_begin(pod, engine, state):  # type: ignore[no-untyped-def]
    line, held, queue = state.lines[pod], state.held, state.queue
    free = line["freed_at"]
    if line["count"] > 0:
        return free
    head, waiting = line["head"], line["tail"] - line["head"]
    if waiting == 0:
        return np.inf
    begin = held[queue[pod, head % QUEUE]]["came_at"] + engine.delay_seconds
    if waiting >= engine.largest_batch:
        begin = min(begin, held[queue[pod, (head + engine.largest_batch - 1) % QUEUE]]["came_at"])
    return max(free, begin)


@compiled
def _begin(pod, now, engine, state):  # type: ignore[no-untyped-def]
    line, held, queue, running = state.lines[pod], state.held, state.queue, state.running
    count, reading = line["count"], line["reading"]
    room = engine.iteration_tokens - count + (reading >= 0)
    read = 0
    while room > 0:
        if reading < 0:
            if line["head"] == line["tail"] or count == engine.largest_batch:
                break
            place = queue[pod, line["head"] % QUEUE]
            request = held[place]
            tokens = request["inputs"] + request["outputs"]
            # Whoever is alone may have more than the cache holds: nobody else would ever get in.
            if count > 0 and line["promised"] + tokens > engine.cache_tokens:
                break
            line["head"] += 1
            line["promised"] += tokens
            running[pod, count] = place
            count += 1
            request["unread"] = request["inputs"]
            request["ends"] = NEVER
            reading = place
        request = held[reading]
        tokens = min(request["unread"], room)
        request["unread"] -= tokens
        read += tokens
        room -= max(tokens, 1)
        if request["unread"] > 0:
            break
        request["ends"] = line["iterations"] + request["outputs"]
        line["next_end"] = min(line["next_end"], request["ends"])
        reading = -1
    line["count"] = count
    line["reading"] = reading
    line["cached"] += read
    items = 0.0
    for at in range(count):
        items += held[running[pod, at]]["item"]
    seconds = line["slowness"] * (
        engine.fixed_seconds
        + engine.seconds_per_item * items
        + engine.seconds_per_input_token * read
        + engine.seconds_per_cached_token * line["cached"]
    )
    line["began_at"] = now
    if engine.cpu_share >= 1:
        line["ends_at"] = now + seconds
    else:
        line["ends_at"], line["spent"], line["spent_in"] = throttled(
            now, seconds, engine.cpu_share, engine.period_seconds, line["spent"], line["spent_in"]
        )


@compiled
def _end(pod, objective, bound, retries, state):  # type: ignore[no-untyped-def]
    line, held, running = state.lines[pod], state.held, state.running
    now = line["ends_at"]
    seconds = now - line["began_at"]
    line["ends_at"] = np.inf
    line["freed_at"] = now
    line["busy_seconds"] += seconds
    line["iterations"] += 1
    count = line["count"]
    line["cached"] += count - (line["reading"] >= 0)
    if line["iterations"] < line["next_end"]:
        return
    kept, next_end = 0, NEVER
    for at in range(count):
        place = running[pod, at]
        request = held[place]
        if request["ends"] > line["iterations"]:
            running[pod, kept] = place
            kept += 1
            next_end = min(next_end, request["ends"])
            continue
        tokens = request["inputs"] + request["outputs"]
        stayed = now - request["came_at"]
        line["cached"] -= tokens
        line["promised"] -= tokens
        line["done"] += 1
        line["worked_seconds"] += seconds
        line["stayed_seconds"] += stayed
        line["short_work"] += seconds <= bound
        line["short_stays"] += stayed <= bound
        answered(place, now, objective, retries, state)
    line["count"] = kept
    line["next_end"] = next_end


@compiled
def work(until, engine, objective, bound, retries, state):  # type: ignore[no-untyped-def]
    """Let all pods work up to a time."""
    lines = state.lines
    for pod in range(lines.shape[0]):
        line = lines[pod]
        # Most have nothing to do: to ask here is quicker than to call.
        if line["ends_at"] > until and (
            line["ends_at"] < np.inf or (line["head"] == line["tail"] and line["count"] == 0)
        ):
            continue
        while True:
            if line["ends_at"] <= until:
                _end(pod, objective, bound, retries, state)
            elif line["ends_at"] < np.inf:
                break
            begin = _next_begin(pod, engine, state)
            if begin >= until:  # who comes just then is in it
                break
            _begin(pod, begin, engine, state)
