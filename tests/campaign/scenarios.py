"""The scenarios: what people and fate do. Each ends in a state that must be the same whatever goes wrong on the way.

The list is that of the specification, and what was found to be missing there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from serving_io import kinds
from tests.campaign.user import NAME, NAMESPACE, User, external, manifest

Script = Callable[[User], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """`dark`: it breaks what answers, so that the proxies find nobody for a while.

    `routes_served`: whether the Gateway API is installed.
    """

    name: str
    script: Script
    dark: bool = False
    routes_served: bool = True


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, *, dark: bool = False, routes_served: bool = True) -> Callable[[Script], Script]:
    """Add a script to the list."""

    def add(script: Script) -> Script:
        SCENARIOS[name] = Scenario(name, script, dark, routes_served)
        return script

    return add


async def settled(user: User, image: str = "a") -> None:
    """A service with a committed first revision."""
    user.apply(manifest(image))
    await user.committed(image)


async def canary(user: User, image: str = "b") -> None:
    """A canary at its step."""
    await settled(user)
    user.apply(manifest(image))
    await user.at_step(image)


async def promoted(user: User, image: str = "b", old: str = "a") -> None:
    """The attempt under way is promoted by label, and what was stable leaves."""
    user.command("Promote")
    await user.committed(image)
    await user.left(old)


async def aborted(user: User, image: str = "b") -> None:
    """The attempt under way is aborted by label."""
    user.command("Abort")
    await user.rejected(image)


@scenario("create")
async def create(user: User) -> None:
    """A first revision comes into service."""
    await settled(user)


@scenario("label-promote")
async def label_promote(user: User) -> None:
    """A canary gets its step, then its label, then everything; the old revision leaves."""
    await canary(user)
    await promoted(user)


@scenario("abort")
async def abort(user: User) -> None:
    """A canary at its step is aborted by label."""
    await canary(user)
    await aborted(user)


async def second_committed(user: User, keep_warm_seconds: int) -> None:
    """A second revision has replaced the first one, whose pods are kept for so long."""
    rollout = manifest()["spec"]["rollout"] | {"keepWarmSeconds": keep_warm_seconds}
    user.apply(manifest("a", rollout=rollout))
    await user.committed("a")
    user.apply(manifest("b", rollout=rollout))
    await user.at_step("b")
    user.command("Promote")
    await user.committed("b")


async def rolled_back(user: User) -> None:
    """The committed attempt is aborted, and what was before it is committed again."""
    user.label("Abort", user.status["stable"]["id"])
    await user.rejected("b")
    await user.committed("a")


@scenario("rollback-warm")
async def rollback_warm(user: User) -> None:
    """The committed attempt is aborted while the pods of the one before are kept."""
    await second_committed(user, 900)
    await user.rest(30)
    await rolled_back(user)


@scenario("rollback-cold")
async def rollback_cold(user: User) -> None:
    """The committed attempt is aborted when nothing but the record is left of the one before."""
    await second_committed(user, 0)
    await user.left("a")
    await rolled_back(user)


@scenario("keep-warm-ends")
async def keep_warm_ends(user: User) -> None:
    """A new canary ends the time of pods that are kept, and is aborted; the rollback after that is a cold one."""
    await second_committed(user, 900)
    user.apply(manifest("c", rollout=user.service["spec"]["rollout"]))
    await user.at_step("c")
    await user.left("a")
    user.command("Abort")
    await user.rejected("c")
    user.label("Abort", user.status["stable"]["id"])
    await user.until(
        lambda: (user.status.get("stable") or {}).get("revision") == user.revision("a"), "a is back"
    )
    await user.left("b")


@scenario("v3-during-v2")
async def v3_during_v2(user: User) -> None:
    """A third version comes while the second is at its step."""
    await canary(user)
    user.apply(manifest("c"))
    await user.at_step("c")
    await user.left("b")


@scenario("scale")
async def scale(user: User) -> None:
    """The bounds are edited; nothing of the pods changes."""
    await settled(user)
    stated = manifest()
    stated["spec"]["predictor"] |= {"minReplicas": 3}
    user.apply(stated)
    await user.until(lambda: user.status.get("replicas") == 3, "three replicas")
    await user.committed("a")


@scenario("template-change")
async def template_change(user: User) -> None:
    """A new version starts a canary, which waits at its step."""
    await canary(user)


@scenario("stale-label")
async def stale_label(user: User) -> None:
    """The promote label still names the attempt before: it promotes nothing."""
    await canary(user)
    await promoted(user)
    user.apply(manifest("c"))
    await user.at_step("c")
    await user.rest(5)


@scenario("wrong-label")
async def wrong_label(user: User) -> None:
    """The promote label names what never was: it promotes nothing."""
    await canary(user)
    user.label("Promote", "deadbeef-7")
    await user.until(lambda: user.condition("CommandIgnored"), "the label is ignored")
    await user.rest(5)


@scenario("abort-while-preparing")
async def abort_while_preparing(user: User) -> None:
    """A canary without traffic is aborted by label."""
    await settled(user)
    user.apply(manifest("slow"))
    await user.begun("slow")
    user.command("Abort")
    await user.rejected("slow")


@scenario("abort-and-promote")
async def abort_and_promote(user: User) -> None:
    """Both labels are set at once: abort wins."""
    await canary(user)
    id_ = user.status["canary"]["id"]
    user.label("Abort", id_)
    user.label("Promote", id_)
    await user.rejected("b")


@scenario("retry")
async def retry(user: User) -> None:
    """A rejected attempt is tried again."""
    await canary(user)
    await aborted(user)
    user.label("Retry", user.status["rejected"][-1]["id"])
    await user.at_step("b")


@scenario("revert-to-stable")
async def revert_to_stable(user: User) -> None:
    """The spec goes back while a canary is at its step."""
    await canary(user)
    user.apply(manifest("a"))
    await user.committed("a")
    await user.left("b")


@scenario("revert-to-a-dead-stable", dark=True)
async def revert_to_a_dead_stable(user: User) -> None:
    """The spec goes back while stable's pods fail: the canary keeps its traffic until they are well."""
    await canary(user)
    user.break_pods("a")
    await user.rest(2)
    user.apply(manifest("a"))
    await user.verdict("b", "StableNotReady")
    await user.rest(5)
    user.break_pods("a", broken=False)
    await user.committed("a")
    await user.left("b")


