"""How a pod works on several requests at once, as data, and what follows from it in closed form.

One form serves all models. A pod works in iterations, each on all requests that run in it:

* *dynamic batching*: a request takes one iteration, so a batch is answered together, and the next is formed of what waits;
* *continuous batching*: an iteration reads prompts and writes a token of every answer; requests join and leave between two;
* *one after another*: batches of one. With a CPU limit, iterations are stretched as the kernel's bandwidth control does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from loadtests.simulator.quantiles import Quantiles
from loadtests.simulator.requests import Floats

UNLIMITED = 2**40
"""More tokens than there can be."""


class Engine(NamedTuple):
    """The numbers of a pod. All times in seconds; an iteration takes the sum of its first four terms."""

    fixed_seconds: float = 0.0
    seconds_per_item: float = 1.0
    """For each request that runs in the iteration, times its size."""
    seconds_per_input_token: float = 0.0
    """For each token of a prompt that the iteration reads."""
    seconds_per_cached_token: float = 0.0
    """For each token that the running requests have in the cache, those just read included."""
    largest_batch: int = 1
    """Requests that run at a time, at most."""
    delay_seconds: float = 0.0
    """For so long the oldest request waits, at most, for a batch to become full while nothing runs."""
    iteration_tokens: int = UNLIMITED
    """Tokens that an iteration works on, at most: one for each answer, the rest are of prompts."""
    cache_tokens: int = UNLIMITED
    """Tokens of prompts and answers that the requests that run may have together when they end."""
    cpu_share: float = 1.0
    """CPU limit in what the work uses when it runs: 0.5 is a limit of two cores for work on four threads."""
    period_seconds: float = 0.1
    """In every one the work runs for that share of it, at most: 100 ms is the kernel's and the kubelet's default."""


@dataclass(frozen=True)
class Tokens:
    """What requests to a language model bring: sizes of prompts and of answers, independent of each other."""

    inputs: Quantiles
    outputs: Quantiles

    def draw(self, random: np.random.Generator, count: int) -> tuple[Floats, Floats]:
        """Tokens of prompts and of answers, whole numbers and at least one."""
        inputs, outputs = (
            np.maximum(np.rint(of.draw(random, count)), 1) for of in (self.inputs, self.outputs)
        )
        return inputs, outputs

    @property
    def mean_cached(self) -> float:
        """Tokens that a running request has in the cache on average over time, which long answers take most of."""
        outputs = self.outputs
        return self.inputs.mean + (outputs.mean_square / outputs.mean - 1) / 2


NO_TOKENS = Tokens(Quantiles((0.0, 1.0), (0.0, 0.0)), Quantiles((0.0, 1.0), (1.0, 1.0)))
"""Of what is answered at once."""


def iteration_seconds(engine: Engine, running: float, tokens: Tokens = NO_TOKENS, item: float = 1.0) -> float:
    """Mean time of an iteration where so many requests run all the time and others wait, by their means.

    Every request stays for as many iterations as it has tokens of output, so that `running` / outputs prompts are read in
    each; this presumes that they fit into it. A CPU limit is exhausted in every period.
    """
    read = running * tokens.inputs.mean / tokens.outputs.mean
    free = (
        engine.fixed_seconds
        + engine.seconds_per_item * running * item
        + engine.seconds_per_input_token * read
        + engine.seconds_per_cached_token * running * tokens.mean_cached
    )
    return free / engine.cpu_share


def service_seconds(engine: Engine, running: float, tokens: Tokens = NO_TOKENS, item: float = 1.0) -> float:
    """Time of a pod that each request takes where so many run all the time: the reciprocal of its throughput."""
    return tokens.outputs.mean * iteration_seconds(engine, running, tokens, item) / running


def efficient_batch(
    engine: Engine, limit_seconds: float, tokens: Tokens = NO_TOKENS, item: float = 1.0, share: float = 0.99
) -> int:
    """The batch with which a pod serves most within an objective: this share of the answers, once begun, takes no longer.

    One, where not even that holds the objective.
    """
    longest = tokens.outputs.at(share)
    in_cache = int(engine.cache_tokens / max(tokens.inputs.mean + tokens.outputs.mean, 1.0))
    feasible = [
        batch
        for batch in range(1, min(engine.largest_batch, max(in_cache, 1)) + 1)
        if longest * iteration_seconds(engine, batch, tokens, item) <= limit_seconds
    ]
    return min(feasible, key=lambda batch: service_seconds(engine, batch, tokens, item), default=1)
