"""CRDs, the programs' Leases, and the Gateway API: judged from what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from serving_api.crd import definitions as generated
from serving_api.names import AUTOSCALER, OPERATOR, VERSION
from servingctl.preflight.finding import Finding, Unasked, failed, ok, unknown, warning
from servingctl.tables import age

Manifest = Mapping[str, Any]
LEASE_SECONDS = 60
APPLY = "kubectl apply --server-side -k"
GATEWAY_API = "install its CRDs and an implementation: https://gateway-api.sigs.k8s.io/guides"


def definitions() -> dict[str, dict[str, Any]]:
    """Return the CRDs that this version generates, by name. The operator waits for those of runtimes too, whatever it watches."""
    return {crd["metadata"]["name"]: crd for crd in generated().values()}


def crds(live: Mapping[str, Manifest | Unasked | None], served: Mapping[str, bool]) -> list[Finding]:
    """Judge the CRDs: there, served, and those of this version."""
    found = []
    for name, wanted in definitions().items():
        check, crd = f"CRD {name}", live[name]
        if not served[name]:
            found.append(failed(check, "it is not installed, or not established", f"{APPLY} crds"))
        elif isinstance(crd, Unasked) or crd is None:
            found.append(ok(check, "it is served"))
        elif _schema(crd) != _schema(wanted):
            found.append(
                warning(
                    check,
                    "it is of another version than this program",
                    f"{APPLY} crds, or use the servingctl of that version",
                )
            )
        else:
            found.append(ok(check, "it is served, and of this version"))
    return found


def leases(live: Mapping[str, Manifest | Unasked | None], now: datetime, namespace: str) -> list[Finding]:
    """Judge whether operator and autoscaler are at work, by their Leases."""
    found = []
    for name, what in ((OPERATOR, "nothing is rolled out"), (AUTOSCALER, "nothing is scaled")):
        lease, check = live[name], name
        look = f"kubectl -n {namespace} logs deployment/{name}"
        if isinstance(lease, Unasked):
            found.append(unknown(check, lease))
        elif lease is None:
            words = f"it has never run with its Lease in namespace {namespace}, so {what}"
            remedy = (
                "name its namespace by --system-namespace; or apply your own kustomization or chart (docs/install.md), "
                "if it is installed nowhere"
            )
            found.append(failed(check, words, remedy))
        else:
            spec = lease.get("spec") or {}
            renewed, holder = str(spec.get("renewTime", "")), spec.get("holderIdentity")
            seconds = (now - _moment(renewed, now)).total_seconds()
            if not holder or seconds > LEASE_SECONDS:
                found.append(
                    failed(
                        check,
                        f"its Lease was renewed {age(renewed, now)} ago: it does not run, so {what}",
                        look,
                    )
                )
            else:
                found.append(ok(check, f"{holder} is at work"))
    return found


def gateway_api(served: bool, classes: Sequence[Manifest] | Unasked) -> list[Finding]:
    """Judge the Gateway API and its classes: one at least has to be accepted by a controller."""
    check = "Gateway API"
    if not served:
        words = "it is not installed: services are reached inside the cluster only, and rollouts are blue/green by label"
        return [warning(check, words, GATEWAY_API)]
    if isinstance(classes, Unasked):
        return [ok(check, "it is served"), unknown("GatewayClass", classes)]
    if not classes:
        return [
            ok(check, "it is served"),
            failed("GatewayClass", "there is none: no controller carries out any route", GATEWAY_API),
        ]
    judged = [gateway_class(found) for found in classes]
    if any(finding.level == "OK" for finding in judged):
        # Routes can be carried out by way of that one; what a service's own Gateway needs is judged with the service.
        judged = [
            replace(finding, level="Warning") if finding.level == "Failed" else finding for finding in judged
        ]
    return [ok(check, "it is served"), *judged]


def gateway_class(found: Manifest) -> Finding:
    """Judge one GatewayClass by its condition Accepted."""
    name = found["metadata"]["name"]
    check, controller = f"GatewayClass {name}", (found.get("spec") or {}).get("controllerName")
    accepted = condition(found, "Accepted")
    if accepted is None or accepted["status"] == "Unknown":
        remedy = f"start the controller {controller}, or delete the class"
        return failed(check, "no controller has taken notice of it", remedy)
    if accepted["status"] != "True":
        words = f"its controller does not accept it ({accepted.get('reason')}): {accepted.get('message')}"
        return failed(check, words, f"see what the controller {controller} asks for")
    return ok(check, f"accepted by {controller}")


def condition(found: Manifest, name: str) -> Manifest | None:
    """Return a condition of an object."""
    entries = (found.get("status") or {}).get("conditions") or ()
    return next((entry for entry in entries if entry.get("type") == name), None)


def _schema(crd: Manifest) -> Any:
    versions = {entry["name"]: entry for entry in crd["spec"]["versions"]}
    found = versions.get(VERSION) or {}
    return (found.get("schema") or {}).get("openAPIV3Schema")


def _moment(text: str, now: datetime) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return now.replace(year=1970)
