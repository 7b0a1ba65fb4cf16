"""Scenarios of rollouts that are judged: good and bad versions, with metrics, without them, and with gaps in them."""

from __future__ import annotations

from typing import Any

from serving_api.names import PASSING_ANNOTATION
from serving_io import kinds
from tests.campaign.scenarios import promoted, scenario
from tests.campaign.user import NAMESPACE, User, judged


def passed(user: User, image: str) -> bool:
    """Whether the InferenceAutoscaler of a version says that a step of it was good."""
    found = user.api.get(kinds.INFERENCE_AUTOSCALER, user.name_of(image), NAMESPACE) or {}
    return PASSING_ANNOTATION in (found.get("metadata", {}).get("annotations") or {})


async def judged_canary(user: User, image: str = "b", **rollout: Any) -> None:
    """A canary that is judged has been asked for."""
    user.apply(judged(**rollout))
    await user.committed("a")
    user.apply(judged(image, **rollout))


@scenario("automatic-three-steps")
async def automatic_three_steps(user: User) -> None:
    """A good version is judged at three steps and promotes itself; one has a pause, and one asks for many requests."""
    steps = [{"weight": 20}, {"weight": 50, "pauseSeconds": 60}, {"weight": 80, "minimumRequests": 3000}]
    await judged_canary(user, steps=steps)
    await user.committed("b")
    await user.left("a")


@scenario("automatic-abort")
async def automatic_abort(user: User) -> None:
    """A version that answers late is found to be worse than stable, and rejected."""
    await judged_canary(user, "bad")
    await user.rejected("bad")


@scenario("judged-manual")
async def judged_manual(user: User) -> None:
    """A good version is judged at two steps, and then waits for a person."""
    await judged_canary(user, weights=(20, 50), promotion="Manual")
    await user.at_step("b")
    await promoted(user)


@scenario("too-few-requests")
async def too_few_requests(user: User) -> None:
    """So few requests come that nothing can be said by the step's deadline: the version is rejected, as was asked for."""
    user.world.traffic.requests_per_second = 1.0
    await judged_canary(user)
    await user.rejected("b")


async def turned_bad(user: User, start_seconds: tuple[float, float]) -> None:
    """A version is good at its step, and turns bad while the pods of the next one start."""
    await judged_canary(user, weights=(20, 80), progressDeadlineSeconds=180)
    await user.at_weight("b", 20)
    user.world.start_seconds = start_seconds
    await user.until(lambda: passed(user, "b"), "the first step was good")
    user.world.traffic.late_share["b"] = 0.6


@scenario("turns-bad")
async def turns_bad(user: User) -> None:
    """A version is good at its step, and turns bad while the pods of the next one take long to start."""
    await turned_bad(user, (80.0, 90.0))
    await user.rejected("b")


@scenario("turns-bad-unseen")
async def turns_bad_unseen(user: User) -> None:
    """A version is good at its step, and turns bad while no operator runs and the pods of the next one become ready."""
    await turned_bad(user, (30.0, 35.0))
    user.restart(away_seconds=100)
    await user.rejected("b")


@scenario("turns-bad-while-promoting")
async def turns_bad_while_promoting(user: User) -> None:
    """A version is good at its last step, and turns bad while the pods start that all of the traffic takes."""
    await judged_canary(user, weights=(20,), progressDeadlineSeconds=180)
    await user.at_weight("b", 20)
    user.world.start_seconds = (80.0, 90.0)
    await user.until(lambda: passed(user, "b"), "the last step was good")
    user.world.traffic.late_share["b"] = 0.6
    await user.rejected("b")


@scenario("restart-while-judging")
async def restart_while_judging(user: User) -> None:
    """The operator is killed in the middle of each step, when some of its windows are read."""
    await judged_canary(user, weights=(20, 50))
    for weight in (20, 50):
        await user.at_weight("b", weight)
        await user.rest(34)
        user.restart()
    await user.committed("b")
    await user.left("a")


@scenario("no-metrics")
async def no_metrics(user: User) -> None:
    """Nobody scrapes the proxies: the rollout holds for longer than its deadline, until a person promotes."""
    user.world.traffic.finds_envoy = False
    await judged_canary(user)
    await user.verdict("b", "NoSeries")
    await user.rest(100)
    await user.verdict("b", "NoSeries")
    await promoted(user)


@scenario("metrics-outage")
async def metrics_outage(user: User) -> None:
    """In the middle of one step nothing is scraped, in the middle of the next one Prometheus does not answer."""
    await judged_canary(user, weights=(20, 50))
    traffic = user.world.traffic
    await user.at_weight("b", 20)
    await user.rest(3)
    traffic.scrapes = False
    await user.rest(75)
    traffic.scrapes = True
    await user.at_weight("b", 50)
    await user.rest(3)
    traffic.answers = False
    await user.verdict("b", "PrometheusUnreachable")
    await user.rest(75)
    traffic.answers = True
    await user.committed("b")
    await user.left("a")
