"""Whether our route is carried out: what each parent says of which generation; or the stable Service's endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from serving_operator.rollout.observed import Observed
from serving_operator.world import Manifest

_GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the parents of a route say together."""

    given: bool
    reason: str
    message: str
    confirmed: bool = True
    """False if a parent never says which generation it speaks of, so that only time can tell."""


def reference(parent: Manifest, namespace: str) -> tuple[str, ...]:
    """Return a parentRef with its defaults filled in, so that two spellings of one parent are equal."""
    filled = _GATEWAY | {"namespace": namespace} | parent
    return tuple(
        str(filled.get(key, "")) for key in ("group", "kind", "namespace", "name", "sectionName", "port")
    )


def generation_fact(route: Manifest, purpose: str) -> str:
    """Name the fact about the present generation of a route; a re-created route starts anew."""
    metadata = route["metadata"]
    return f"{purpose}:{metadata.get('uid', '')}:{metadata.get('generation', 1)}"


def raised(observed: Observed) -> Answer:
    """Whether every parent of our route carries out its present generation."""
    return _answer(observed, draining=False)


def drained(observed: Observed) -> Answer:
    """Whether every parent that ever carried our route out carries out its present generation.

    A parent that never accepted the route never sent a request, so nothing has to be taken from it. One that says nothing
    may do what a route said that was there before: somebody may have deleted it.
    """
    return _answer(observed, draining=True)


def fact(observed: Observed, purpose: str) -> str | None:
    """Name the fact about what carries the traffic as it is now; None if nothing does."""
    if observed.routed:
        return generation_fact(observed.route, purpose) if observed.route is not None else None
    service = observed.stable_service
    return (
        f"{purpose}:{service['metadata'].get('uid', '')}:{observed.selected}" if service is not None else None
    )


def settled_at(observed: Observed, *, draining: bool = False) -> datetime:
    """Return when the present generation, acknowledged by now, has also reached every proxy."""
    found = fact(observed, "drained" if draining else "acknowledged")
    if found is None:
        return observed.now  # nothing carries any traffic, so that there is nothing to be told
    return observed.first_seen(found) + timedelta(seconds=observed.settings.propagation_delay_seconds)


def overdue_at(observed: Observed) -> datetime:
    """Return when the present generation has been there for so long that its acknowledgement is missed."""
    found = fact(observed, "generation")
    seen = observed.first_seen(found) if found is not None else observed.now
    return seen + timedelta(seconds=observed.settings.propagation_delay_seconds)


def awaited(observed: Observed) -> tuple[datetime, ...]:
    """Return until when an acknowledgement of the route is waited for that has yet to come; nothing once it is missed.

    No event tells: from then on it is said to be missing, or, of a Gateway that stamps no generation, taken for given.
    """
    if not observed.routed or observed.route is None or raised(observed).given:
        return ()
    overdue = overdue_at(observed)
    return (overdue,) if observed.now < overdue else ()


def settled(observed: Observed, *, draining: bool = False) -> bool:
    """Whether the present generation is acknowledged and has had the time to reach every proxy."""
    answer = drained(observed) if draining else raised(observed)
    return answer.given and observed.now >= settled_at(observed, draining=draining)


