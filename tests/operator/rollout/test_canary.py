"""A changed predictor: capacity, the step's weight, the label, 100 percent, soak, commit, cleaning up."""

import json
from collections import Counter

import pytest

from serving_api.names import AUTOSCALER_KIND, COMMITTED_ANNOTATION, STABLE_LABEL
from serving_operator.children.route import weights
from serving_operator.world import ObjectId
from tests.operator.rollout.simulation import (
    KEY,
    SETTINGS,
    Simulation,
    at_step,
    inference_service,
    judged,
    revision,
    settled,
)

A, B, C = revision("a"), revision("b"), revision("c")


def test_gets_capacity_before_traffic_and_waits_for_its_label() -> None:
    """The canary has the step's weight, the stable one the rest, and nothing more happens by itself."""
    cluster = at_step()
    assert weights(cluster.route or {}) == {A: 80, B: 20}
    assert cluster.status["canary"]["weight"] == 20
    assert cluster.run(100) == 0
    assert cluster.condition("Reconciling") is None
    assert cluster.condition("Stalled") is None
    up_to_date = cluster.condition("UpToDate")
    assert up_to_date is not None
    assert f"serving-operator.dev/promote={B}-2" in up_to_date["message"]
    assert "--overwrite" in up_to_date["message"]


def carried(cluster: Simulation) -> str:
    """Return the attempt that the stable Service says is committed."""
    annotations = cluster.objects[ObjectId("Service", KEY.name)]["metadata"]["annotations"]
    return str(json.loads(annotations[COMMITTED_ANNOTATION])["id"])


def test_the_stable_service_carries_which_attempt_is_committed() -> None:
    """In the write that makes it select the revision; without a status the stable revision is found by it."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    cluster.apply(inference_service("a"))
    cluster.run(30)
    assert carried(cluster) == f"{B}-2"
    cluster.service.pop("status")
    cluster.restart()
    cluster.run(10)
    assert cluster.status["stable"]["revision"] == B
    assert cluster.status["canary"]["id"] == f"{A}-3"
    cluster.label("Promote", f"{A}-3")
    cluster.run(60)
    assert carried(cluster) == f"{A}-3"
    cluster.service.pop("status")
    cluster.restart()
    cluster.run(10)
    assert cluster.status["stable"]["revision"] == A


def test_of_the_marks_of_an_earlier_release_the_latest_counts() -> None:
    """Its records are marked, and its stable Service says nothing: without a status the stable revision is found by them."""
    cluster = settled()
    cluster.apply(inference_service("b"))
    cluster.run(30)
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    for name, found in cluster.of_kind("ControllerRevision").items():
        assert name in (f"{KEY.name}-{A}", f"{KEY.name}-{B}")
        found["metadata"]["labels"][STABLE_LABEL] = "true"
    cluster.objects[ObjectId("Service", KEY.name)]["metadata"]["annotations"].pop(COMMITTED_ANNOTATION)
    cluster.service.pop("status")
    cluster.restart()
    cluster.run(10)
    assert cluster.status["stable"]["id"] == f"{B}-2"
    assert carried(cluster) == f"{B}-2"


def test_is_promoted_by_its_label_and_the_old_one_goes() -> None:
    """100 percent, soak, commit; the stable Service switches; the old revision's objects go, its record stays."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    stable = cluster.status["stable"]
    assert (stable["id"], stable["revision"]) == (f"{B}-2", B)
    assert stable["previous"] == {"id": f"{A}-1", "revision": A}
    assert weights(cluster.route or {}) == {B: 100}
    service = cluster.objects[ObjectId("Service", KEY.name)]
    assert service["spec"]["selector"]["serving-operator.dev/revision"] == B
    assert [name for (_, name) in cluster.objects if name == f"{KEY.name}-{A}"] == [f"{KEY.name}-{A}"]
    assert carried(cluster) == f"{B}-2"
    assert cluster.run(100) == 0


def test_order_of_a_whole_rollout() -> None:
    """The sacred order: record, capacity, 20, 100, commit, stable Service, route without the old one, deletion."""
    cluster = settled()
    cluster.writes.clear()
    cluster.apply(inference_service("b"))
    cluster.run(30)
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    order = [
        (write.verb, write.manifest["kind"], write.manifest["metadata"]["name"]) for write in cluster.writes
    ]
    old, new, name = f"{KEY.name}-{A}", f"{KEY.name}-{B}", KEY.name

    def at(*entry: str, nth: int = 0) -> int:
        return [index for index, found in enumerate(order) if found == entry][nth]

    assert (
        at("create", "ControllerRevision", new)
        < at("create", "Deployment", new)
        < at("apply", "HTTPRoute", name, nth=0)
        < at("apply", "HTTPRoute", name, nth=1)
        < at("apply", "Service", name)
        < at("apply", "HTTPRoute", name, nth=2)
        < at("delete", AUTOSCALER_KIND, old)
        < at("delete", "Deployment", old)
        < at("delete", "Service", old)
    )
    assert [seen for _, seen in cluster.history][-3:] == [{A: 80, B: 20}, {A: 0, B: 100}, {B: 100}]


