"""An abort label of the committed attempt that cannot be obeyed says why, and what to do instead."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from serving_operator.world import ObjectId
from tests.operator.rollout.rolling_back import WINDOW_SECONDS, A, B, abort, committed, service
from tests.operator.rollout.simulation import KEY, Simulation, revision

COLD = {"keepWarmSeconds": 0}


class Refusal(NamedTuple):
    """What makes an abort of the committed attempt impossible, and what is said then."""

    why: str
    make: Callable[[], Simulation]
    attempt: str
    reason: str
    says: str


def _late() -> Simulation:
    cluster = committed()
    cluster.tick(WINDOW_SECONDS)
    return cluster


def _first() -> Simulation:
    cluster = Simulation(service("a"))
    cluster.run(30)
    return cluster


def _after_a_rollback() -> Simulation:
    cluster = abort(committed())
    cluster.run(100)
    return cluster


def _with_canary(image: str) -> Simulation:
    cluster = committed()
    cluster.apply(service(image))
    cluster.run(30)
    return cluster


def _forgotten() -> Simulation:
    cluster = committed(**COLD)
    cluster.remove(ObjectId("ControllerRevision", f"{KEY.name}-{A}"))
    cluster.restart()
    return cluster


REFUSALS = [
    Refusal("too late", _late, f"{B}-2", "RollbackWindowOver", f"apply the spec of revision {A}"),
    Refusal(
        "never",
        lambda: committed(keepWarmSeconds=0, rollbackWindowSeconds=0),
        f"{B}-2",
        "RollbackWindowOver",
        "rollbackWindowSeconds allows 0 s",
    ),
    Refusal("nothing was before it", _first, f"{A}-1", "NothingToGoBackTo", "change the spec"),
    Refusal("it is what was gone back to", _after_a_rollback, f"{A}-3", "NothingToGoBackTo", "change the spec"),
    Refusal("another attempt", lambda: _with_canary("c"), f"{B}-2", "AttemptUnderWay", f"abort={revision('c')}-3"),
    Refusal("the former one is tried", lambda: _with_canary("a"), f"{B}-2", "AttemptUnderWay", f"promote={A}-3"),
    Refusal("nothing is left of it", _forgotten, f"{B}-2", "RevisionLost", f"ControllerRevision nor Deployment of revision {A}"),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.why)
def test_a_label_that_cannot_be_obeyed_says_why(row: Refusal) -> None:
    """It changes nothing but the condition, which names the cause and the way out."""
    cluster = row.make()
    commands = cluster.status.get("commands")
    stable = cluster.status["stable"]
    abort(cluster, row.attempt)
    cluster.run(5)
    ignored = cluster.condition("CommandIgnored")
    assert ignored is not None
    assert ignored["reason"] == row.reason
    assert row.says in ignored["message"]
    assert (cluster.status.get("commands"), cluster.status["stable"]) == (commands, stable)