def _answer(observed: Observed, *, draining: bool) -> Answer:
    if not observed.routed:
        return _followed(observed, draining=draining)
    route = observed.route
    if route is None:
        return Answer(
            False, "NoRoute", "There is no route yet; it is created when a revision has its need ready."
        )
    namespace = observed.world.key.namespace
    entries: dict[tuple[str, ...], list[Manifest]] = {}
    for entry in (route.get("status") or {}).get("parents") or ():
        entries.setdefault(reference(entry.get("parentRef") or {}, namespace), []).append(entry)
    # A backend that cannot be resolved stops no other one: who accepts the route sends requests as it says.
    kinds = ("Accepted",) if draining else ("Accepted", "ResolvedRefs")
    confirmed = True
    for parent in (route.get("spec") or {}).get("parentRefs") or ():
        said = entries.get(reference(parent, namespace), [])
        if draining and not any(_accepts(entry, kinds) for entry in said):
            if not said and _may_know_a_former_route(observed, parent):
                return _refusal(parent, namespace, said)
            continue
        generation = int(route["metadata"].get("generation", 1))
        if any(_accepts(entry, kinds) and _speaks_of(entry, generation, kinds) for entry in said):
            continue
        if any(_accepts(entry, kinds) and _unstamped(entry) for entry in said):
            confirmed = False
            continue
        return _refusal(parent, namespace, said)
    if not confirmed:
        seen = observed.first_seen(generation_fact(route, "generation"))
        delay = timedelta(seconds=observed.settings.propagation_delay_seconds)
        message = "A Gateway accepts the route but never says which generation; it is given time instead."
        return Answer(observed.now >= seen + delay, "Unconfirmed", message, confirmed=False)
    return Answer(True, "Acknowledged", "Every Gateway carries out the route as it is now.")


def _may_know_a_former_route(observed: Observed, parent: Manifest) -> bool:
    """Whether a Gateway has a controller, and the service has had a route that was carried out: that of its first commit."""
    _, kind, namespace, name, *_ = reference(parent, observed.world.key.namespace)
    gateway = observed.world.gateways.get((namespace, name)) if kind == "Gateway" else None
    is_committed = bool((observed.world.service.get("status") or {}).get("stable"))
    return gateway is not None and is_committed and _accepts(gateway.get("status") or {}, ("Accepted",))


def _followed(observed: Observed, *, draining: bool) -> Answer:
    """Whether the endpoints of the stable Service are pods of the revision that it selects, and of no other."""
    namespace, name = observed.world.key.namespace, observed.name
    if observed.selected is None:
        return Answer(draining, "NoService", f"There is no Service {namespace}/{name} yet.")
    if observed.stable_service_only_selects(observed.selected):
        return Answer(True, "Selected", "The endpoints of the stable Service are those that it selects.")
    message = (
        f"The EndpointSlices of Service {namespace}/{name} have yet to follow its selector; see: kubectl -n {namespace} "
        f"get endpointslices -l kubernetes.io/service-name={name}"
    )
    return Answer(False, "EndpointsNotUpdated", message)


def _conditions(entry: Manifest) -> dict[str, Manifest]:
    return {condition["type"]: condition for condition in entry.get("conditions") or ()}


def _accepts(entry: Manifest, kinds: tuple[str, ...]) -> bool:
    said = _conditions(entry)
    return all(said.get(kind, {}).get("status") == "True" for kind in kinds)


def _speaks_of(entry: Manifest, generation: int, kinds: tuple[str, ...]) -> bool:
    said = _conditions(entry)
    return all(int(said[kind].get("observedGeneration", 0)) >= generation for kind in kinds)


def _unstamped(entry: Manifest) -> bool:
    return all(not condition.get("observedGeneration") for condition in entry.get("conditions") or ())


def _refusal(parent: Manifest, namespace: str, said: list[Manifest]) -> Answer:
    where = f"{parent.get('namespace', namespace)}/{parent['name']}"
    for entry in said:
        for kind in ("Accepted", "ResolvedRefs"):
            condition = _conditions(entry).get(kind)
            if condition and condition["status"] == "False":
                detail = (condition.get("message") or "").strip().rstrip(".")
                message = (
                    f"Gateway {where} says {kind}=False: {detail or condition.get('reason', 'no reason')}."
                )
                return Answer(False, str(condition.get("reason") or "NotAccepted"), message)
    if said:
        return Answer(False, "NotAcknowledged", f"Gateway {where} has yet to carry out the latest route.")
    message = (
        f"Gateway {where} says nothing about the route; check that it exists, that its class has a controller and "
        f"that a listener admits this namespace: kubectl -n {parent.get('namespace', namespace)} "
        f"describe gateway {parent['name']}"
    )
    return Answer(False, "NotAcknowledged", message)