@scenario("pull-failure")
async def pull_failure(user: User) -> None:
    """The canary's image cannot be pulled."""
    await settled(user)
    user.apply(manifest("unpullable"))
    await user.rejected("unpullable")


@scenario("canary-crash", dark=True)
async def canary_crash(user: User) -> None:
    """The canary's pods fail at its step; a person aborts it."""
    await canary(user)
    user.break_pods("b")
    await user.rest(8)
    await aborted(user)


@scenario("stable-crash", dark=True)
async def stable_crash(user: User) -> None:
    """Stable's pods fail while a canary is at its step; a person promotes it."""
    await canary(user)
    user.break_pods("a")
    await user.rest(15)
    await promoted(user)


@scenario("stable-crash-while-preparing", dark=True)
async def stable_crash_while_preparing(user: User) -> None:
    """Stable's pods fail before the canary has its need; it waits for its label all the same."""
    await settled(user)
    user.break_pods("a")
    user.apply(manifest("b"))
    await user.verdict("b", "RollForward")
    await promoted(user)


@scenario("autoscaler-gone")
async def autoscaler_gone(user: User) -> None:
    """The autoscaler is away while a canary prepares, for longer than its deadline."""
    await settled(user)
    user.world.autoscaler_is_alive = False
    await user.rest(65)
    user.apply(manifest("b"))
    await user.verdict("b", "AutoscalerUnavailable")
    await user.rest(70)
    user.world.autoscaler_is_alive = True
    user.world.wake()
    await user.at_step("b")


@scenario("slow-after-lost-time")
async def slow_after_lost_time(user: User) -> None:
    """The autoscaler is away for longer than the canary's deadline, and the canary takes a while after that."""
    await settled(user)
    user.world.autoscaler_is_alive = False
    await user.rest(65)
    user.apply(manifest("b"))
    await user.verdict("b", "AutoscalerUnavailable")
    user.break_pods("b")
    await user.rest(70)
    user.world.autoscaler_is_alive = True
    user.world.wake()
    await user.rest(30)
    user.break_pods("b", broken=False)
    await user.at_step("b")


