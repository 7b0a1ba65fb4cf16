"""What a service holds in its environment, and what the programs are given, is told to nobody who reads statuses, events or logs."""

from __future__ import annotations

import argparse
import json

import pytest

from autoscaler.prometheus_options import add_prometheus_options, prometheus_access
from serving_api.configuration import parse
from serving_operator.config import parse as start_operator
from tests.operator.rollout.simulation import Simulation, inference_service
from tests.servingctl.run import run

TOKEN = "canary-token-5f1c"


def test_no_value_of_a_variable_is_told() -> None:
    """Through a first revision, a rollout and an abort neither status nor events hold a variable's value."""
    service = inference_service("a")
    container = service["spec"]["predictor"]["container"]
    container["env"] = [{"name": "PASSWORD", "value": TOKEN}]
    cluster = Simulation(service)
    cluster.run(30)
    container["image"] = "crashing"
    cluster.run(200)
    assert cluster.status["rejected"]
    assert cluster.events
    assert TOKEN not in json.dumps(cluster.status) + str(cluster.events)


@pytest.mark.parametrize("header", [f"Authorization=Bearer {TOKEN}\u2013", f"Authorization: Bearer {TOKEN}"])
def test_no_header_is_told_by_a_program_that_cannot_send_it(
    header: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Operator, autoscaler and servingctl refuse the header by its option, without what stands in it."""
    for arguments, environ in (([f"--prometheus-header={header}"], {}), ([], {"PROMETHEUS_HEADER": header})):
        with pytest.raises(SystemExit):
            start_operator(arguments, environ)
    parser = argparse.ArgumentParser()
    add_prometheus_options(parser)
    with pytest.raises(ValueError, match="--prometheus-header") as refused:
        prometheus_access(parser.parse_args([f"--prometheus-header={header}"]), 1.0)
    operator = capsys.readouterr().err
    check = run(capsys, "check", f"--prometheus-header={header}")
    assert check.code == 2
    assert "--prometheus-header: " in operator
    assert "PROMETHEUS_HEADER: " in operator
    assert "--prometheus-header: " in check.err
    assert TOKEN not in operator + str(refused.value) + check.out + check.err


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}\n", f"{TOKEN}\u2013", f" {TOKEN}"])
def test_no_header_of_the_configuration_is_told(value: str) -> None:
    """A header that cannot be sent is refused by its key, with the remedy."""
    with pytest.raises(ValueError, match=r"prometheus\.headers: .*Authorization.* write it again") as refused:
        parse({"prometheus": {"headers": {"Authorization": value}}})

    assert TOKEN not in str(refused.value)
