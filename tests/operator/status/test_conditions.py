"""The table of docs/conditions.md, row by row: each state is brought about, and every cell is compared."""

import copy
import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving_api.configuration import parse
from serving_operator.decide import SOON_SECONDS
from serving_operator.judge.windows import Missing, Window
from serving_operator.world import Manifest, ObjectId
from tests.operator.rollout import rolling_back as rolling
from tests.operator.rollout import test_budget
from tests.operator.rollout.simulation import (
    BAD,
    KEY,
    QUIET,
    SOURCE_AWAY,
    Simulation,
    at_step,
    inference_service,
    judged,
    revision,
    settled,
    unrouted,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "conditions.md"
CONDITIONS = ("Servable", "Ready", "UpToDate", "RouteProgrammed", "CanaryHealthy", "Reconciling", "Stalled")
TOOLS = ("kstatus", "Argo CD")
"""What tools make of them: tests/contract/test_kstatus.py, tests/manifests/test_argocd.py."""
COLUMNS = CONDITIONS + TOOLS
A, B = revision("a"), revision("b")


def rows() -> dict[str, dict[str, str]]:
    """Read the table: state to column to cell."""
    lines = DOCUMENT.read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("| state |"))
    header = [cell.strip() for cell in lines[start].strip("|").split("|")]
    assert tuple(header[1:]) == COLUMNS
    found = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        state, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        found[state] = dict(zip(COLUMNS, cells, strict=True))
    return found


def without_gateway(cluster: Simulation, seconds: int) -> Simulation:
    """Let everybody but the gateway act."""
    for _ in range(seconds):
        cluster.tick()
        cluster.autoscaler()
        cluster.kubelet()
        cluster.reconcile()
    return cluster


def after(cluster: Simulation, seconds: int) -> Simulation:
    """Let everybody act for a while."""
    cluster.run(seconds)
    return cluster


def until(cluster: Simulation, verdict: str) -> Simulation:
    """Let everybody act until the rollout says this."""
    for _ in range(300):
        if (cluster.status.get("canary") or {}).get("verdict") == verdict:
            return cluster
        cluster.round()
    raise AssertionError(f"{verdict} was never said: {cluster.status}")


def slowly_followed() -> Simulation:
    """A settled service whose proxies take a minute to follow a route."""
    cluster = settled()
    cluster.settings = replace(cluster.settings, propagation_delay_seconds=60)
    return cluster


def without_new_pods(cluster: Simulation) -> Simulation:
    """Let the evidence become good, and no pod start for a while."""
    for _ in range(60):
        cluster.tick()
        cluster.autoscaler()
        cluster.gateway()
        cluster.reconcile()
    return cluster


def stays() -> Simulation:
    """The Gateway does not say that it has let go of the former revision."""
    cluster = labelled(at_step(), "Promote", 20)
    cluster.gateway_answers = False
    cluster.run(200)
    return cluster


def with_spec(cluster: Simulation, image: str, seconds: int = 0) -> Simulation:
    """Apply another image and let everybody act."""
    cluster.apply(inference_service(image))
    return after(cluster, seconds)


def labelled(cluster: Simulation, kind: str, seconds: int = 0) -> Simulation:
    """Give the canary's command label and let everybody act."""
    cluster.label(kind, cluster.status["canary"]["id"])
    return after(cluster, seconds)


def first_without_node(seconds: int) -> Simulation:
    return after(Simulation(inference_service("unschedulable")), seconds)


def _served_by_first() -> Simulation:
    cluster = until(Simulation(), "Opening")
    cluster.round()
    return cluster


def below_need() -> Simulation:
    cluster = settled()
    cluster.demand = 8
    cluster.tick()
    cluster.autoscaler()
    cluster.reconcile()
    return cluster


def all_crash() -> Simulation:
    cluster = settled()
    cluster.break_pods(A)
    cluster.reconcile()
    return cluster


