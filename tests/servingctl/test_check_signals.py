"""What `servingctl check` says of signals, with and without the name of a service."""

from __future__ import annotations

import pytest

from servingctl.preflight.judge import judge
from servingctl.preflight.signals import Reading, wanted
from tests.servingctl.conftest import Check
from tests.servingctl.set_up import SetUp


def lines(out: str, part: str) -> list[str]:
    """The lines that tell of something."""
    return [line for line in out.splitlines() if part in line]


def test_right_after_the_install_no_signal_has_failed(check: Check) -> None:
    """Where Prometheus has nothing but `up`, and no service is named, one line tells of all profiles."""
    ran = check(SetUp(name="", is_scraped=False, are_rules_loaded=False))

    (found,) = lines(ran.out, "signals of")
    assert found.startswith("Unknown   signals of mlserver, vllm, triton, sglang, tgi, gateway ")
    assert "no service uses them yet" in found
    (scraped,) = lines(ran.out, "signal ")
    assert scraped.startswith("OK")
    assert ran.code == 0, ran.out


def test_what_nobody_uses_is_no_failure_beside_what_somebody_does(check: Check) -> None:
    """Where only MLServer is scraped its signals are told, and one line names the profiles of which there is nothing."""
    ran = check(SetUp(name=""))

    assert lines(ran.out, "signal requests (model_infer_request_success_total)")[0].startswith("OK")
    assert lines(ran.out, "signals of vllm, triton, sglang, tgi, gateway ")[0].startswith("Unknown")
    assert not lines(ran.out, "nv_inference")
    assert ran.code == 0, ran.out


def test_what_is_there_is_judged_without_a_name(check: Check) -> None:
    """Series that are old, or that nobody can tell the owner of, are failures whoever they belong to."""
    old, unlabelled = (
        check(SetUp(name="", age_seconds=400)),
        check(SetUp(name="", labels={"namespace": "ns"})),
    )

    assert (old.code, unlabelled.code) == (1, 1)
    assert "it is scraped no longer" in lines(old.out, "signal requests")[0]
    assert "lack the label pod" in lines(unlabelled.out, "signal requests")[0]


def test_a_prometheus_that_scrapes_nothing_is_a_failure() -> None:
    """Without any `up` there is nothing to read, whoever asks."""
    (scraped,) = wanted([], None)

    assert judge(scraped, Reading(()), now=0.0, ready_pods=None).level == "Failed"


BACKEND = "httproute/ns/digits/rule/0/backend/digits-aaaaaaaa"
TOGETHER = "the autoscaler splits them by the rollout's weights, and analysis.source envoy-gateway cannot judge a canary"
NAMINGS: dict[str, tuple[SetUp, str, str, int]] = {
    "a rule": (SetUp(clusters=("httproute/ns/digits/rule/0",), profile="gateway"), "OK", TOGETHER, 0),
    "a place": (SetUp(clusters=("httproute/ns/digits/rule/0/backend/1",), profile="gateway"), "OK", TOGETHER, 0),
    "a rule, judged there": (
        SetUp(clusters=("httproute/ns/digits/rule/0",), profile="gateway", evidence="envoy-gateway"),
        "Warning",
        "set rollout.analysis.source to runtime or istio",
        0,
    ),
    "neither, of the only source": (
        SetUp(clusters=("outbound|80||digits",), profile="gateway"),
        "Failed",
        "counts neither by route nor by backend (clusters are named outbound|80||digits)",
        1,
    ),
    "neither, beside the pods": (SetUp(clusters=("outbound|80||digits",)), "Warning", "counts neither by", 0),
    "neither, without an autoscaler": (
        SetUp(clusters=("outbound|80||digits",), profile=""),
        "Warning",
        "counts neither by",
        0,
    ),
    "another route": (
        SetUp(clusters=("a", "b", "c", "d", "e", "httproute/ns/other/rule/0"), profile="gateway"),
        "Failed",
        "counts for other routes only (clusters are named httproute/ns/other/rule/0)",
        1,
    ),
    "nothing": (SetUp(profile="gateway"), "Failed", "let Prometheus scrape the Gateway's proxies", 1),
    "no route yet, of nobody": (
        SetUp(clusters=("xds_cluster",), name=""),
        "Unknown",
        "counts for no route yet (clusters are named xds_cluster)",
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMINGS)
def test_how_a_gateway_names_its_clusters(check: Check, name: str) -> None:
    """What stands for a route as a whole is enough to scale by; what names neither is a failure where load is read nowhere else."""
    setup, level, words, code = NAMINGS[name]
    ran = check(setup)

    (found,) = lines(ran.out, words)
    assert found.startswith(level), ran.out
    assert ran.code == code, ran.out


def test_backends_that_are_counted_each_need_no_word(check: Check) -> None:
    """The signal is there, and nothing is said of names; also while clusters of the other kind are still in Prometheus."""
    ran = check(
        SetUp(clusters=(BACKEND, "httproute/ns/digits/rule/0"), profile="gateway", evidence="envoy-gateway")
    )

    assert lines(ran.out, "(envoy_cluster_upstream_rq_total)")[0].startswith("OK")
    assert not lines(ran.out, "clusters of the Gateway")
    assert ran.code == 0, ran.out


def test_clusters_of_any_route_are_enough_without_a_name(check: Check) -> None:
    """However many other clusters Envoy counts in."""
    ran = check(SetUp(clusters=("a", "b", "c", "d", "e", "f", "httproute/ns/digits/rule/0"), name=""))

    assert lines(ran.out, "(envoy_cluster_upstream_rq_total)")[0].startswith("OK")
    assert ran.code == 0, ran.out
