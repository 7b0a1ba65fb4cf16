"""The first revision: no canary, no rejection, traffic when it is ready."""

from serving_operator.children.route import weights
from serving_operator.world import ObjectId
from tests.operator.rollout.simulation import KEY, Simulation, inference_service, revision, settled


def test_becomes_stable_without_a_canary() -> None:
    """A first revision gets its need, then the route and the stable Service, then is committed."""
    cluster = settled()
    stable = cluster.status["stable"]
    assert (stable["id"], stable["revision"]) == (f"{revision('a')}-1", revision("a"))
    assert "previous" not in stable
    assert "canary" not in cluster.status
    assert weights(cluster.route or {}) == {revision("a"): 100}


def test_is_not_routed_to_before_its_need_is_ready() -> None:
    """Neither route nor stable Service exists while replicas are missing."""
    cluster = Simulation(inference_service("broken"))
    cluster.run(30)
    assert cluster.route is None
    assert ObjectId("Service", KEY.name) not in cluster.objects


def test_waits_for_every_gateway_before_it_is_committed() -> None:
    """Without an acknowledgement the candidate stays a candidate, and the status names the Gateway."""
    cluster = Simulation()
    for _ in range(30):
        cluster.tick()
        cluster.autoscaler()
        cluster.kubelet()
        cluster.reconcile()
    assert "stable" not in cluster.status
    programmed = cluster.condition("RouteProgrammed")
    assert programmed is not None
    assert programmed["status"] == "False"
    assert "gateway/local" in programmed["message"]
    assert cluster.run(10)
    assert "stable" in cluster.status


def test_a_corrected_route_is_written_before_the_first_commit() -> None:
    """A Gateway that does not exist acknowledges nothing; the one that the edit names does, and the commit follows."""
    wrong = inference_service()
    wrong["spec"]["route"]["parentRefs"] = [{"name": "typo", "namespace": "gateway"}]
    cluster = Simulation(wrong)
    cluster.gateway_answers = False
    cluster.run(60)
    assert "gateway/typo" in (cluster.condition("RouteProgrammed") or {})["message"]
    cluster.apply(inference_service(route=inference_service()["spec"]["route"] | {"hostnames": ["new.test"]}))
    cluster.run(30)
    assert cluster.route is not None
    assert cluster.route["spec"]["hostnames"] == ["new.test"]
    assert [parent["name"] for parent in cluster.route["spec"]["parentRefs"]] == ["local"]
    assert "stable" not in cluster.status
    cluster.gateway_answers = True
    cluster.run(30)
    assert "stable" in cluster.status


def test_late_is_stalled_and_not_rejected() -> None:
    """Past its deadline a first revision is Stalled with the cause; nothing is rejected."""
    cluster = Simulation(inference_service("crashing"))
    cluster.run(200)
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == "CrashLoop"
    assert "rejected" not in cluster.status


def test_a_second_apply_fixes_a_broken_one() -> None:
    """A newer spec takes the place of a broken candidate, whose objects go."""
    cluster = Simulation(inference_service("broken"))
    cluster.run(200)
    cluster.apply(inference_service("a"))
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == revision("a")
    assert set(cluster.of_kind("Deployment")) == {f"{KEY.name}-{revision('a')}"}
    assert cluster.condition("Stalled") is None


def test_one_that_is_routed_stays_until_the_next_has_replaced_it() -> None:
    """A candidate that gets traffic but is not committed keeps it until a newer one is ready."""
    cluster = Simulation()
    while cluster.route is None:
        cluster.tick()
        cluster.autoscaler()
        cluster.kubelet()
        cluster.reconcile()
    cluster.apply(inference_service("b"))
    cluster.reconcile()
    cluster.reconcile()
    assert f"{KEY.name}-{revision('a')}" in cluster.of_kind("Deployment")
    cluster.run(60)
    assert cluster.status["stable"]["revision"] == revision("b")
    assert set(cluster.of_kind("Deployment")) == {f"{KEY.name}-{revision('b')}"}


def test_without_the_gateway_api_it_serves_through_the_stable_service() -> None:
    """The stable Service selects the first revision, and the missing CRD is named."""
    cluster = Simulation(routes_served=False)
    cluster.run(20)
    assert cluster.status["stable"]["revision"] == revision("a")
    assert cluster.route is None
    programmed = cluster.condition("RouteProgrammed")
    assert programmed is not None
    assert programmed["reason"] == "GatewayAPIMissing"
    assert "httproutes.gateway.networking.k8s.io" in programmed["message"]


def test_crash_between_any_two_writes_loses_nothing() -> None:
    """Killed after every single write, the operator ends with the same first revision."""
    for crash_after in range(6):
        cluster = Simulation()
        from tests.operator.rollout.simulation import Crash

        for _ in range(60):
            cluster.tick()
            cluster.autoscaler()
            cluster.kubelet()
            cluster.gateway()
            try:
                cluster.reconcile(crash_after=crash_after)
            except Crash:
                continue
        cluster.run(30)
        assert cluster.status["stable"]["revision"] == revision("a"), crash_after
