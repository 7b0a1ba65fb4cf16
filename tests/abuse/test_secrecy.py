"""What a service holds in its environment is told to nobody who only reads its status or events."""

from __future__ import annotations

import json

from tests.operator.rollout.simulation import Simulation, inference_service

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
