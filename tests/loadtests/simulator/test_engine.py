"""What follows from a pod's numbers, and that published numbers are met."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.simulator.engine import Engine, Tokens, efficient_batch, iteration_seconds, service_seconds
from loadtests.simulator.published import (
    BERT_BATCHES,
    BERT_MILLISECONDS,
    BERT_TIME,
    ENCODER,
    HALF_AN_ANSWER,
    LLAMA_70B,
    LLAMA_INPUT_MILLISECONDS,
    LLAMA_INPUT_TOKENS,
    LLAMA_PROMPTS,
    LLAMA_SEQUENCES,
    LLAMA_TOKEN_MILLISECONDS,
    MODEL_LOAD_SECONDS,
    SERVEGEN_LARGE,
)
from loadtests.simulator.quantiles import Quantiles


def sized(inputs: float, outputs: float) -> Tokens:
    """Requests of one size."""
    return Tokens(Quantiles((0, 1), (inputs, inputs)), Quantiles((0, 1), (outputs, outputs)))


def test_a_batch_takes_less_for_each_the_larger_it_is() -> None:
    """t0 + t1 b, and so t0 / b + t1 for each; twice that with half a CPU."""
    engine = Engine(fixed_seconds=0.02, seconds_per_item=0.01)
    assert iteration_seconds(engine, 4) == pytest.approx(0.06)
    assert service_seconds(engine, 4) == pytest.approx(0.015)
    assert service_seconds(engine._replace(cpu_share=0.5), 4) == pytest.approx(0.03)
    assert service_seconds(engine, 4, item=2.0) == pytest.approx(0.025)


def test_a_longer_answer_costs_iterations_and_cache() -> None:
    """Ten sequences read one prompt each in as many iterations as an answer has tokens, and hold half of it on average."""
    engine = Engine(0.01, 0.001, seconds_per_input_token=1e-4, seconds_per_cached_token=1e-6)
    mean = 0.01 + 10 * 0.001 + 10 * 1e-4 * 200 / 50 + 10 * 1e-6 * (200 + 24.5)
    assert iteration_seconds(engine, 10, sized(200, 50)) == pytest.approx(mean)
    assert service_seconds(engine, 10, sized(200, 50)) == pytest.approx(50 * mean / 10)


@pytest.mark.parametrize(
    ("largest", "limit", "cache", "expected", "why"),
    [
        (16, 1.0, 2**40, 16, "the largest serves most"),
        (16, 0.1, 2**40, 8, "0.02 + 0.01 b is at most a tenth of a second"),
        (16, 0.025, 2**40, 1, "not even one is, and nobody does better"),
        (16, 1.0, 12, 6, "two tokens each fit six times"),
    ],
)
def test_the_most_efficient_batch_is_a_feasible_one(
    largest: int, limit: float, cache: int, expected: int, why: str
) -> None:
    """Within its limits and the objective."""
    engine = Engine(0.02, 0.01, largest_batch=largest, cache_tokens=cache)
    assert efficient_batch(engine, limit, sized(1, 1)) == expected, why


def test_published_times_are_met() -> None:
    """An encoder's batches within an eighth; a token of a large language model within 6%, its prompts within two fifths."""
    for batch, milliseconds in zip(BERT_BATCHES, BERT_MILLISECONDS, strict=True):
        taken = ENCODER.fixed_seconds + ENCODER.seconds_per_item * batch
        assert taken == pytest.approx(milliseconds / 1000, rel=0.125)
    assert BERT_TIME.error < 0.125
    for sequences, prompt, milliseconds in zip(
        LLAMA_SEQUENCES, LLAMA_PROMPTS, LLAMA_TOKEN_MILLISECONDS, strict=True
    ):
        cached = sequences * (prompt + HALF_AN_ANSWER)
        taken = (
            LLAMA_70B.fixed_seconds
            + LLAMA_70B.seconds_per_item * sequences
            + LLAMA_70B.seconds_per_cached_token * cached
        )
        assert taken == pytest.approx(milliseconds / 1000, rel=0.06)
    for tokens, milliseconds in zip(LLAMA_INPUT_TOKENS, LLAMA_INPUT_MILLISECONDS, strict=True):
        taken = LLAMA_70B.fixed_seconds + LLAMA_70B.seconds_per_input_token * tokens
        assert taken == pytest.approx(milliseconds / 1000, rel=0.4)


def test_published_means_are_met() -> None:
    """ServeGen's own means of that class are 969 and 340 tokens, which are not among the quantiles."""
    assert SERVEGEN_LARGE.inputs.mean == pytest.approx(969, rel=0.05)
    assert SERVEGEN_LARGE.outputs.mean == pytest.approx(340, rel=0.05)


def test_quantiles_are_drawn_as_they_are() -> None:
    """Mean, mean square and quantiles of what is drawn are those of the lines between the points."""
    drawn = MODEL_LOAD_SECONDS.draw(np.random.default_rng(0), 40_000)
    assert drawn.mean() == pytest.approx(MODEL_LOAD_SECONDS.mean, rel=0.01)
    assert (drawn**2).mean() == pytest.approx(MODEL_LOAD_SECONDS.mean_square, rel=0.02)
    assert np.quantile(drawn, 0.5) == pytest.approx(22.7, rel=0.02)
    assert np.quantile(drawn, 0.95) == pytest.approx(MODEL_LOAD_SECONDS.at(0.95), rel=0.02)
    inputs, outputs = SERVEGEN_LARGE.draw(np.random.default_rng(0), 1000)
    assert inputs.min() >= 1
    assert np.all(outputs == np.rint(outputs))


@pytest.mark.parametrize(
    ("shares", "values"),
    [((), ()), ((0, 0.5), (1, 2)), ((0, 1), (2, 1)), ((0, 1, 0.5), (1, 2, 3)), ((0, 1), (1,))],
)
def test_what_is_no_distribution_is_refused(shares: tuple[float, ...], values: tuple[float, ...]) -> None:
    """Ascending from nothing to all, or none."""
    with pytest.raises(ValueError, match="quantiles"):
        Quantiles(shares, values)
