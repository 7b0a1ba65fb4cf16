"""What each parent says of the route, and what follows for raising and for draining."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from serving_api.service import InferenceService
from serving_operator.rollout import acknowledge
from serving_operator.rollout.observed import Observed
from serving_operator.world import ObjectId
from tests.operator.rollout.simulation import KEY, SETTINGS, settled

OURS = {"name": "local", "namespace": "gateway"}
SPELLED_OUT = OURS | {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
OTHER = {"name": "other", "namespace": "gateway"}


def entry(
    parent: dict[str, str], accepted: str = "True", resolved: str = "True", at: int | None = 3
) -> dict[str, Any]:
    """What one controller says of one parent."""
    stamp = {} if at is None else {"observedGeneration": at}
    return {
        "parentRef": parent,
        "conditions": [
            {"type": "Accepted", "status": accepted, "reason": "NoMatchingParent"} | stamp,
            {"type": "ResolvedRefs", "status": resolved, "reason": "BackendNotFound"} | stamp,
        ],
    }


class Row(NamedTuple):
    """Parents in spec, entries in status at generation 3, and whether raising and draining are acknowledged."""

    why: str
    parents: list[dict[str, str]]
    entries: list[dict[str, Any]]
    raised: bool
    drained: bool
    reason: str = "Acknowledged"


ROWS = [
    Row("the parent carries it out", [OURS], [entry(OURS)], True, True),
    Row("a parent spelled with its defaults", [OURS], [entry(SPELLED_OUT)], True, True),
    Row("a later generation counts", [OURS], [entry(OURS, at=4)], True, True),
    Row("an older generation does not", [OURS], [entry(OURS, at=2)], False, False, "NotAcknowledged"),
    Row("no entry: nothing to drain either", [OURS], [], False, True, "NotAcknowledged"),
    Row("not accepted", [OURS], [entry(OURS, accepted="False")], False, True, "NoMatchingParent"),
    Row("references not resolved", [OURS], [entry(OURS, resolved="False")], False, True, "BackendNotFound"),
    Row("not resolved, and behind: it still sends as before", [OURS], [entry(OURS, resolved="False", at=2)], False, False,
        "BackendNotFound"),
    Row("one of two parents", [OURS, OTHER], [entry(OURS)], False, True, "NotAcknowledged"),
    Row("both parents", [OURS, OTHER], [entry(OURS), entry(OTHER)], True, True),
    Row("entries of other parents are ignored", [OURS], [entry(OTHER, at=1), entry(OURS)], True, True),
    Row("two controllers, one that carries it out", [OURS], [entry(OURS, at=1), entry(OURS)], True, True),
    Row("a second parent that lags is drained too", [OURS, OTHER], [entry(OURS), entry(OTHER, at=2)], False, False,
        "NotAcknowledged"),
    Row("sections are different parents", [OURS | {"sectionName": "a"}], [entry(OURS | {"sectionName": "b"})], False,
        True, "NotAcknowledged"),
]  # fmt: skip


def observed_with(
    parents: list[dict[str, str]], entries: list[dict[str, Any]], age_seconds: float = 0
) -> Observed:
    """Return a settled service whose route is at generation 3, first seen so long ago."""
    cluster = settled()
    world = cluster.world()
    route = cluster.objects[ObjectId("HTTPRoute", KEY.name)]
    route["metadata"]["generation"] = 3
    route["spec"]["parentRefs"] = parents
    route["status"] = {"parents": entries}
    seen = {acknowledge.generation_fact(route, "generation"): cluster.now - timedelta(seconds=age_seconds)}
    return Observed(
        replace(world, since=seen), SETTINGS, cluster.now, InferenceService.parse(cluster.service)
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.why)
def test_what_is_acknowledged(row: Row) -> None:
    """Raising needs every parent; draining needs those that ever carried the route out."""
    observed = observed_with(row.parents, row.entries)
    answer = acknowledge.raised(observed)
    assert (answer.given, acknowledge.drained(observed).given) == (row.raised, row.drained)
    assert answer.reason == row.reason


@pytest.mark.parametrize(
    ("why", "gateway", "said", "committed", "drained"),
    [
        ("it may still send as the deleted route said", "True", [], True, False),
        ("it speaks of the new route, and refuses it", "True", [entry(OURS, accepted="False")], True, True),
        ("there is no such Gateway", None, [], True, True),
        ("nothing makes the Gateway work", "Unknown", [], True, True),
        ("no route was ever carried out", "True", [], False, True),
    ],
)
def test_a_silent_gateway_may_know_a_former_route(
    why: str, gateway: str | None, said: list[dict[str, Any]], committed: bool, drained: bool
) -> None:
    """Whoever deletes the route while the Gateway's controller is away leaves the proxies as they were."""
    observed = observed_with([OURS], said)
    world = observed.world
    if gateway is not None:
        status = {"conditions": [{"type": "Accepted", "status": gateway}]}
        world = replace(world, gateways={("gateway", "local"): {"status": status}})
    if not committed:
        world = replace(world, service={**world.service, "status": {}})
    assert acknowledge.drained(replace(observed, world=world)).given is drained, why


def test_a_parent_that_stamps_no_generation_counts_after_the_delay() -> None:
    """It cannot be asked which generation it speaks of, so it is given time, and the reason says so."""
    said = [entry(OURS, at=None)]
    fresh = acknowledge.raised(observed_with([OURS], said))
    aged = acknowledge.raised(observed_with([OURS], said, age_seconds=SETTINGS.propagation_delay_seconds))
    assert (fresh.given, fresh.reason) == (False, "Unconfirmed")
    assert (aged.given, aged.reason) == (True, "Unconfirmed")


def test_a_silent_gateway_is_named_with_the_command_that_shows_it() -> None:
    """The message names Gateway and namespace."""
    message = acknowledge.raised(observed_with([OURS], [])).message
    assert "kubectl -n gateway describe gateway local" in message