def test_costs_few_writes() -> None:
    """A whole rollout stays below a fixed number of writes, and none follows."""
    cluster = settled()
    before = len(cluster.writes) + cluster.status_writes
    cluster.apply(inference_service("b"))
    cluster.run(30)
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert len(cluster.writes) + cluster.status_writes - before <= 21
    assert cluster.run(100) == 0


def test_three_judged_steps_cost_few_writes() -> None:
    """A rollout that promotes itself in three steps: what it writes is printed by kind, bounded, and followed by none."""
    cluster = Simulation(judged("a"), demand=6)
    cluster.run(30)
    cluster.writes.clear()
    cluster.status_writes = 0
    cluster.apply(judged("b"))
    cluster.run(200)
    assert cluster.status["stable"]["revision"] == B
    by_kind = Counter((write.verb, write.manifest["kind"]) for write in cluster.writes)
    for (verb, kind), count in sorted(by_kind.items()):
        print(f"{count:3} {verb} {kind}")
    print(f"{cluster.status_writes:3} status, {len(cluster.writes) + cluster.status_writes} in all")
    assert by_kind["apply", "HTTPRoute"] == 5
    assert by_kind["apply", AUTOSCALER_KIND] <= 4
    assert len(cluster.writes) <= 19
    assert cluster.status_writes <= 6
    assert cluster.run(100) == 0


def test_each_rollout_write_is_a_plan_of_its_own() -> None:
    """No plan holds two writes of the route, nor a commit together with a write of the route."""
    cluster = settled()
    cluster.apply(inference_service("b"))
    cluster.round()
    cluster.label("Promote", f"{B}-2")
    for _ in range(120):
        cluster.tick()
        cluster.autoscaler()
        cluster.kubelet()
        cluster.gateway()
        plan = cluster.decide()
        routes = [write for write in plan.writes if write.manifest["kind"] == "HTTPRoute"]
        assert len(routes) <= 1
        committed = (plan.status or {}).get("stable", {}) != cluster.status.get("stable", {})
        assert not (routes and plan.status and committed)
        cluster.reconcile()
    assert cluster.status["stable"]["revision"] == B


def test_a_label_given_early_skips_the_step_but_not_capacity() -> None:
    """Promoted before it is ready, a canary goes straight to 100 once its need for 100 is ready."""
    cluster = settled()
    cluster.apply(inference_service("b"))
    cluster.round()
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert {A: 80, B: 20} not in [seen for _, seen in cluster.history]
    assert cluster.status["stable"]["revision"] == B


def test_shares_follow_the_rollout() -> None:
    """Each InferenceAutoscaler is told what its revision gets now and must be ready for."""
    cluster = at_step()

    def shares() -> dict[str, tuple[int | None, int, str]]:
        return {
            name.removeprefix(f"{KEY.name}-"): (
                found["spec"]["share"].get("weightPercent"),
                found["spec"]["share"]["reservePercent"],
                found["spec"]["scaleDown"],
            )
            for name, found in cluster.of_kind(AUTOSCALER_KIND).items()
        }

    assert shares() == {A: (None, 100, "Frozen"), B: (20, 20, "Frozen")}
    for found in cluster.of_kind(AUTOSCALER_KIND).values():
        assert found["spec"]["share"]["of"] == [f"{KEY.name}-{A}", f"{KEY.name}-{B}"]
    cluster.label("Promote", f"{B}-2")
    cluster.round()
    cluster.round()
    assert shares()[B] == (100, 100, "Allowed"), "as after the commit"
    cluster.run(60)
    assert shares() == {B: (100, 100, "Allowed")}


def test_a_canary_has_its_part_of_the_minimum() -> None:
    """minReplicas of a canary is the reserve's part of the user's, rounded up; maxReplicas is copied."""
    cluster = settled()
    service = inference_service("b")
    service["spec"]["predictor"] |= {"minReplicas": 6, "maxReplicas": 9}
    cluster.apply(service)
    cluster.run(5)
    found = cluster.of_kind(AUTOSCALER_KIND)
    spec = found[f"{KEY.name}-{B}"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 9)
    spec = found[f"{KEY.name}-{A}"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (6, 9)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ({"predictor": {"minReplicas": 2}}, "bounds shape no pod"),
        ({"predictor": {"maxReplicas": 5}}, "bounds shape no pod"),
        ({"predictor": {"timeout": 900}}, "a timeout shapes no pod that is there"),
        ({"objective": {"thresholdMilliseconds": 250}}, "an objective shapes no pod"),
        ({"route": {"hostnames": ["other.test"]}}, "a route shapes no pod"),
        ({"rollout": {"soakSeconds": 1}}, "a rollout shapes no pod"),
    ],
)
def test_other_fields_make_no_revision(edit: dict[str, dict[str, object]], why: str) -> None:
    """Editing bounds, timeout, objective, route or rollout starts no attempt."""
    cluster = settled()
    service = inference_service("a")
    for part, fields in edit.items():
        service["spec"][part] |= fields
    cluster.apply(service)
    cluster.run(20)
    assert set(cluster.of_kind("ControllerRevision")) == {f"{KEY.name}-{A}"}, why
    assert cluster.status["observedGeneration"] == 2
    assert cluster.run(20) == 0


