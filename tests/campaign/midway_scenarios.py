"""Scenarios of what is edited, moved or refused while a canary is at its step, or on its way there."""

from __future__ import annotations

from functools import partial
from typing import Any

from serving_io import kinds
from tests.campaign.scenarios import canary, promoted, scenario, unacknowledged
from tests.campaign.user import NAME, NAMESPACE, User, manifest

PARENTS = [{"name": "local", "namespace": "team"}, {"name": "other", "namespace": "team"}]


def routed(image: str, **route: Any) -> dict[str, Any]:
    """A service with another route."""
    made = manifest(image)
    made["spec"]["route"] |= route
    return made


@scenario("steps-edited")
async def steps_edited(user: User) -> None:
    """Steps that are edited are those of the next attempt; the one under way keeps its own."""
    await canary(user)
    user.apply(manifest("b", rollout=user.service["spec"]["rollout"] | {"steps": [{"weight": 60}]}))
    await user.rest(10)
    await user.at_weight("b", 20)
    await promoted(user)


@scenario("route-moved")
async def route_moved(user: User) -> None:
    """Gateway and host name are edited: the route follows at once, with its weights."""
    await canary(user)
    user.apply(routed("b", parentRefs=PARENTS[1:], hostnames=["moved.test"]))
    await user.until(
        lambda: user.api.get(kinds.HTTP_ROUTE, NAME, NAMESPACE)["spec"]["hostnames"] == ["moved.test"],
        "the route has moved",
    )
    await user.at_step("b")
    await promoted(user)


@scenario("bounds-edited")
async def bounds_edited(user: User) -> None:
    """More replicas are asked for in the middle of a canary."""
    await canary(user)
    stated = manifest("b")
    stated["spec"]["predictor"] |= {"minReplicas": 3, "maxReplicas": 5}
    user.apply(stated)
    await user.until(lambda: len(user.pods("a")) == 3, "three replicas of stable")
    await promoted(user)


@scenario("demand-grows")
async def demand_grows(user: User) -> None:
    """The demand doubles while a canary is at its step: the autoscaler follows for both, and the promotion takes more."""
    await canary(user)
    user.world.demand = 4
    user.world.wake()
    await user.until(lambda: user.status.get("replicas") == 5, "five replicas")
    await promoted(user)


@scenario("two-gateways")
async def two_gateways(user: User) -> None:
    """Of two Gateways one carries the route out seconds after the other: both are waited for."""
    user.apply(routed("a", parentRefs=PARENTS))
    await user.committed("a")
    user.apply(routed("b", parentRefs=PARENTS))
    await user.at_step("b")
    await promoted(user)


@scenario("gateway-refuses")
async def gateway_refuses(user: User) -> None:
    """The Gateway refuses the route when the step's weight is written, for longer than the deadline, and takes it later."""
    await unacknowledged(user, partial(setattr, user.world.gateway, "accepts"))


@scenario("route-deleted-in-an-abort", dark=True)
async def route_deleted_in_an_abort(user: User) -> None:
    """The route is deleted while a canary is aborted and no Gateway controller runs: the proxies go on as they were told."""
    await canary(user)
    user.world.gateway.is_alive = False
    user.command("Abort")
    await user.rest(1)
    user.delete(kinds.HTTP_ROUTE, NAME)
    await user.rest(60)
    user.world.gateway.is_alive = True
    user.world.wake()
    await user.rejected("b")


@scenario("gateway-says-no-generation")
async def gateway_says_no_generation(user: User) -> None:
    """A Gateway that never says which generation of the route it speaks of is given time instead."""
    user.world.gateway.stamps = False
    await canary(user)
    await promoted(user)


@scenario("pods-evicted", dark=True)
async def pods_evicted(user: User) -> None:
    """A pod of stable and all of the canary's are evicted; others come in their place."""
    await canary(user)
    for image in ("a", "b"):
        user.world.evict(user.revision(image), NAMESPACE)
    await user.until(lambda: user.status.get("replicas") == 3, "all are back")
    await user.rest(10)
    await user.at_step("b")
    await promoted(user)
