"""What `servingctl check` says of signals, with and without the name of a service."""

from __future__ import annotations

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
    (scraped,) = wanted([])

    assert judge(scraped, Reading(()), now=0.0, ready_pods=None).level == "Failed"
