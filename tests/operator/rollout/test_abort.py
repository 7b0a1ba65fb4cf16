"""Abort: by label, by deadline, by a changed spec; and what is never done."""

import pytest

from serving_operator.children.route import weights
from tests.operator.rollout.simulation import KEY, at_step, inference_service, revision, settled

A, B, C = revision("a"), revision("b"), revision("c")


def test_a_label_takes_the_traffic_back_and_rejects() -> None:
    """The first write after the record of the command is the route's; the attempt is rejected; its pods go."""
    cluster = at_step()
    cluster.label("Abort", f"{B}-2")
    cluster.writes.clear()
    cluster.round()
    assert [command["kind"] for command in cluster.status["commands"]] == ["Abort"]
    assert cluster.writes == []
    cluster.round()
    assert cluster.writes[0].manifest["kind"] == "HTTPRoute"
    assert weights(cluster.route or {}) == {A: 100, B: 0}
    cluster.run(60)
    assert [entry["id"] for entry in cluster.status["rejected"]] == [f"{B}-2"]
    assert weights(cluster.route or {}) == {A: 100}
    assert set(cluster.of_kind("Deployment")) == {f"{KEY.name}-{A}"}
    assert cluster.run(60) == 0


def test_nothing_restarts_a_rejected_revision_but_retry_or_a_new_spec() -> None:
    """While the spec names it, UpToDate says Rejected with the retry command; retry starts a new attempt."""
    cluster = at_step()
    cluster.label("Abort", f"{B}-2")
    cluster.run(90)
    up_to_date = cluster.condition("UpToDate")
    assert up_to_date is not None
    assert (up_to_date["status"], up_to_date["reason"]) == ("False", "Rejected")
    assert f"serving-operator.dev/retry={B}-2" in up_to_date["message"]
    cluster.label("Retry", f"{B}-2")
    cluster.run(40)
    assert cluster.status["canary"]["id"] == f"{B}-3"
    assert cluster.status["canary"]["weight"] == 20
    cluster.label("Promote", f"{B}-3")
    cluster.run(60)
    assert cluster.status["stable"]["id"] == f"{B}-3"
    assert "rejected" not in cluster.status


def test_a_lost_status_begins_nothing_that_was_rejected() -> None:
    """The record of the attempt tells how it ended; a retry begins another one, and its record tells nothing of that."""
    cluster = at_step()
    cluster.label("Abort", f"{B}-2")
    cluster.run(90)
    told = cluster.status["rejected"]
    cluster.label("Abort", None)
    del cluster.service["status"]
    cluster.restart()
    cluster.run(60)
    assert cluster.status["rejected"] == told
    assert "canary" not in cluster.status
    cluster.label("Retry", f"{B}-2")
    cluster.run(40)
    del cluster.service["status"]
    cluster.restart()
    cluster.run(40)
    assert cluster.status["canary"]["id"] == f"{B}-3"
    assert "rejected" not in cluster.status


def test_a_spec_back_at_stable_aborts_without_rejection() -> None:
    """Reverting the spec ends the attempt; applying it again starts a new one under a new id."""
    cluster = at_step()
    cluster.apply(inference_service("a"))
    cluster.run(60)
    assert "rejected" not in cluster.status
    assert "canary" not in cluster.status
    assert weights(cluster.route or {}) == {A: 100}
    cluster.apply(inference_service("b"))
    cluster.run(30)
    assert cluster.status["canary"]["id"] == f"{B}-3"


def test_a_spec_that_flips_back_cannot_undo_an_abort() -> None:
    """Once the route carries the abort, the old spec starts a new attempt instead."""
    cluster = at_step()
    cluster.apply(inference_service("a"))
    cluster.round()
    assert weights(cluster.route or {}) == {A: 100, B: 0}
    cluster.apply(inference_service("b"))
    cluster.service["status"]["canary"].pop("abort")  # the status write that followed was lost
    cluster.restart()
    cluster.run(60)
    assert cluster.status["canary"]["id"] == f"{B}-3"