def refuse(cluster: Simulation) -> None:
    """Let the gateway refuse the route as it is."""
    cluster.gateway()
    assert cluster.route is not None
    for parent in cluster.route["status"]["parents"]:
        for condition in parent["conditions"]:
            if condition["type"] == "Accepted":
                condition |= {"status": "False", "reason": "NoMatchingListenerHostname", "message": "none"}


def gateway_says(say: Callable[[Simulation], None]) -> Simulation:
    """The host name is edited, and the gateway says this of it."""
    cluster = settled()
    service = inference_service("a")
    service["spec"]["route"]["hostnames"] = ["other.test"]
    cluster.apply(service)
    cluster.reconcile()
    for _ in range(20):
        say(cluster)
        cluster.tick()
        cluster.autoscaler()
        cluster.kubelet()
        cluster.reconcile()
    return cluster


def without_autoscaler() -> Simulation:
    cluster = settled()
    cluster.autoscaler_alive = False
    cluster.tick(90)
    return with_spec(cluster, "b", 10)


def crash_at_step() -> Simulation:
    cluster = at_step()
    cluster.break_pods(B)
    cluster.reconcile()
    return cluster


def crash_in_the_soak() -> Simulation:
    cluster = until(labelled(at_step(), "Promote"), "Soaking")
    cluster.break_pods(B)
    return until(cluster, "CanaryNotReady")


def at_judged_step(**rollout: object) -> Simulation:
    """A canary at the second of three steps."""
    cluster = Simulation(judged("a", **rollout), demand=10)
    cluster.run(30)
    cluster.apply(judged("b", **rollout))
    for _ in range(200):
        if (cluster.status.get("canary") or {}).get("weight") == 30:
            return cluster
        cluster.round()
    raise AssertionError(cluster.status)


def without_source(missing: Missing = SOURCE_AWAY) -> Simulation:
    cluster = at_judged_step()
    cluster.source_missing = missing
    return after(cluster, 2)


def too_few_requests() -> Simulation:
    cluster = at_judged_step()
    cluster.arrivals_per_minute = 1
    cluster.traffic = QUIET
    return after(cluster, 5)


def with_traffic(window: Window, seconds: int, **rollout: object) -> Simulation:
    cluster = at_judged_step(**rollout)
    cluster.traffic = window
    return after(cluster, seconds)


def below_need_at_step() -> Simulation:
    cluster = at_judged_step()
    for pod in [name for name in cluster.pods if name.startswith(f"{KEY.name}-{B}")][1:]:
        cluster.pods[pod]["killed"] = True
        cluster.pods[pod]["status"] = _crashed()
    cluster.kubelet()
    cluster.reconcile()
    return cluster


def _crashed() -> dict[str, Any]:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "no"}}
    container = {"name": "model", "image": "b", "restartCount": 3, "ready": False, "state": waiting}
    return {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [container]}


def worse_than_stable() -> Simulation:
    cluster = at_judged_step()
    cluster.traffic = BAD
    return until(cluster, "WorseThanStable")


def beyond_the_budget() -> Simulation:
    cluster = test_budget.settled(test_budget.budget(most=4))
    cluster.apply(test_budget.budget("b", most=4))
    return after(cluster, 20)


def stable_keeps_its_replicas() -> Simulation:
    cluster = test_budget.settled(test_budget.budget(most=5))
    cluster.stable_is_kept = True
    cluster.apply(test_budget.budget("b", most=5))
    return until(cluster, "WaitingForRoom")


def one_replica_for_two() -> Simulation:
    cluster = test_budget.settled(test_budget.of_the_total("a", 1))
    cluster.apply(test_budget.of_the_total("b", 1))
    return after(cluster, 5)


def roll_forward() -> Simulation:
    cluster = settled()
    cluster.break_pods(A)
    return with_spec(cluster, "b", 60)


def abort_in_the_dark() -> Simulation:
    cluster = at_step()
    cluster.break_pods(A)
    return with_spec(cluster, "c", 3)


