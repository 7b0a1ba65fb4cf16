"""The Gateways that a service's route attaches to: judged from what was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving_api.configuration import RouteConfiguration
from serving_operator.routes import with_defaults
from servingctl.preflight.finding import Finding, Unasked, failed, ok, unknown
from servingctl.preflight.installation import condition, gateway_class

Manifest = Mapping[str, Any]
Gateways = Mapping[tuple[str, str], Manifest | Unasked | None]
Classes = Mapping[str, Manifest | Unasked | None]


@dataclass(frozen=True, slots=True)
class Parents:
    """The Gateways of a route, by namespace and name, and who names them."""

    keys: tuple[tuple[str, str], ...]
    source: str = ""
    """What the administrator's configuration is read from; empty if the service names its Gateways itself."""


def parents(
    service: Manifest, configured: RouteConfiguration, source: str, is_known: bool
) -> Parents | Finding:
    """Return the Gateways that the service names, else those of the configuration; none if it asks for no route.

    Where neither names one, or nobody knows what the configuration is, this is the finding.
    """
    own = service["metadata"]["namespace"]
    asked = service["spec"].get("route")
    if asked is None:
        return Parents(())
    refs = with_defaults(asked, service["metadata"], configured).get("parentRefs") or ()
    if not refs and not is_known:
        why = f"the service names none, and the configuration is not known ({source})"
        return unknown("Gateway", Unasked(why), "name one in spec.route.parentRefs")
    if not refs:
        words = f"spec.route.parentRefs names none, and the configuration has no route.parentRefs ({source})"
        return failed("Gateway", words, "set one of them: kubectl get gateways -A")
    keys = dict.fromkeys((ref.get("namespace") or own, ref["name"]) for ref in refs)
    return Parents(tuple(keys), "" if asked.get("parentRefs") else source)


def findings(named: Parents, gateways: Gateways, classes: Classes) -> list[Finding]:
    """Judge each Gateway: there, of an accepted class, accepted itself, and programmed."""
    found = []
    for key in named.keys:
        check, gateway = f"Gateway {'/'.join(key)}", gateways[key]
        if isinstance(gateway, Unasked):
            found.append(unknown(check, gateway))
        elif gateway is None:
            found.append(_missing(check, named.source))
        else:
            found.append(_judged(check, gateway, classes))
    return found


def _missing(check: str, source: str) -> Finding:
    if not source:
        remedy = "name one that does in spec.route.parentRefs: kubectl get gateways -A"
        return failed(check, "it does not exist", remedy)
    return failed(
        check,
        f"it does not exist; the service names none, and route.parentRefs of {source} names this one",
        "name one that does there, or in spec.route.parentRefs: kubectl get gateways -A",
    )


def _judged(check: str, gateway: Manifest, classes: Classes) -> Finding:
    name = gateway["spec"]["gatewayClassName"]
    of = classes.get(name)
    if of is None:
        return failed(
            check,
            f"its class {name} does not exist",
            "install the implementation, or name another class in the Gateway",
        )
    if not isinstance(of, Unasked):
        judged = gateway_class(of)
        if judged.level == "Failed":
            return failed(check, f"its class {name}: {judged.message}", judged.remedy)
    for wanted in ("Accepted", "Programmed"):
        entry = condition(gateway, wanted)
        if entry is not None and entry["status"] != "True":
            return failed(
                check,
                f"it is not {wanted} ({entry.get('reason')}): {entry.get('message')}",
                "correct the Gateway",
            )
    return ok(check, f"of class {name}")