def test_a_new_spec_aborts_and_then_starts_the_new_one() -> None:
    """The superseded canary loses its traffic first; it is not rejected."""
    cluster = at_step()
    cluster.apply(inference_service("c"))
    cluster.run(60)
    assert "rejected" not in cluster.status
    assert cluster.status["canary"]["id"] == f"{C}-3"
    assert weights(cluster.route or {}) == {A: 80, C: 20}


@pytest.mark.parametrize(
    ("image", "reason"),
    [("crashing", "CrashLoop"), ("unpullable", "ImagePullFailed"), ("broken", "NeverReady")],
)
def test_past_its_deadline_a_canary_is_rejected_with_the_cause(image: str, reason: str) -> None:
    """Never ready in time: aborted, rejected, Stalled with the cause that the pods show; stable serves on."""
    cluster = settled()
    cluster.apply(inference_service(image))
    cluster.run(200)
    assert [entry["reason"] for entry in cluster.status["rejected"]] == [reason]
    stalled, servable = cluster.condition("Stalled"), cluster.condition("Servable")
    assert stalled is not None
    assert stalled["reason"] == reason
    assert servable is not None
    assert servable["status"] == "True"
    assert set(cluster.of_kind("Deployment")) == {f"{KEY.name}-{A}"}
    assert cluster.run(60) == 0


def test_abort_beats_promote() -> None:
    """With both labels given at once the attempt is aborted, and the promotion is said to be ignored."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    cluster.label("Abort", f"{B}-2")
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == A
    assert [entry["id"] for entry in cluster.status["rejected"]] == [f"{B}-2"]


def test_an_abort_is_possible_until_the_commit() -> None:
    """At 100 percent, during the soak, the label still brings the traffic back."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    while weights(cluster.route or {}).get(B) != 100:
        cluster.round()
    cluster.run(4)
    cluster.label("Abort", f"{B}-2")
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == A
    assert weights(cluster.route or {}) == {A: 100}


def test_an_automatic_abort_never_moves_traffic_onto_a_dead_stable() -> None:
    """With stable down and the canary answering, a changed spec moves nothing; once stable counts as broken a person is asked."""
    cluster = at_step()
    cluster.break_pods(A)
    cluster.apply(inference_service("c"))
    cluster.run(20)
    assert weights(cluster.route or {}) == {A: 80, B: 20}
    reconciling = cluster.condition("Reconciling")
    assert reconciling is not None
    assert reconciling["reason"] == "StableNotReady"
    assert f"serving-operator.dev/abort={B}-2" in reconciling["message"]
    cluster.run(20)
    assert weights(cluster.route or {}) == {A: 80, B: 20}
    said = cluster.condition("UpToDate") or {}
    assert said["reason"] == "WaitingForPromotion"
    for label in ("promote", "abort"):
        assert f"serving-operator.dev/{label}={B}-2" in said["message"]
    cluster.label("Abort", f"{B}-2")
    cluster.run(10)
    assert weights(cluster.route or {}).get(B, 0) == 0


def test_a_fix_for_a_dead_stable_does_not_keep_a_healthy_canary_from_replacing_it() -> None:
    """The canary rolls forward although the spec asks for the next one by then, which follows."""
    cluster = at_step()
    cluster.break_pods(A)
    cluster.run(20)
    cluster.apply(inference_service("c"))
    cluster.run(20)
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert cluster.status["canary"]["revision"] == C


def test_an_abort_completes_without_the_autoscaler() -> None:
    """Giving traffic back to a stable that kept its capacity asks nobody."""
    cluster = at_step()
    cluster.autoscaler_alive = False
    cluster.run(90)
    cluster.label("Abort", f"{B}-2")
    cluster.run(60)
    assert weights(cluster.route or {}) == {A: 100}
    assert set(cluster.of_kind("Deployment")) == {f"{KEY.name}-{A}"}


def test_a_broken_stable_is_replaced_by_its_label_with_the_step_waived() -> None:
    """Stable without a ready pod for 30 s: a ready canary waits at 0, and its label takes it straight to 100."""
    cluster = settled()
    cluster.break_pods(A)
    cluster.apply(inference_service("b"))
    cluster.run(60)
    assert cluster.status["canary"]["verdict"] == "RollForward"
    assert weights(cluster.route or {}) == {A: 100}
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    assert next(seen for _, seen in cluster.history if seen.get(B)) == {A: 0, B: 100}