def test_a_rollout_uses_the_rollout_and_objective_of_its_start() -> None:
    """Edits of rollout and objective wait for the next rollout; bounds and hostnames apply at once."""
    cluster = settled()
    cluster.apply(inference_service("b"))
    cluster.run(2)
    edited = inference_service("b")
    edited["spec"]["rollout"] = {"steps": [{"weight": 50}], "soakSeconds": 900}
    edited["spec"]["objective"]["thresholdMilliseconds"] = 111
    edited["spec"]["predictor"]["maxReplicas"] = 12
    edited["spec"]["route"]["hostnames"] = ["other.test"]
    cluster.apply(edited)
    cluster.run(30)
    assert weights(cluster.route or {}) == {A: 80, B: 20}
    assert (cluster.route or {})["spec"]["hostnames"] == ["other.test"]
    for found in cluster.of_kind(AUTOSCALER_KIND).values():
        assert found["spec"]["objective"]["thresholdMilliseconds"] == 300
        assert found["spec"]["maxReplicas"] == 12
    cluster.label("Promote", f"{B}-2")
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == B
    spec = cluster.of_kind(AUTOSCALER_KIND)[f"{KEY.name}-{B}"]["spec"]
    assert spec["objective"]["thresholdMilliseconds"] == 111


def test_a_restart_at_any_moment_writes_nothing_that_was_not_due() -> None:
    """An operator that starts anew at a step repeats no wait and writes nothing."""
    cluster = at_step()
    cluster.restart()
    assert cluster.run(30) == 0


def test_old_records_are_kept_up_to_the_limit() -> None:
    """Records of former revisions stay, the oldest go beyond the limit."""
    cluster = settled()
    for index in range(SETTINGS.revision_history_limit + 2):
        cluster.apply(inference_service(f"image{index}"))
        cluster.run(25)
        cluster.label("Promote", cluster.status["canary"]["id"])
        cluster.run(40)
    records = cluster.of_kind("ControllerRevision")
    assert len(records) == SETTINGS.revision_history_limit
    assert f"{KEY.name}-{A}" not in records


def test_a_new_spec_after_an_accepted_promotion_waits_for_the_commit() -> None:
    """The promoted revision is committed first; then the newest spec becomes the canary."""
    cluster = at_step()
    cluster.label("Promote", f"{B}-2")
    cluster.round()
    cluster.apply(inference_service("c"))
    seen = []
    for _ in range(90):
        cluster.round()
        seen.append((cluster.status.get("stable") or {}).get("revision"))
    assert B in seen
    assert cluster.status["stable"]["revision"] == B
    assert cluster.status["canary"]["revision"] == C


def test_a_promoted_canary_that_finds_no_node_says_how_to_give_it_up() -> None:
    """The newer spec waits for the commit; the way out is named, and works."""
    cluster = settled()
    cluster.apply(inference_service("unschedulable"))
    cluster.run(5)
    attempt = cluster.status["canary"]["id"]
    cluster.label("Promote", attempt)
    cluster.run(5)
    cluster.apply(inference_service("b"))
    cluster.run(20)
    up_to_date = cluster.condition("UpToDate")
    assert up_to_date is not None
    assert f"serving-operator.dev/abort={attempt}" in up_to_date["message"]
    cluster.label("Abort", attempt)
    cluster.run(60)
    assert cluster.status["canary"]["revision"] == B
    assert cluster.status["canary"]["weight"] == 20


def test_what_is_being_deleted_has_no_capacity() -> None:
    """A retry that comes while the deletions of the attempt before are under way waits for pods of its own."""
    cluster = at_step()
    cluster.label("Abort", cluster.status["canary"]["id"])
    while "canary" in cluster.status:
        cluster.round()
    marked = {
        key for key in cluster.objects if key.name == f"{KEY.name}-{B}" and key.kind != "ControllerRevision"
    }
    for key in marked:
        cluster.objects[key]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.label("Retry", cluster.status["rejected"][-1]["id"])
    for _ in range(20):
        cluster.tick()
        cluster.autoscaler()
        cluster.gateway()
        cluster.reconcile()
    assert weights(cluster.route or {}).get(B, 0) == 0
    for key in marked:
        cluster.remove(key)
    cluster.run(60)
    assert weights(cluster.route or {})[B] == 20