async def unacknowledged(user: User, set_well: Callable[[bool], None]) -> None:
    """The step's weight is written while the gateway is not well, for longer than the deadline; later it is."""
    await settled(user)
    set_well(False)
    user.apply(manifest("b"))
    await user.verdict("b", "RouteNotAcknowledged")
    await user.rest(70)
    set_well(True)
    user.world.wake()
    await user.at_step("b")


@scenario("gateway-gone")
async def gateway_gone(user: User) -> None:
    """The gateway's controller is away while the step's weight is written."""
    await unacknowledged(user, partial(setattr, user.world.gateway, "is_alive"))


@scenario("route-edited", dark=True)
async def route_edited(user: User) -> None:
    """Somebody else gives the canary half of the traffic."""
    await canary(user)
    user.weigh(50, 50)
    await user.until(lambda: _weights(user) == {"a": 80, "b": 20}, "the weights are back")
    await user.at_step("b")


@scenario("route-deleted")
async def route_deleted(user: User) -> None:
    """Somebody deletes the route."""
    await canary(user)
    user.delete(kinds.HTTP_ROUTE, NAME)
    await user.until(lambda: _weights(user) == {"a": 80, "b": 20}, "the route is back")
    await user.at_step("b")


@scenario("service-deleted", dark=True)
async def service_deleted(user: User) -> None:
    """Somebody deletes the canary's Service, and the stable one."""
    await canary(user)
    user.delete(kinds.SERVICE, user.name_of("b"))
    user.delete(kinds.SERVICE, NAME)
    await user.until(lambda: user.api.get(kinds.SERVICE, user.name_of("b"), NAMESPACE), "the Service is back")
    await user.at_step("b")


@scenario("deployment-deleted", dark=True)
async def deployment_deleted(user: User) -> None:
    """Somebody deletes the Deployment of the stable revision."""
    await canary(user)
    user.delete(kinds.DEPLOYMENT, user.name_of("a"))
    await user.until(lambda: len(user.pods("a")) == 2, "the pods are back")
    await user.at_step("b")


@scenario("deployment-deleted-alone", dark=True)
async def deployment_deleted_alone(user: User) -> None:
    """The Deployment of the stable revision is deleted while no autoscaler runs that could correct its number."""
    await canary(user)
    user.world.autoscaler_is_alive = False
    user.delete(kinds.DEPLOYMENT, user.name_of("a"))
    await user.until(lambda: not user.pods("a"), "the pods are gone")
    await user.until(lambda: len(user.pods("a")) == 2, "the pods are back")
    user.world.autoscaler_is_alive = True
    user.world.wake()
    await user.at_step("b")


@scenario("scaling-edited")
async def scaling_edited(user: User) -> None:
    """What was stated when the service was created is stated no more: it goes from its children, too."""
    user.apply(manifest(scaling={"class": "Auto", "scaleDownHoldSeconds": 30}))
    await user.committed("a")
    user.apply(manifest())

    def is_gone() -> bool:
        live = user.api.get(kinds.INFERENCE_AUTOSCALER, user.name_of("a"), NAMESPACE)
        return "scaleDownHoldSeconds" not in live["spec"]

    await user.until(is_gone, "the hold is gone")
    await user.committed("a")


@scenario("refused-child")
async def refused_child(user: User) -> None:
    """A quota refuses what somebody deleted of the canary: that stops nobody from aborting it."""
    await canary(user)
    user.api.over_quota.add(kinds.POD_DISRUPTION_BUDGET.plural)
    user.delete(kinds.POD_DISRUPTION_BUDGET, user.name_of("b"))
    await user.rest(3)
    await aborted(user)
    user.api.over_quota.clear()


@scenario("name-collision")
async def name_collision(user: User) -> None:
    """A Service of somebody else has the name of the canary's, and goes later."""
    await settled(user)
    user.api.apply("user", _foreign(user.name_of("b")), kinds.SERVICE, "somebody")
    user.apply(manifest("b"))
    await user.until(lambda: user.condition("NameConflict"), "the conflict is told")
    await user.rest(5)
    user.delete(kinds.SERVICE, user.name_of("b"))
    await user.at_step("b")


