"""The health check that docs/gitops.md offers to users of Flux who want to wait for a promotion."""

from __future__ import annotations

import cel
import pytest

from tests.documents import yaml_blocks
from tests.manifests.rendering import Manifest
from tests.operator.status.test_conditions import STATES, in_state, rows

(EXPRESSIONS,) = (
    check for block in yaml_blocks() for entry in block.objects for check in entry.get("healthCheckExprs", ())
)


def health(service: Manifest) -> str:
    """What Flux concludes: the first that is true, in its order; without any it waits."""
    for name, status in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        if cel.evaluate(EXPRESSIONS[name], cel.Context(variables=service)):
            return status
    return "InProgress"


@pytest.mark.parametrize("state", STATES)
def test_waits_for_promotions_too(state: str) -> None:
    """It says what kstatus says, but of a canary that waits for its label, which is not there yet."""
    row = rows()[state]
    waits = row["Argo CD"] == "Suspended"

    assert health(in_state(state)) == ("InProgress" if waits else row["kstatus"])


@pytest.mark.parametrize("state", ["settled", "rejected by its label"])
def test_waits_for_the_operators_first_look(state: str) -> None:
    """A newer spec under an older status is neither there nor failed."""
    service = in_state(state)
    service["metadata"]["generation"] += 1

    assert health(service) == "InProgress"
