"""How the time from a step of the load to the write of more replicas is split."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.live import clocks
from loadtests.live.policies import Policy
from loadtests.live.reaction import PARTS, Reaction, figures, reaction, table
from loadtests.scale.audit import Request

README = Path(__file__).parents[3] / "loadtests" / "README.md"


def test_the_parts_are_told_apart_and_add_up() -> None:
    """The first sample after the step, the newest that the look could see, the look, the write."""
    found = reaction("hpa", 100.0, [95, 104, 119, 134], 121.0, 121.5)
    assert found == Reaction("hpa", scrape=4, window=15, tick=2, decision=0.5)
    assert found.total == 21.5


@pytest.mark.parametrize(
    ("why", "samples"),
    [("nothing was sampled", []), ("all samples are of before the step or after the look", [95, 134])],
)
def test_what_saw_nothing_of_the_step_is_no_reaction(why: str, samples: list[float]) -> None:
    """A write that chance caused is left out."""
    assert reaction("keda", 100.0, samples, 121.0, 121.5) is None, why


def test_the_table_has_medians_of_each_part() -> None:
    """Who was not timed has no row."""
    told = figures(
        [Reaction("ours", 1, 0, 2, 0.1), Reaction("ours", 3, 0, 4, 0.1), Reaction("ours", 2, 5, 3, 0.1)]
    )
    assert table(told).splitlines()[2:] == ["| ours | 3 | 2.0 | 0.0 | 3.0 | 0.1 | 7.1 | 3.1, 10.1 |"]


def request(
    user: str, verb: str, resource: str, at: float, *, code: int = 200, subresource: str = "scale"
) -> Request:
    """One entry of the audit log."""
    return Request(user, verb, resource, subresource, "demo", "digits", code, at, at + 0.1)


@pytest.mark.parametrize(
    ("policy", "expected"), [("ours", 107.0), ("hpa", 105.0), ("keda", 105.0)]
)  # fmt: skip
def test_the_write_is_the_first_of_the_policy_s_own(policy: Policy, expected: float) -> None:
    """Ours writes the Deployment's scale, the HPA's controller the service's; refused ones and others' do not count."""
    log = [
        request(clocks.HPA_USER, "update", "inferenceservices", 99),
        request(clocks.HPA_USER, "update", "inferenceservices", 103, code=409),
        request(clocks.HPA_USER, "get", "inferenceservices", 104),
        request(clocks.HPA_USER, "update", "inferenceservices", 105),
        request("system:serviceaccount:serving-system:serving-operator", "patch", "deployments", 106),
        request(clocks.OUR_USER, "patch", "inferenceautoscalers", 106, subresource="status"),
        request(clocks.OUR_USER, "patch", "deployments", 107),
    ]
    assert clocks.write_of(policy, log, 100.0) == expected
    assert clocks.write_of(policy, log, 110.0) is None


def test_the_look_is_the_last_before_the_write() -> None:
    """Of several questions the newest that can have been answered."""
    log = [
        request(clocks.HPA_USER, "list", "pods", 95),
        request(clocks.HPA_USER, "list", "pods", 100),
        request("kubernetes-admin", "list", "pods", 101),
        request(clocks.HPA_USER, "list", "pods", 105),
    ]
    assert clocks.look_of_hpa(log, 102.0) == 100
    assert clocks.look_of_hpa(log, 95.0) is None


def test_every_key_of_a_reaction_is_documented() -> None:
    """loadtests/README.md names each key."""
    section = README.read_text(encoding="utf-8").partition("loadtests.live`")[2].partition("\n## ")[0]
    for name in ("reactions", "total", *PARTS):
        assert f"`{name}`" in section, name
