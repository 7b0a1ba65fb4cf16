"""The route that a service gets: its own words, the administrator's defaults, and what is allowed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from serving_api.configuration import RouteConfiguration
from serving_operator.world import Manifest, ObjectId, World

NOT_ALLOWED = "RouteNotAllowed"
INCOMPLETE = "RouteIncomplete"
_PARENT_FIELDS = ("name", "sectionName", "port")


def resolved(world: World, configured: RouteConfiguration) -> World:
    """Return the world with the route that is to be written in place of the one that is asked for.

    What must not be written leaves the route as it is: a service that serves goes on, and one that has no route gets none.
    """
    spec = world.service.get("spec") or {}
    asked = spec.get("route")
    if asked is None:
        return world
    complete = with_defaults(asked, world.service["metadata"], configured)
    refused = lack(complete) or refusal(complete, world.key.namespace, configured)
    live = world.objects.get(ObjectId("HTTPRoute", world.key.name))
    route = complete if refused is None else _as_written(live) if live is not None else None
    if route == asked and refused is None:
        return world
    changed = {key: value for key, value in spec.items() if key != "route"} | (
        {"route": route} if route else {}
    )
    return replace(world, service=world.service | {"spec": changed}, route_refused=refused)


def with_defaults(asked: Manifest, metadata: Manifest, configured: RouteConfiguration) -> Manifest:
    """Return `spec.route` with the administrator's Gateways and host name where it names none."""
    route = dict(asked)
    if not route.get("parentRefs") and configured.parent_refs:
        route["parentRefs"] = [parent.wire() for parent in configured.parent_refs]
    if not route.get("hostnames") and configured.hostname_template is not None:
        name = configured.hostname_template.replace("{name}", metadata["name"])
        route["hostnames"] = [name.replace("{namespace}", metadata["namespace"])]
    return route


def lack(route: Manifest) -> tuple[str, str] | None:
    """Return what a route lacks, as a reason and a sentence."""
    for field, key in (("parentRefs", "parentRefs"), ("hostnames", "hostnameTemplate")):
        if not route.get(field):
            return INCOMPLETE, (
                f"spec.route.{field} is absent, and the administrator's configuration has no route.{key} to take its "
                f"place: set spec.route.{field}."
            )
    return None


def refusal(route: Manifest, namespace: str, configured: RouteConfiguration) -> tuple[str, str] | None:
    """Return why the administrator does not allow a complete route, as a reason and a sentence."""
    if not configured.allowed:
        return None
    entries = [entry for entry in configured.allowed if {namespace, "*"} & set(entry.namespaces)]
    for parent in route["parentRefs"]:
        listed = [entry.parent_refs for entry in entries]
        if not any(
            gateways is None or any(_is_same(g.wire(), parent, namespace) for g in gateways)
            for gateways in listed
        ):
            text = f"Gateway {parent.get('namespace') or namespace}/{parent['name']} of spec.route.parentRefs"
            return NOT_ALLOWED, _sentence(
                text, namespace, [g.name for gateways in listed for g in gateways or ()]
            )
    for hostname in route["hostnames"]:
        suffixes = [entry.hostname_suffixes for entry in entries]
        if not any(ends is None or any(_ends(hostname, end) for end in ends) for ends in suffixes):
            text = f"Host name {hostname} of spec.route.hostnames"
            return NOT_ALLOWED, _sentence(text, namespace, [end for ends in suffixes for end in ends or ()])
    return None


def _sentence(what: str, namespace: str, allowed: list[str]) -> str:
    said = ", ".join(dict.fromkeys(allowed)) or "none"
    return (
        f"{what} is not allowed to services of namespace {namespace}; allowed: {said}. Change spec.route, or have the "
        "administrator change route.allowed."
    )


def _is_same(allowed: Manifest, asked: Manifest, namespace: str) -> bool:
    """Whether a Gateway is the one that is allowed, in as many fields as were stated of that."""
    if (allowed.get("namespace") or namespace) != (asked.get("namespace") or namespace):
        return False
    return all(allowed[field] == asked.get(field) for field in _PARENT_FIELDS if field in allowed)


def _ends(hostname: str, end: str) -> bool:
    return hostname.endswith(end) if end.startswith(".") else hostname == end


def _as_written(live: Manifest) -> Manifest:
    """Return the route of a spec that makes the route that is there."""
    spec: dict[str, Any] = live.get("spec") or {}
    parents = [
        {key: value for key, value in parent.items() if key not in ("group", "kind")}
        for parent in spec.get("parentRefs") or ()
    ]
    return {"parentRefs": parents, "hostnames": list(spec.get("hostnames") or ())}