@scenario("delete-mid-canary", dark=True)
async def delete_mid_canary(user: User) -> None:
    """The service is deleted while a canary is at its step."""
    await canary(user)
    user.delete(kinds.INFERENCE_SERVICE, NAME)
    await user.until(lambda: not list(_children(user)), "nothing is left")


@scenario("delete-and-recreate", dark=True)
async def delete_and_recreate(user: User) -> None:
    """The service is deleted in the middle of a canary, and made again at once."""
    await canary(user)
    user.delete(kinds.INFERENCE_SERVICE, NAME)
    user.apply(manifest("a"))
    await user.committed("a")


@scenario("operator-upgrade")
async def operator_upgrade(user: User) -> None:
    """In the middle of a canary an operator takes over that would render pods in another way."""
    await canary(user)
    user.restart(drain_seconds=2)
    await user.rest(25)
    await promoted(user)


@scenario("no-gateway-api", routes_served=False)
async def no_gateway_api(user: User) -> None:
    """Without routes a canary takes over by its label, blue/green; the next one is aborted before and after that."""
    await canary(user)
    user.command("Promote")
    await user.committed("b")
    await user.left("a")
    user.apply(manifest("c"))
    await user.at_step("c")
    user.command("Abort")
    await user.rejected("c")
    user.label("Retry", user.status["rejected"][-1]["id"])
    await user.at_step("c")
    user.command("Promote")
    await user.verdict("c", "Soaking")
    user.command("Abort")
    await user.left("c")


@scenario("advise")
async def advise(user: User) -> None:
    """A rollout whose replicas the operator sets, on the autoscaler's advice."""
    scaling = {"class": "Auto", "mode": "Advise"}
    user.apply(manifest("a", scaling=scaling))
    await user.committed("a")
    user.apply(manifest("b", scaling=scaling))
    await user.at_step("b")
    await promoted(user)


@scenario("external")
async def external_replicas(user: User) -> None:
    """A rollout whose replicas somebody else sets, and raises in its middle."""
    user.apply(external("a"))
    await user.committed("a")
    user.apply(external("b"))
    await user.at_step("b")
    user.apply(external("b", replicas=4))
    await user.until(lambda: len(user.pods("a")) == 4, "four replicas")
    await promoted(user)


def sharing(image: str, most: int = 6) -> dict[str, Any]:
    """A service whose revisions have at most so many replicas together in a rollout."""
    made = manifest(image)
    made["spec"]["predictor"]["maxReplicas"] = most
    made["spec"]["rollout"] |= {"steps": [{"weight": 50}], "surge": "Budget"}
    return made


async def _sharing_at_step(user: User) -> None:
    """A canary at its step; stable has given up what its traffic took with it."""
    user.world.demand = 4
    user.apply(sharing("a"))
    await user.committed("a")
    user.apply(sharing("b"))
    await user.at_step("b")
    await user.until(lambda: (len(user.pods("a")), len(user.pods("b"))) == (2, 2), "two replicas each")


@scenario("budget-promote")
async def budget_promote(user: User) -> None:
    """Replicas move with the traffic, within a bound for both."""
    await _sharing_at_step(user)
    user.command("Promote")
    await user.committed("b")
    await user.left("a")


@scenario("budget-abort")
async def budget_abort(user: User) -> None:
    """Traffic goes back as stable gets its replicas back, for which the canary has to give one up."""
    await _sharing_at_step(user)
    user.apply(sharing("b", most=5))
    await user.rest(20)
    user.command("Abort")
    await user.rejected("b")
    await user.until(lambda: len(user.pods("a")) == 4, "four replicas")


def _weights(user: User) -> dict[str, int]:
    route = user.api.get(kinds.HTTP_ROUTE, NAME, NAMESPACE)
    names = {user.name_of(image): image for image in ("a", "b", "c")}
    if route is None:
        return {}
    return {
        names[e["name"]]: e["weight"] for e in route["spec"]["rules"][0]["backendRefs"] if e["name"] in names
    }


def _children(user: User) -> list[object]:
    return [
        key
        for resource, key, _ in user.api.store.everything()
        if key[0] == NAMESPACE and resource.kind.name not in ("Secret", "Event", "Gateway")
    ]


def _foreign(name: str) -> dict[str, object]:
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": "other"}, "ports": [{"port": 80}]},
    }