def without_room() -> Simulation:
    cluster = settled()
    cluster.quotas = (
        {"metadata": {"name": "team"}, "status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}},
    )
    return with_spec(cluster, "b", 5)


def refused() -> Simulation:
    cluster = settled()
    cluster.refused = {ObjectId("Deployment", f"{KEY.name}-{A}"): "admission webhook said no"}
    cluster.reconcile()
    return cluster


def without_gateway_api(wanted: str | Manifest, seconds: int = 10) -> Simulation:
    cluster = Simulation(routes_served=False)
    cluster.run(20)
    cluster.apply(inference_service(wanted) if isinstance(wanted, str) else wanted)
    return after(cluster, seconds)


def endpoints_do_not_follow() -> Simulation:
    cluster = without_gateway_api("b")
    cluster.held_slices = tuple(cluster.slices())
    return labelled(cluster, "Promote", 10)


def without_gateway_api_all_crash() -> Simulation:
    cluster = without_gateway_api("a")
    cluster.break_pods(A)
    return after(cluster, 1)


def gateway_api_goes() -> Simulation:
    cluster = at_step()
    cluster.serve_routes(False)
    return after(cluster, 10)


def unrouted_canary() -> Simulation:
    cluster = after(Simulation(unrouted()), 20)
    cluster.apply(unrouted("b"))
    return after(cluster, 10)


def lost() -> Simulation:
    cluster = settled()
    cluster.apply(inference_service("b"))
    cluster.remove(ObjectId("ControllerRevision", f"{KEY.name}-{A}"))
    pods = dict(cluster.pods)
    cluster.remove(ObjectId("Deployment", f"{KEY.name}-{A}"))
    cluster.pods = pods
    cluster.restart()
    cluster.reconcile()
    return cluster


def rolling_back(**rollout: int) -> Simulation:
    cluster = rolling.abort(rolling.committed(**rollout))
    cluster.run(2)
    return cluster


def late_rollback() -> Simulation:
    cluster = after(rolling_back(keepWarmSeconds=0), 1)
    for _ in range(150):
        cluster.break_pods(A)
        cluster.tick()
        cluster.autoscaler()
        cluster.reconcile()
    return cluster


def slow_to_load() -> Simulation:
    cluster = settled()
    service = inference_service("loading")
    service["spec"]["predictor"]["modelLoadSeconds"] = 60
    cluster.load_seconds = 1000
    cluster.apply(service)
    return after(cluster, 200)


def unreadable() -> Simulation:
    cluster = settled()
    cluster.service["spec"]["predictor"]["minReplicas"] = 0
    cluster.reconcile()
    return cluster


def forbidden() -> Simulation:
    """The host name is edited to one that is another team's."""
    cluster = settled()
    route = parse({"route": {"allowed": [{"namespaces": ["*"], "hostnameSuffixes": ["digits.test"]}]}}).route
    cluster.settings = replace(cluster.settings, route=route)
    edited = inference_service()
    edited["spec"]["route"]["hostnames"] = ["other.test"]
    cluster.apply(edited)
    return after(cluster, 5)


STATES: dict[str, Callable[[], Simulation]] = {
    "first revision starts": lambda: after(Simulation(), 1),
    "first revision is routed to": _served_by_first,
    "first revision crashes, in time": lambda: after(Simulation(inference_service("crashing")), 20),
    "first revision crashes, too late": lambda: after(Simulation(inference_service("crashing")), 200),
    "first revision finds no node": lambda: first_without_node(30),
    "first revision finds no node, too long": lambda: first_without_node(300),
    "first revision without a Gateway": lambda: without_gateway(Simulation(), 40),
    "settled": settled,
    "settled, below its need": below_need,
    "settled, all pods crash": all_crash,
    "settled, a Gateway that stamps no generation": lambda: gateway_says(Simulation.unstamped_gateway),
    "settled, a Gateway refuses an edited route": lambda: gateway_says(refuse),
    "canary gets its capacity": lambda: with_spec(settled(), "b", 1),
    "canary cannot pull its image": lambda: with_spec(settled(), "unpullable", 20),
    "canary finds no node": lambda: with_spec(settled(), "unschedulable", 20),
    "canary finds no node, too long": lambda: with_spec(settled(), "unschedulable", 300),
    "canary without an autoscaler": without_autoscaler,
    "canary gets the step's weight": lambda: until(with_spec(slowly_followed(), "b"), "Advancing"),
    "canary's requests are too few to judge it in time": too_few_requests,
    "canary's evidence is collected": lambda: with_traffic(QUIET, 5),
    "canary's evidence has no source": without_source,
    "canary's requests are counted together with stable's": lambda: without_source(
        Missing("SplitNotVisible", "Envoy counts both together; set analysis.source.", needs_person=True)
    ),
    "canary lacks replicas at its step": below_need_at_step,
    "canary is good, the next weight is prepared": lambda: until(
        without_new_pods(at_judged_step()), "Advancing"
    ),
    "canary is neither good nor bad in time": lambda: with_traffic(QUIET, 80),
    "canary is good, its label is waited for": lambda: until(
        at_judged_step(promotion="Manual"), "WaitingForPromotion"
    ),
    "canary is good and promotes itself": lambda: until(at_judged_step(), "Promoting"),
    "canary is worse than stable": worse_than_stable,
    "canary does not fit into the budget": beyond_the_budget,
    "canary waits for replicas that stable lets go of": stable_keeps_its_replicas,
    "canary waits for its label": at_step,
    "canary crashes at its step": crash_at_step,
    "canary waits, stable is broken": roll_forward,
    "canary is promoted": lambda: labelled(at_step(), "Promote", 1),
    "canary soaks at 100 percent": lambda: until(labelled(at_step(), "Promote"), "Soaking"),
    "canary's pods fail at the end of its soak": crash_in_the_soak,
    "committed, the old one leaves": lambda: labelled(at_step(), "Promote", 20),
    "committed, the old one does not leave": stays,
    "committed, the old one is kept warm": rolling.committed,
    "rollback gets its capacity": lambda: rolling_back(keepWarmSeconds=0),
    "rollback to kept pods": rolling_back,
    "rollback soaks": lambda: until(rolling_back(), "Soaking"),
    "rollback finds its pods crashing, too late": late_rollback,
    "rolled back": lambda: after(rolling_back(), 100),
    "canary is aborted by its label": lambda: labelled(at_step(), "Abort", 2),
    "spec is back at stable": lambda: with_spec(at_step(), "a", 2),
    "spec changes during a canary": lambda: with_spec(at_step(), "c", 2),
    "traffic goes back as stable gets its replicas back": lambda: labelled(
        test_budget.without_autoscaler(), "Abort", 10
    ),
    "abort would leave nobody to answer": abort_in_the_dark,
    "rejected by its label": lambda: labelled(at_step(), "Abort", 60),
    "rejected past its deadline": lambda: with_spec(settled(), "unpullable", 200),
    "rejected for loading too long": slow_to_load,
    "rejected for being worse than stable": lambda: with_traffic(BAD, 90),
    "rejected for want of evidence": lambda: with_traffic(
        QUIET, 120, analysis={"windowSeconds": 10, "stepDeadlineSeconds": 60, "onInconclusive": "Abort"}
    ),
    "quota without room": without_room,
    "one replica cannot be shared": one_replica_for_two,
    "refused by the API server": refused,
    "without the Gateway API": lambda: without_gateway_api("a"),
    "without the Gateway API, canary gets its capacity": lambda: without_gateway_api("b", 1),
    "without the Gateway API, canary waits for its label": lambda: without_gateway_api("b"),
    "without the Gateway API, canary was to be judged": lambda: without_gateway_api(judged("b")),
    "without the Gateway API, endpoints do not follow": endpoints_do_not_follow,
    "without the Gateway API, canary soaks": lambda: until(
        labelled(without_gateway_api("b"), "Promote"), "Soaking"
    ),
    "without the Gateway API, all pods crash": without_gateway_api_all_crash,
    "the Gateway API goes during a canary": gateway_api_goes,
    "no route asked for": lambda: after(Simulation(unrouted()), 20),
    "no route asked for, canary waits for its label": unrouted_canary,
    "an edited route is not allowed": forbidden,
    "a first route lacks its Gateways": lambda: after(
        Simulation(inference_service(route={"hostnames": ["digits.test"]})), 20
    ),
    "record and Deployment lost": lost,
    "spec that cannot be read": unreadable,
}


@functools.cache
def _made(state: str) -> Simulation:
    return STATES[state]()


def in_state(state: str) -> Manifest:
    """Return the service as the API server has it in this state."""
    return brought_about(state).service


def brought_about(state: str) -> Simulation:
    """Return a cluster in this state, to be changed at will."""
    return copy.deepcopy(_made(state))


def test_the_table_and_the_tests_name_the_same_states() -> None:
    """No row without a test, no test without a row."""
    assert list(rows()) == list(STATES)


@pytest.mark.parametrize("state", STATES)
def test_each_cell_is_as_documented(state: str) -> None:
    """Status and reason of every condition in this state are those of the table."""
    cluster = brought_about(state)
    letters = {"True": "T", "False": "F", "Unknown": "?"}
    said = {}
    for column in CONDITIONS:
        found = cluster.condition(column)
        said[column] = f"{letters[found['status']]} {found['reason']}" if found else "—"
    assert said == {column: rows()[state][column] for column in CONDITIONS}


@pytest.mark.parametrize("state", STATES)
def test_nothing_flaps(state: str) -> None:
    """A second look at the same world changes nothing but what time changes; no message counts seconds or pods.

    Nor does any look ask for the next one at once, which might do the same.
    """
    cluster = brought_about(state)
    cluster.reconcile()
    cluster.reconcile()
    before = cluster.status_writes
    cluster.reconcile()
    assert cluster.status_writes == before
    for _ in range(20):
        again = cluster.decide().requeue_after_seconds
        assert again is None or again >= SOON_SECONDS
        cluster.round()


def test_a_refusal_within_the_grace_of_a_write_is_told_when_it_ends() -> None:
    """Nothing else wakes anybody then; and once it is told, or there is nothing to tell, nobody looks again."""
    cluster = settled()
    assert cluster.decide().requeue_after_seconds is None
    edited = inference_service("a")
    edited["spec"]["route"]["hostnames"] = ["other.test"]
    cluster.apply(edited)
    while cluster.reconcile():
        refuse(cluster)
    programmed = cluster.condition("RouteProgrammed")
    assert programmed is not None
    assert programmed["reason"] == "Acknowledged"

    again = cluster.decide().requeue_after_seconds
    assert again == cluster.settings.propagation_delay_seconds
    cluster.tick(again)
    cluster.reconcile()
    programmed = cluster.condition("RouteProgrammed")
    assert programmed is not None
    assert programmed["reason"] == "NoMatchingListenerHostname"
    assert cluster.decide().requeue_after_seconds is None


@pytest.mark.parametrize("state", STATES)
def test_transition_times_move_with_the_status_alone(state: str) -> None:
    """A condition that keeps its status keeps its lastTransitionTime."""
    cluster = brought_about(state)
    for _ in range(15):
        before = {entry["type"]: entry for entry in cluster.status["conditions"]}
        cluster.round()
        now = cluster.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        for entry in cluster.status["conditions"]:
            known = before.get(entry["type"])
            same = known is not None and known["status"] == entry["status"]
            assert entry["lastTransitionTime"] == (known["lastTransitionTime"] if known and same else now)


def test_every_message_names_a_cause_or_a_remedy() -> None:
    """False and Stalled conditions say more than their reason, and commands in them can be pasted."""
    for state in STATES:
        for entry in brought_about(state).status["conditions"]:
            bad = entry["type"] in ("Stalled", "NameConflict") or entry["status"] == "False"
            if bad:
                assert len(entry["message"].split()) >= 4, (state, entry)
            if " label " in entry["message"] and "kubectl" in entry["message"]:
                assert "--overwrite" in entry["message"], (state, entry)
