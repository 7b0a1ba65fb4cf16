"""A former revision keeps its pods for as long as the spec says, gets no traffic, and is in nobody's way."""

import pytest

from serving_api.names import AUTOSCALER_KIND
from serving_operator.children.route import weights
from serving_operator.rollout.state import moment_of
from serving_operator.world import ObjectId
from tests.operator.rollout.rolling_back import KEEP_WARM_SECONDS, A, B, abort, committed, deployment, service
from tests.operator.rollout.simulation import KEY, revision

AUTOSCALER = ObjectId(AUTOSCALER_KIND, f"{KEY.name}-{A}")


def test_it_is_kept_whole_and_says_nothing() -> None:
    """Every child stays, the route names it with weight 0, and the service is at rest."""
    cluster = committed()
    assert deployment(cluster, A) is not None
    assert ObjectId("PodDisruptionBudget", f"{KEY.name}-{A}") in cluster.objects
    assert weights(cluster.route or {}) == {B: 100, A: 0}
    assert cluster.condition("Reconciling") is None
    assert cluster.status["replicas"] == 3, "what is kept warm does not count"
    assert A not in cluster.status["selector"]
    assert cluster.run(30) == 0


def test_its_share_is_nothing_now_and_everything_at_need() -> None:
    """It keeps its replicas whatever becomes of the demand, and gets more of them when that grows."""
    cluster = committed()
    spec = cluster.objects[AUTOSCALER]["spec"]
    names = [f"{KEY.name}-{B}", f"{KEY.name}-{A}"]
    assert spec["share"] == {"of": names, "weightPercent": 0, "reservePercent": 100}
    assert spec["scaleDown"] == "Frozen"
    stable = cluster.objects[ObjectId(AUTOSCALER_KIND, f"{KEY.name}-{B}")]["spec"]
    assert (sorted(stable["share"]["of"]), stable["scaleDown"]) == (sorted(names), "Allowed")
    assert (stable["share"]["weightPercent"], stable["share"]["reservePercent"]) == (100, 100)
    for demand, replicas in ((1, 3), (5, 5), (2, 5)):
        cluster.demand = demand
        cluster.run(5)
        kept = deployment(cluster, A)
        assert kept is not None
        assert kept["spec"]["replicas"] == replicas


def test_an_external_number_that_falls_leaves_its_pods() -> None:
    """A lower number is the stable revision's; a higher one is also what a rollback needs."""
    cluster = committed("External")
    for number, replicas in ((2, 4), (6, 6)):
        made = service("b", "External")
        made["spec"]["scaling"]["external"]["replicas"] = number
        cluster.apply(made)
        cluster.run(5)
        kept, stable = deployment(cluster, A), deployment(cluster, B)
        assert kept is not None
        assert stable is not None
        assert (kept["spec"]["replicas"], stable["spec"]["replicas"]) == (replicas, number)


def test_it_leaves_when_its_time_is_over() -> None:
    """Not a second earlier: the operator looks again at that moment, and then the route goes first."""
    cluster = committed()
    at = moment_of(cluster.status["stable"]["committedAt"])
    cluster.now = at
    cluster.tick(KEEP_WARM_SECONDS - 20)
    plan = cluster.decide()
    assert plan.writes == ()
    assert plan.requeue_after_seconds == 20
    cluster.tick(19)
    assert cluster.reconcile() == 0
    cluster.tick(1)
    before = len(cluster.writes)
    cluster.run(30)
    done = [(write.verb, write.manifest["kind"]) for write in cluster.writes[before:]]
    assert done[0] == ("apply", "HTTPRoute")
    assert all(verb == "delete" for verb, _ in done[2:])
    assert deployment(cluster, A) is None
    assert cluster.run(30) == 0


@pytest.mark.parametrize("seconds", [0, 60])
def test_an_edit_of_its_time_applies_at_once(seconds: int) -> None:
    """A team that needs the nodes ends it in the spec; the window for a cold rollback stays."""
    cluster = committed()
    cluster.apply(service("b", keepWarmSeconds=seconds))
    cluster.run(30)
    assert deployment(cluster, A) is None
    abort(cluster)
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == A


def test_a_new_canary_ends_it() -> None:
    """At most two revisions have pods for their traffic; the former one goes, and stays away after the canary."""
    cluster = committed()
    cluster.apply(service("c"))
    cluster.run(30)
    assert cluster.status["canary"]["revision"] == revision("c")
    assert deployment(cluster, A) is None
    cluster.apply(service("b"))
    cluster.run(60)
    assert "canary" not in cluster.status
    assert deployment(cluster, A) is None
    abort(cluster)
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == A, "a cold rollback is left"


def test_a_canary_that_waits_for_room_gets_that_of_the_kept_pods() -> None:
    """A quota that the kept pods fill does not keep the next revision out, nor these pods their own return."""
    full = ({"metadata": {"name": "team"}, "status": {"hard": {"pods": "6"}, "used": {"pods": "6"}}},)
    cluster = committed()
    cluster.quotas = full
    cluster.apply(service("c"))
    cluster.run(20)
    up_to_date = cluster.condition("UpToDate")
    assert up_to_date is not None
    assert up_to_date["reason"] == "QuotaExceeded"
    assert deployment(cluster, A) is None
    cluster = committed()
    cluster.quotas = full
    cluster.apply(service("a"))
    cluster.run(5)
    assert cluster.status["canary"]["id"] == f"{A}-3"


def test_the_former_revision_as_a_canary_takes_the_kept_pods() -> None:
    """A spec that goes back needs no new pods either; it is tried step by step, as any spec."""
    cluster = committed()
    pods = {name for name in cluster.pods if name.startswith(f"{KEY.name}-{A}-")}
    cluster.apply(service("a"))
    cluster.run(30)
    assert cluster.status["canary"]["id"] == f"{A}-3"
    assert cluster.status["canary"]["verdict"] == "WaitingForPromotion"
    assert pods <= set(cluster.pods)


def test_what_is_removed_of_it_is_made_again_but_for_its_deployment() -> None:
    """Its Service and record are put back; without its Deployment it is no longer warm, and the rest goes."""
    cluster = committed()
    for kind in ("Service", "ControllerRevision", "PodDisruptionBudget"):
        cluster.remove(ObjectId(kind, f"{KEY.name}-{A}"))
        cluster.run(3)
        assert ObjectId(kind, f"{KEY.name}-{A}") in cluster.objects, kind
    cluster.remove(ObjectId("Deployment", f"{KEY.name}-{A}"))
    cluster.run(30)
    assert not [key for key in cluster.objects if key.name.endswith(A) and key.kind != "ControllerRevision"]


def test_the_record_of_the_former_revision_is_kept_for_the_window() -> None:
    """However many revisions were rejected since: without its record there is no way back."""
    cluster = committed(keepWarmSeconds=0)
    for number in range(14):
        image = f"c{number}"
        cluster.apply(service(image, keepWarmSeconds=0))
        cluster.run(6)
        abort(cluster, cluster.status["canary"]["id"])
        cluster.run(20)
    records = list(cluster.of_kind("ControllerRevision"))
    assert len(records) <= 11
    assert f"{KEY.name}-{A}" in records
    cluster.apply(service("b", keepWarmSeconds=0))
    abort(cluster)
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == A
