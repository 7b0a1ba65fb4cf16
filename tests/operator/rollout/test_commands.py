"""Command labels: what is accepted, once; what is ignored, and what is said about it."""

from typing import NamedTuple

import pytest

from serving_operator.rollout.commands import given_by
from serving_operator.watched import kept
from tests.operator.rollout.simulation import Simulation, at_step, inference_service, revision, settled

A, B = revision("a"), revision("b")


class Row(NamedTuple):
    """A label on a cluster whose canary waits at its step, and what is to be said."""

    why: str
    kind: str
    value: str
    reason: str
    names: str


ROWS = [
    Row("a typing error names the right id", "Promote", f"{B}-9", "UnknownAttempt", f"promote={B}-2"),
    Row("a value that is no id", "Abort", "yes", "UnknownAttempt", f"abort={B}-2"),
    Row("the id of the stable revision is over", "Promote", f"{A}-1", "StaleLabel", f"promote={B}-2"),
    Row("one attempt is ended at a time", "Abort", f"{A}-1", "AttemptUnderWay", f"abort={B}-2"),
    Row(
        "nothing is rejected, so nothing is retried", "Retry", f"{B}-2", "UnknownAttempt", "nothing to retry"
    ),
    Row("a bare revision is no attempt", "Promote", B, "UnknownAttempt", f"promote={B}-2"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.why)
def test_a_label_that_names_anything_else_is_ignored(row: Row) -> None:
    """It changes nothing, and the condition gives the id to use, ready to be pasted."""
    cluster = at_step()
    cluster.label(row.kind, row.value)
    cluster.run(20)
    ignored = cluster.condition("CommandIgnored")
    assert ignored is not None
    assert ignored["reason"] == row.reason
    assert row.names in ignored["message"]
    assert "commands" not in cluster.status
    assert cluster.status["canary"]["weight"] == 20
    assert cluster.run(30) == 0
    cluster.label(row.kind, None)
    cluster.run(2)
    assert cluster.condition("CommandIgnored") is None


def test_is_recorded_before_anything_happens() -> None:
    """The record of the command is a write of its own; the route follows in a later one."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    plan = cluster.decide()
    assert plan.writes == ()
    assert plan.status is not None
    assert [(entry["kind"], entry["id"]) for entry in plan.status["commands"]] == [("Promote", f"{B}-2")]


def test_once_recorded_the_label_may_go() -> None:
    """A label that is removed after it was recorded still takes effect."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    cluster.reconcile()
    cluster.label("Promote", None)
    cluster.run(60)
    assert cluster.status["stable"]["id"] == f"{B}-2"


def test_repeating_a_label_changes_nothing() -> None:
    """Setting a done command's label again is no new command."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    cluster.label("Promote", None)
    cluster.run(3)
    cluster.label("Promote", f"{B}-2")
    assert cluster.run(30) == 0
    assert len(cluster.status["commands"]) == 1


def test_an_old_label_promotes_nothing() -> None:
    """A, B promoted, A promoted, B again: the label of the first B is still there and is not obeyed."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    cluster.apply(inference_service("a"))
    cluster.run(30)
    assert cluster.status["canary"]["id"] == f"{A}-3"
    cluster.label("Promote", f"{A}-3")
    cluster.run(60)
    cluster.label("Promote", f"{B}-2")
    cluster.apply(inference_service("b"))
    cluster.run(60)
    assert cluster.status["canary"]["id"] == f"{B}-4"
    assert cluster.status["canary"]["weight"] == 20
    ignored = cluster.condition("CommandIgnored")
    assert ignored is not None
    assert f"promote={B}-4" in ignored["message"]


def test_a_number_in_a_label_is_never_given_out() -> None:
    """An attempt never gets an id that some label already names."""
    cluster = settled()
    cluster.label("Promote", f"{B}-2")
    cluster.apply(inference_service("b"))
    cluster.run(40)
    assert cluster.status["canary"]["id"] == f"{B}-3"
    assert cluster.status["canary"]["weight"] == 20


def test_an_absurd_number_in_a_label_exhausts_nothing() -> None:
    """A number at the end of the range is not believed, so that ids stay readable."""
    cluster = settled()
    cluster.label("Promote", f"{B}-999999999")
    cluster.apply(inference_service("b"))
    cluster.run(10)
    assert cluster.status["canary"]["id"] == f"{B}-2"


def test_a_first_revision_takes_no_commands() -> None:
    """There is nothing to promote over and nothing to go back to; the condition says so."""
    cluster = Simulation(inference_service("broken"))
    cluster.run(5)
    cluster.label("Abort", f"{revision('broken')}-1")
    cluster.run(5)
    ignored = cluster.condition("CommandIgnored")
    assert ignored is not None
    assert "change the spec" in ignored["message"]
    assert "commands" not in cluster.status


def test_a_stale_retry_retries_nothing() -> None:
    """A retry names the rejected attempt; once retried and rejected again, the old label does nothing."""
    cluster = settled()
    cluster.apply(inference_service("broken"))
    cluster.run(160)
    first = cluster.status["rejected"][-1]["id"]
    cluster.label("Retry", first)
    cluster.run(200)
    second = cluster.status["rejected"][-1]["id"]
    assert second != first
    assert "canary" not in cluster.status
    assert cluster.run(60) == 0


@pytest.mark.parametrize(
    ("user", "managers", "said"),
    [
        ("alice", ["kubectl-label"], "alice (kubectl-label)"),
        (None, ["argocd-controller"], "argocd-controller"),
        (None, ["one", "two"], "one, two"),
        ("alice", [], "alice"),
        (None, [], ""),
    ],
)
def test_who_gave_a_command(user: str | None, managers: list[str], said: str) -> None:
    """The user whom an admission policy noted, and the managers that own the label; of the cache's copy, too."""
    label = "serving-operator.dev/abort"
    service = {
        "kind": "InferenceService",
        "metadata": {
            "annotations": {f"{label}-user": user} if user else {},
            "managedFields": [
                {
                    "manager": name,
                    "operation": "Update",
                    "fieldsV1": {"f:metadata": {"f:labels": {f"f:{label}": {}}}},
                }
                for name in managers
            ]
            + [{"manager": "someone", "fieldsV1": {"f:spec": {}}}],
        },
    }

    assert given_by(service, "Abort") == given_by(kept(service), "Abort") == said
    assert given_by(service, "Retry") == ""
