"""Open-loop service on the GPU: requests come when they are due, batches form from what waits."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pynvml
import torch

from loadtests.gpu.arrivals import SETTLE_SECONDS, answer_tokens, arrivals

SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Served:
    """What was seen at one load, a share of capacity; shares from 0 to 1, times in seconds.

    `median` and `p99` are of the latency from when a request was due: to its answer, or to its first token.
    """

    load: float
    requests: int
    utilization: float
    """`utilization.gpu` of NVML, which DCGM exports as DCGM_FI_DEV_GPU_UTIL: the share of time with a kernel on the GPU."""
    running: float
    """The share of time in which the server ran a batch."""
    batch: float
    median: float
    p99: float
    per_token: float | None = None
    """The median time of a later token, with prompts read meanwhile, where answers are written token by token."""


class Utilization:
    """Samples of NVML's `utilization.gpu`, taken beside what runs in the block."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._samples: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Utilization:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def mean(self, since: float) -> float:
        """The mean share since that time of `time.monotonic()`."""
        return statistics.fmean(share for at, share in self._samples if at >= since)

    def _sample(self) -> None:
        pynvml.nvmlInit()
        device = pynvml.nvmlDeviceGetHandleByIndex(torch.cuda.current_device())
        while not self._stop.wait(SAMPLE_SECONDS):
            share = pynvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
            self._samples.append((time.monotonic(), share))


class Clock:
    """Requests that fall due by a Poisson process, and what became of them."""

    def __init__(self, rate: float, seconds: float, seed: int) -> None:
        self.due: Sequence[float] = arrivals(rate, seconds, seed)
        self.began = time.monotonic()
        self.next = 0
        self.latencies: list[float] = []
        self.running = 0.0
        self.batches: list[int] = []

    def arrived(self, most: int) -> list[float]:
        """Take at most so many of the requests that are due."""
        now, first = time.monotonic() - self.began, self.next
        while self.next < len(self.due) and self.next - first < most and self.due[self.next] <= now:
            self.next += 1
        return list(self.due[first : self.next])

    def wait(self) -> None:
        """Sleep until the next request is due."""
        time.sleep(max(0.0, self.due[self.next] - (time.monotonic() - self.began)))

    def run(self, replay: Callable[[], None]) -> None:
        """Run a batch to its end."""
        before = time.monotonic()
        replay()
        torch.cuda.synchronize()
        self.running += time.monotonic() - before

    def answered(self, due: float) -> None:
        """Take note that the request that was due then has its answer, or its first token."""
        if due >= SETTLE_SECONDS:
            self.latencies.append(time.monotonic() - self.began - due)

    def served(self, load: float, utilization: Utilization) -> Served:
        """What was seen."""
        return Served(
            load=load,
            requests=len(self.latencies),
            utilization=utilization.mean(self.began + SETTLE_SECONDS),
            running=self.running / (time.monotonic() - self.began),
            batch=statistics.fmean(self.batches),
            median=statistics.median(self.latencies),
            p99=float(np.quantile(self.latencies, 0.99)),
        )


def serve_batches(
    graphs: Mapping[int, Callable[[], None]], load: float, per_second: float, seconds: float, seed: int
) -> Served:
    """Serve whole requests in batches of what waits, up to the largest graph; smaller ones are padded."""
    clock, most = Clock(load * per_second, seconds, seed), max(graphs)
    with Utilization() as utilization:
        clock.began = time.monotonic()
        while clock.next < len(clock.due):
            taken = clock.arrived(most)
            if not taken:
                clock.wait()
                continue
            clock.batches.append(len(taken))
            clock.run(graphs[padded(len(taken), graphs)])
            for due in taken:
                clock.answered(due)
        return clock.served(load, utilization)


def serve_tokens(
    steps: Mapping[int, Callable[[], None]],
    prefill: Callable[[], None],
    tokens: float,
    load: float,
    per_second: float,
    seconds: float,
    seed: int,
) -> Served:
    """Serve answers by continuous batching: who arrives is read at once, then every step writes a token of each.

    Answers have `tokens` tokens on average, geometrically distributed. Ends with the last arrival: those that are
    still being written then would run at a falling load.
    """
    clock, most = Clock(load * per_second, seconds, seed), max(steps)
    lengths = iter(answer_tokens(tokens, len(clock.due), seed))
    active: list[int] = []
    per_token: list[float] = []
    with Utilization() as utilization:
        clock.began = time.monotonic()
        while clock.next < len(clock.due):
            before = time.monotonic()
            for due in clock.arrived(most - len(active)):
                clock.run(prefill)
                clock.answered(due)
                active.append(next(lengths))
            if not active:
                clock.wait()
                continue
            clock.batches.append(len(active))
            clock.run(steps[padded(len(active), steps)])
            per_token += [time.monotonic() - before] * len(active)
            active = [left - 1 for left in active if left > 1]
        served = clock.served(load, utilization)
    return replace(served, per_token=statistics.median(per_token))


def padded(batch: int, graphs: Mapping[int, object]) -> int:
    """The smallest captured size that holds the batch."""
    return min(size for size in graphs if size >= batch)
