"""Whatever happens in whatever order, no write breaks an invariant, and peace comes when the trouble ends."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving_api.names import AUTOSCALER_KIND
from serving_operator.children.route import weights
from serving_operator.judge.windows import Window
from serving_operator.world import Manifest, ObjectId
from tests.operator.rollout.simulation import (
    BAD,
    GOOD,
    KEY,
    NEVER_READY,
    QUIET,
    SOURCE_AWAY,
    Crash,
    Simulation,
    inference_service,
    judged,
    revision,
)

ANALYSIS = {"windowSeconds": 10, "stepDeadlineSeconds": 60}
PLENTY = Window(1000, 0, 4000, 0)
IMAGES = ("a", "b", "c", "broken", "unschedulable")
ACTIONS = st.one_of(
    st.tuples(st.just("rounds"), st.integers(1, 12)),
    st.tuples(st.just("wait"), st.sampled_from((1, 5, 40, 150))),
    st.tuples(st.sampled_from(("autoscaler", "kubelet", "gateway", "reconcile", "restart")), st.none()),
    st.tuples(st.just("crash"), st.integers(0, 5)),
    st.tuples(st.just("apply"), st.sampled_from(IMAGES)),
    st.tuples(
        st.sampled_from(("Promote", "Abort", "Retry")),
        st.sampled_from(("current", "stable", "rejected", "old", "none")),
    ),
    st.tuples(st.just("break"), st.sampled_from(("stable", "canary"))),
    st.tuples(st.just("heal"), st.none()),
    st.tuples(st.just("delete"), st.sampled_from(("Deployment", "Service", AUTOSCALER_KIND, "HTTPRoute"))),
    st.tuples(st.just("edit weights"), st.sampled_from((0, 50, 100))),
    st.tuples(st.just("autoscaler alive"), st.booleans()),
    st.tuples(st.just("demand"), st.integers(1, 12)),
    st.tuples(st.just("traffic"), st.sampled_from((GOOD, BAD, QUIET))),
    st.tuples(st.just("source"), st.sampled_from((None, SOURCE_AWAY))),
)


def act(cluster: Simulation, action: str, value: Any) -> None:
    """Do one thing that users, machines or fate do."""
    status = cluster.status
    if action == "rounds":
        cluster.run(value)
    elif action == "wait":
        cluster.tick(value)
    elif action in ("autoscaler", "kubelet", "gateway", "reconcile", "restart"):
        getattr(cluster, action)()
    elif action == "crash":
        try:
            cluster.reconcile(crash_after=value)
        except Crash:
            return
    elif action == "apply":
        cluster.apply(value)
    elif action in ("Promote", "Abort", "Retry"):
        rejected = status.get("rejected") or [{"id": "00000000-1"}]
        ids = {
            "current": (status.get("canary") or {}).get("id", "00000000-7"),
            "rejected": rejected[-1]["id"],
            "stable": (status.get("stable") or {}).get("id", "00000000-8"),
            "old": f"{revision('b')}-2",
            "none": None,
        }
        cluster.label(action, ids[value])
    elif action == "break":
        found = (status.get(value) or {}).get("revision")
        if found and f"{KEY.name}-{found}" in cluster.of_kind("Deployment"):
            cluster.break_pods(found)
    elif action == "heal":
        heal(cluster)
    elif action == "delete":
        names = sorted(cluster.of_kind(value))
        if names:
            cluster.remove(ObjectId(value, names[-1]))
    elif action == "edit weights" and cluster.route is not None:
        rules = [dict(rule) for rule in cluster.route["spec"]["rules"]]
        rules[0]["backendRefs"] = [backend | {"weight": value} for backend in rules[0]["backendRefs"]]
        cluster.edit(ObjectId("HTTPRoute", KEY.name), rules=rules)
    elif action == "autoscaler alive":
        cluster.autoscaler_alive = value
    elif action == "demand":
        cluster.demand = value
    elif action == "traffic":
        cluster.traffic = value
    elif action == "source":
        cluster.source_missing = value


def in_mode(mode: str, image: str) -> Manifest:
    """Return a service whose replicas are set by the autoscaler, by the operator, or by somebody else."""
    if mode == "Kept warm":
        made = inference_service(image)
        made["spec"]["rollout"] |= {"keepWarmSeconds": 90, "rollbackWindowSeconds": 300}
        return made
    if mode == "Auto":
        return inference_service(image)
    if mode == "Judged":
        return judged(image)
    if mode == "Judged by hand":
        return judged(image, promotion="Manual", analysis=ANALYSIS | {"onInconclusive": "Extend"})
    if mode == "Advise":
        return inference_service(image, scaling={"class": "Auto", "mode": "Advise"})
    if mode == "Budget":
        made = inference_service(image)
        made["spec"]["rollout"] |= {"steps": [{"weight": 60}], "surge": "Budget"}
        return made
    made = inference_service(image, scaling={"class": "External", "external": {"replicas": 4}})
    made["spec"]["predictor"] = {"container": {"image": image}, "timeout": 5}
    del made["spec"]["objective"]
    if mode == "Shared total":
        made["spec"]["rollout"] |= {"steps": [{"weight": 60}], "surge": "Budget"}
    return made


def heal(cluster: Simulation) -> None:
    """Let every pod that was broken get well."""
    for pod in cluster.pods.values():
        pod["killed"] = False
    cluster.kubelet()


@pytest.mark.thorough
@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(
        (
            "Auto",
            "Advise",
            "External",
            "Judged",
            "Judged",
            "Judged by hand",
            "Kept warm",
            "Kept warm",
            "Budget",
            "Budget",
            "Shared total",
        )
    ),
    st.lists(ACTIONS, max_size=25),
)
def test_no_order_of_events_breaks_an_invariant(mode: str, actions: list[tuple[str, Any]]) -> None:
    """The simulation checks S1, S2, S3, S4, S5, S6, S7, S8, S9, S11 and S14 at each write; in the end it is quiet."""
    cluster = Simulation(in_mode(mode, "a"))
    cluster.run(12)
    if mode in ("Budget", "Shared total"):
        # Chance alone seldom brings a canary to where stable has given up replicas.
        cluster.apply(in_mode(mode, "b"))
        cluster.run(25)
    for action, value in actions:
        act(cluster, action, in_mode(mode, value) if action == "apply" else value)
    cluster.autoscaler_alive, cluster.source_missing, cluster.traffic = True, None, PLENTY
    cluster.tick()
    heal(cluster)
    cluster.run(60)
    for _ in range(60):
        cluster.round(10)
    assert cluster.run(30) == 0
    _check_end(cluster, mode)


def _check_end(cluster: Simulation, mode: str) -> None:
    """The end fits the spec: committed, waiting for its label, rejected, or without a node."""
    status = cluster.status
    image = cluster.service["spec"]["predictor"]["container"]["image"]
    wanted, stable = revision(image), (status.get("stable") or {}).get("revision")
    canary = status.get("canary")
    if stable == wanted:
        assert canary is None
        assert weights(cluster.route or {}) == {wanted: 100}
        assert set(cluster.of_kind("Deployment")) == {f"{KEY.name}-{wanted}"}
    elif stable is None:
        assert image in NEVER_READY
    elif canary is not None:
        promoted = canary["id"] in [entry["id"] for entry in status.get("commands") or ()]
        assert canary["revision"] == wanted or promoted
        stuck = image in NEVER_READY or canary["revision"] != wanted
        waits = ("WaitingForPromotion", "Inconclusive") if mode == "Judged" else ("WaitingForPromotion",)
        if mode == "Budget":
            waits = ("WaitingForPromotion", "BudgetTooSmall")
            stuck = stuck and canary["verdict"] != "BudgetTooSmall"
        assert canary["verdict"] in (("Unschedulable",) if stuck else waits), canary
        assert mode != "Judged" or canary["verdict"] != "WaitingForPromotion", "it promotes itself"
    else:
        assert wanted in [entry["revision"] for entry in status["rejected"]]
        assert weights(cluster.route or {}) == {stable: 100}
