"""The arithmetic of the measurements on a GPU; the measuring itself needs one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.gpu.curves import BatchTime, Capacity, batch_time, busy_at, capacity, step_time
from loadtests.gpu.report import markdown

RECORDED = json.loads((Path(__file__).parents[2] / "loadtests/gpu/h100.json").read_text())


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


@pytest.mark.parametrize("model", ["encoder", "decoder"])
def test_what_was_recorded_is_linear(model: str) -> None:
    """The linear forms of batches and decoding steps are off by less than a sixth on a real GPU."""
    assert RECORDED[model]["fit"]["error"] < 1 / 6


def test_recorded_utilization_cannot_size() -> None:
    """A GPU that decodes calls itself nine tenths busy at a fifth of what it can do."""
    (fifth,) = [one for one in RECORDED["decoder"]["served"] if one["load"] == 0.2]
    assert fifth["utilization"] > 0.9


def test_every_key_of_the_summary_is_documented() -> None:
    """The README of the load tests names each key that a summary has."""
    told = (Path(__file__).parents[2] / "loadtests/README.md").read_text()
    section = told.split("## `PYTHON -m loadtests.gpu`")[1].split("\n## ")[0]
    models = RECORDED["encoder"] | RECORDED["decoder"]
    for key in (*RECORDED, *models, *models["served"][0], *models["fit"], *RECORDED["encoder"]["fit"]):
        assert f"{key}`" in section, key
