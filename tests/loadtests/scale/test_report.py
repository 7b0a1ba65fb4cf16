"""The report: every figure documented, targets beside what was measured, a picture that stands alone."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtests.scale.growth import picture
from loadtests.scale.measures import neighbours, storm
from loadtests.scale.report import markdown
from loadtests.scale.targets import outcomes
from tests.loadtests.scale.recorded import READY, children, offering, status

README = Path(__file__).parents[3] / "loadtests" / "README.md"
CORES = {"operator": 0.04, "kube-apiserver": 0.3, "measuring": 0.1}


def life(services: int) -> dict[str, Any]:
    """The figures of a storm, a restart and rest."""
    offered = storm([offering(0), *children(1), status(20, *READY)])
    return {
        "storm": offered
        | {
            "services": services,
            "rate_per_second": 50.0,
            "operator_cpu_milliseconds_per_service": 40.0,
            "cores": CORES,
            "operator_peak_mebibytes": 120,
        },
        "restart": {
            "services": services,
            "converged_seconds": 7.0,
            "cpu_seconds": 3.0,
            "writes": 1,
            "written": {"patch services": 1},
        },
        "quiet": {
            "services": services,
            "seconds": 60.0,
            "writes": 0,
            "written": {},
            "reads_per_second": 0.1,
            "cores": CORES,
            "operator_mebibytes": 120,
            "operator_peak_mebibytes": 130,
        },
    }


def summary() -> dict[str, Any]:
    """A whole summary, as the command writes it."""
    whole: dict[str, Any] = {"services": 1000, "cpus": 2, "failures": []} | life(1000)
    whole["arrivals"] = whole["storm"] | {
        "rate_per_second": 10.0,
        "children": {"p50_seconds": 0.2, "p99_seconds": 1.5},
    }
    whole["neighbours"] = neighbours([], [], "calm") | {
        "services": 50,
        "changes_per_second": 5.0,
        "busy_services": 500,
        "busy_changes_per_second": 50.0,
        "p99_ratio": 1.5,
    }
    whole["growth"] = [{"services": services} | life(services) for services in (125, 1000)]
    whole["targets"] = [
        {"name": one.name, "wanted": one.wanted, "measured": one.measured, "met": one.met}
        for one in outcomes(whole)
    ]
    return whole


def keys(found: Any) -> Iterator[str]:
    """The names of all figures, at any depth; those of processes and of kinds of writes aside."""
    if isinstance(found, list):
        for one in found:
            yield from keys(one)
    elif isinstance(found, dict):
        for name, value in found.items():
            yield name
            if name not in ("cores", "written", "refused_writes"):
                yield from keys(value)


def test_every_key_is_documented() -> None:
    """A figure that nobody explains is of no use."""
    _, _, section = README.read_text(encoding="utf-8").partition("loadtests.scale`")
    assert section, "loadtests/README.md has no section of loadtests.scale"
    section = section.partition("\n## ")[0]

    assert [name for name in dict.fromkeys(keys(summary())) if f"`{name}`" not in section] == []


def test_targets_stand_beside_what_was_measured() -> None:
    """Met or not; the one write of the restart is one too many."""
    rows = [line for line in markdown(summary()).splitlines() if line.endswith(("| yes |", "| **no** |"))]

    assert len(rows) == 8
    assert [row for row in rows if "**no**" in row] == ["| writes of a restart | 0 | 1 | **no** |"]


@pytest.mark.parametrize(
    ("path", "value", "met"),
    [
        (("storm", "settled_seconds"), 59.9, True),
        (("storm", "settled_seconds"), 60.0, False),
        (("arrivals", "children"), {"p99_seconds": 2.1}, False),
        (("restart", "converged_seconds"), 61, False),
        (("quiet", "writes"), 1, False),
        (("quiet", "cores"), {"operator": 0.05}, False),
        (("quiet", "operator_peak_mebibytes"), 300, False),
        (("neighbours", "p99_ratio"), 2.0, False),
    ],
)
def test_a_target_is_met_below_it(path: tuple[str, str], value: Any, met: bool) -> None:
    """What was not measured has no outcome."""
    (found,) = outcomes({path[0]: {path[1]: value}})

    assert found.met is met


def test_a_report_says_what_is_missing() -> None:
    """What failed is named, and what was not measured has no section."""
    text = markdown({"services": 20, "cpus": 2, "failures": ["storm: 3 of 20 settled"], "targets": []})

    assert "storm: 3 of 20 settled" in text
    assert "##" not in text


def test_the_picture_stands_alone() -> None:
    """One well-formed image with every size under its axis, and nothing loaded from elsewhere."""
    text = picture(summary()["growth"])
    image = ElementTree.fromstring(text)
    said = [element.text for element in image.iter() if element.text]

    assert image.tag == "{http://www.w3.org/2000/svg}svg"
    assert said.count("125") == said.count("1000") == 5
    assert "target" in said
    assert "href" not in text
