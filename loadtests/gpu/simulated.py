"""The simulator's pod under the loads that a GPU was measured at: the same arrivals, batches as long as the fit says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtests.gpu.arrivals import answer_tokens, arrivals
from loadtests.simulator.batched import BatchedRequests
from loadtests.simulator.engine import Engine
from loadtests.simulator.gateway import Gateway
from loadtests.simulator.requests import Count

PATIENCE_SECONDS = 1e6


@dataclass(frozen=True)
class Simulated:
    """What the simulated pod did at one load, to be held against what was measured; shares from 0 to 1."""

    load: float
    running: float
    """The share of time in which it ran a batch."""
    batch: float
    """Mean requests of an iteration."""
    above_median: float | None = None
    """The share of answers that took longer than the measured median: 0.5, if both were alike."""
    above_p99: float | None = None
    """The share of answers that took longer than the measured 99th percentile: 0.01, if both were alike."""


def simulated(name: str, model: Mapping[str, Any]) -> list[Simulated]:
    """All loads of `encoder` or `decoder` as a summary holds it."""
    if name == "encoder":
        engine = encoder_engine(model)
        return [simulated_encoder(model, engine, served) for served in model["served"]]
    engine = decoder_engine(model)
    return [simulated_decoder(model, engine, served) for served in model["served"]]


def encoder_engine(encoder: Mapping[str, Any]) -> Engine:
    """A pod that forms batches as the measured server did, padded to powers of two."""
    fit = encoder["fit"]
    return Engine(
        fit["fixed"], fit["per_item"], largest_batch=encoder["capacity"]["batch"], powers_of_two=True
    )


def decoder_engine(decoder: Mapping[str, Any]) -> Engine:
    """A pod that writes tokens as the measured server did, which had the same context behind every answer."""
    fit, prompt = decoder["fit"], decoder["prompt_tokens"]
    reading = decoder["prompt_seconds"][decoder["prompts"].index(prompt)]
    return Engine(
        fit["fixed"],
        fit["per_sequence"] + fit["per_token"] * decoder["context_tokens"],
        seconds_per_input_token=reading / prompt,
        largest_batch=max(decoder["batches"]),
        powers_of_two=True,
    )


def simulated_encoder(encoder: Mapping[str, Any], engine: Engine, served: Mapping[str, Any]) -> Simulated:
    """One load of whole inputs."""
    rate, seconds, seed = _offered(encoder, encoder["capacity"]["per_second"], served)
    times = np.array(arrivals(rate, seconds, seed))
    sizes = np.ones(len(times)), np.zeros(len(times)), np.ones(len(times))
    late = []
    for objective in (served["median"], served["p99"]):
        pod = _pod(engine, objective)
        pod.advance(times, sizes, times[-1] + 60)
        late.append(1 - float(pod.counts[Count.ON_TIME]) / len(times))
    return _seen(pod, served["load"], len(times), float(pod.lines["freed_at"][0]), *late)


def simulated_decoder(decoder: Mapping[str, Any], engine: Engine, served: Mapping[str, Any]) -> Simulated:
    """One load of answers, up to the last arrival as it was measured."""
    rate, seconds, seed = _offered(decoder, decoder["answers_per_second"], served)
    times = np.array(arrivals(rate, seconds, seed))
    outputs = np.array(answer_tokens(decoder["answer_tokens"], len(times), seed), float)
    sizes = np.ones(len(times)), np.full(len(times), float(decoder["prompt_tokens"])), outputs
    pod = _pod(engine, PATIENCE_SECONDS)
    pod.advance(times, sizes, float(times[-1]))
    line = pod.lines[0]
    begun = float(outputs[: len(times) - int(pod.waiting[0])].sum())
    unwritten = float(line["promised"] - line["cached"])
    return _seen(pod, served["load"], begun - unwritten, float(times[-1]))


def _offered(
    model: Mapping[str, Any], per_second: float, served: Mapping[str, Any]
) -> tuple[float, float, int]:
    return served["load"] * per_second, model["load_seconds"], model["seed"]


def _pod(engine: Engine, objective: float) -> BatchedRequests:
    pod = BatchedRequests(1, objective, engine=engine, gateway=Gateway(timeout_seconds=PATIENCE_SECONDS))
    pod.start(0, 0.0)
    return pod


def _seen(pod: BatchedRequests, load: float, worked: float, seconds: float, *late: float) -> Simulated:
    line = pod.lines[0]
    return Simulated(load, float(line["busy_seconds"]) / seconds, worked / float(line["iterations"]), *late)
