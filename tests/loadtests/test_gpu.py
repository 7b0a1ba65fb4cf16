"""The arithmetic of the measurements on a GPU; the measuring itself needs one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from loadtests.gpu.curves import BatchTime, Capacity, batch_time, busy_at, capacity, step_time
from loadtests.gpu.report import markdown
from loadtests.gpu.simulated import (
    Simulated,
    decoder_engine,
    encoder_engine,
    simulated_decoder,
    simulated_encoder,
)
from loadtests.gpu.start import STAGES, started

GPUS = {
    gpu: json.loads((Path(__file__).parents[2] / f"loadtests/gpu/{gpu}.json").read_text())
    for gpu in ("h100", "h200")
}
RECORDED = GPUS["h200"]
recorded = pytest.mark.parametrize("gpu", GPUS)


def test_a_line_is_found_again() -> None:
    """Times that lie on a line give its two numbers, and no error."""
    made = BatchTime(0.002, 0.0005, 0.0)
    found = batch_time([1, 8, 64], [made.seconds(1), made.seconds(8), made.seconds(64)])

    assert (found.fixed, found.per_item) == pytest.approx((0.002, 0.0005))
    assert found.error == pytest.approx(0, abs=1e-9)


def test_each_time_weighs_the_same() -> None:
    """A long batch that is off by a tenth pulls no more than a short one: the error is a share of the time."""
    found = batch_time([1, 2, 1000], [0.001, 0.002, 1.1])

    assert found.error < 0.1
    assert found.seconds(1) == pytest.approx(0.001, rel=0.1)


def test_a_plane_is_found_again() -> None:
    """A decoding step has a cost of its own, one for each sequence, and one for each token in the cache."""
    points = [(1, 100), (8, 800), (8, 6400), (64, 6400)]
    seconds = [0.006 + 0.0001 * batch + 2e-7 * tokens for batch, tokens in points]
    found = step_time([b for b, _ in points], [t for _, t in points], seconds)

    assert (found.fixed, found.per_sequence, found.per_token) == pytest.approx((0.006, 0.0001, 2e-7))
    assert found.seconds(8, 800) == pytest.approx(seconds[1])


def test_fewer_points_than_unknowns_are_refused() -> None:
    """A fit through too few points would be exact and worthless."""
    with pytest.raises(ValueError, match="measure more sizes"):
        batch_time([1], [0.1])


def test_capacity_is_the_best_batch_within_the_limit() -> None:
    """The largest batch need not serve most, and one that takes too long does not count."""
    batches, seconds = [1, 8, 16, 32], [0.002, 0.008, 0.015, 0.033]

    assert capacity(batches, seconds, 1.0) == Capacity(16, 16 / 0.015)
    assert capacity(batches, seconds, 0.01) == Capacity(8, 1000.0)
    assert capacity(batches, seconds, 0.001) is None


def test_the_load_at_which_a_gpu_is_busy_lies_between_two() -> None:
    """By line between the loads around it, from nothing at no load; None if it never was so busy."""
    assert busy_at([0.2, 0.4], [0.5, 1.0], 0.75) == pytest.approx(0.3)
    assert busy_at([0.2, 0.4], [0.5, 1.0], 0.25) == pytest.approx(0.1)
    assert busy_at([0.2], [0.5], 0.75) is None


def test_the_report_has_what_was_recorded() -> None:
    """Every load of both models is a row; a model that was not measured is left out."""
    whole = markdown(RECORDED)
    served = RECORDED["encoder"]["served"] + RECORDED["decoder"]["served"]

    assert whole.count("% | ") >= len(served)
    assert "time per token" in whole
    assert "language model" not in markdown({k: v for k, v in RECORDED.items() if k != "decoder"})


@recorded
@pytest.mark.parametrize("model", ["encoder", "decoder"])
def test_what_was_recorded_is_linear(gpu: str, model: str) -> None:
    """The linear forms of batches and decoding steps are off by less than a sixth on a real GPU."""
    assert GPUS[gpu][model]["fit"]["error"] < 1 / 6


@recorded
def test_recorded_utilization_cannot_size(gpu: str) -> None:
    """A GPU that decodes calls itself nine tenths busy at a fifth of what it can do."""
    fifth = at_load(GPUS[gpu]["decoder"], 0.2)
    assert fifth["utilization"] > 0.9


def at_load(model: dict[str, Any], load: float, what: str = "served") -> dict[str, Any]:
    """What was recorded at one load."""
    (found,) = [one for one in model[what] if one["load"] == load]
    return dict(found)


@pytest.mark.thorough
@recorded
@pytest.mark.parametrize("load", [0.2, 0.4])
def test_simulated_batches_are_as_late_as_a_gpus(gpu: str, load: float) -> None:
    """Where a hundredth of a GPU's answers is late, from a half of that to twice as many of the simulator's pod are."""
    encoder = GPUS[gpu]["encoder"]
    served = at_load(encoder, load)
    found = simulated_encoder(encoder, encoder_engine(encoder), served)

    assert found.running == pytest.approx(served["running"], rel=0.04)
    assert found.batch == pytest.approx(served["batch"], rel=0.04)
    assert 0.005 < (found.above_p99 or 0) < 0.02
    assert asdict(found) == pytest.approx(at_load(encoder, load, "simulated")), "the report says the same"


@recorded
@pytest.mark.parametrize("load", [0.2, 0.8])
def test_simulated_decoding_is_as_busy_as_a_gpu(gpu: str, load: float) -> None:
    """A language model's iterations hold as many answers, within a twentieth, and run for the same share of time."""
    decoder = GPUS[gpu]["decoder"]
    served = at_load(decoder, load)
    found = simulated_decoder(decoder, decoder_engine(decoder), served)

    assert found.running == pytest.approx(served["running"], rel=0.01)
    assert found.batch == pytest.approx(served["batch"], rel=0.05)
    assert found == Simulated(**at_load(decoder, load, "simulated")), "the report says the same"


def test_stages_of_a_start_are_what_lies_between_their_ends() -> None:
    """Medians of each stage and of the whole; the slowest is told too."""
    fast = {stage: float(at + 1) for at, stage in enumerate(STAGES)}
    slow = {stage: 2 * over for stage, over in fast.items()}
    found = started("cold", 1, [fast, slow, fast])

    assert found.stages == dict.fromkeys(STAGES, 1.0)
    assert (found.total, found.slowest, found.starts) == (5.0, 10.0, 3)


def test_every_key_of_the_summary_is_documented() -> None:
    """The README of the load tests names each key that a summary has."""
    told = (Path(__file__).parents[2] / "loadtests/README.md").read_text()
    section = told.split("## `PYTHON -m loadtests.gpu`")[1].split("\n## ")[0]
    models = RECORDED["encoder"] | RECORDED["decoder"]
    for key in (
        *RECORDED, *models, *models["served"][0], *models["simulated"][0], *models["fit"],
        *RECORDED["encoder"]["fit"], *RECORDED["start"], *RECORDED["start"]["started"][0],
    ):  # fmt: skip
        assert f"{key}`" in section, key
