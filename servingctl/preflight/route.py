"""The Gateways that a service's route attaches to: judged from what was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servingctl.preflight.finding import Finding, Unasked, failed, ok, unknown
from servingctl.preflight.installation import condition, gateway_class

Manifest = Mapping[str, Any]
Gateways = Mapping[tuple[str, str], Manifest | Unasked | None]
Classes = Mapping[str, Manifest | Unasked | None]


def parents(service: Manifest) -> list[tuple[str, str]]:
    """Return namespace and name of each Gateway that the service names."""
    own = service["metadata"]["namespace"]
    refs = ((service["spec"].get("route") or {}).get("parentRefs")) or ()
    return [(ref.get("namespace") or own, ref["name"]) for ref in refs]


def findings(service: Manifest, gateways: Gateways, classes: Classes) -> list[Finding]:
    """Judge each Gateway: there, of an accepted class, accepted itself, and programmed."""
    found = []
    for key in dict.fromkeys(parents(service)):
        check, gateway = f"Gateway {'/'.join(key)}", gateways[key]
        if isinstance(gateway, Unasked):
            found.append(unknown(check, gateway))
        elif gateway is None:
            found.append(
                failed(
                    check,
                    "it does not exist",
                    "name one that does in spec.route.parentRefs: kubectl get gateways -A",
                )
            )
        else:
            found.append(_judged(check, gateway, classes))
    return found


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
