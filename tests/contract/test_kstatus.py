"""What kstatus computes of an InferenceService in every state that docs/conditions.md tells of; Flux waits by its answer."""

from __future__ import annotations

import json
import subprocess

import pytest

from localcluster.pinned import program
from tests.operator.status.test_conditions import STATES, in_state, rows

pytestmark = pytest.mark.real_api
"""It needs no API server, but Go, which only this rung may ask for."""


def test_kstatus_is_as_documented() -> None:
    """Each row has what the library says, which Flux, Config Sync and others wait by."""
    services = [in_state(state) for state in STATES]

    done = subprocess.run(
        [str(program("kstatus"))], input=json.dumps(services), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    said = {state: answer["status"] for state, answer in zip(STATES, json.loads(done.stdout), strict=True)}
    assert said == {state: row["kstatus"] for state, row in rows().items()}


def test_kstatus_waits_for_the_operators_first_look() -> None:
    """A spec that nobody has looked at is not taken for applied."""
    service = in_state("settled")
    service["metadata"]["generation"] += 1

    done = subprocess.run(
        [str(program("kstatus"))], input=json.dumps([service]), capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout)[0]["status"] == "InProgress"
