"""A container of the user's own: `predictor.containers[0]`."""

from __future__ import annotations

from typing import Any

from servingctl.conversion.fields import NOTED_CONTAINER, REFUSED_CONTAINER
from servingctl.conversion.fit import ABSENT, SERVICE, fit, schema_of
from servingctl.conversion.ledger import NOTHING, Ledger
from servingctl.conversion.pod import image_pull_policy, security
from servingctl.conversion.tables import as_list, as_map, note_listed, refuse_listed
from servingctl.paths import Path

TARGET: Path = (*SERVICE, "spec", "predictor", "container")
PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_SAME_NAME = ("image", "command", "args", "resources")


def container(value: Any, path: Path, predictor: dict[str, Any], ledger: Ledger) -> dict[str, Any]:
    """Return our `predictor.container`. What concerns the pod goes to `predictor`."""
    left = refuse_listed(as_map(value, path, ledger), path, REFUSED_CONTAINER, ledger)
    left = note_listed(left, path, NOTED_CONTAINER, ledger)
    image = str(left.get("image", ""))
    image_pull_policy(left.pop("imagePullPolicy", None), image, (*path, "imagePullPolicy"), ledger)
    security(left.pop("securityContext", None), (*path, "securityContext"), predictor, ledger)
    if "name" in left:
        ledger.imply((*path, "name"), "the container has a name of ours")
    made: dict[str, Any] = {}
    for name in _SAME_NAME:
        if name in left:
            schema = schema_of("predictor", "container", name)
            found = fit(left[name], schema, (*path, name), (*TARGET, name), ledger)
            if found is not ABSENT:
                made[name] = found
    if "env" in left:
        environment(left["env"], (*path, "env"), TARGET, made, ledger)
    renamed = _ports(left.get("ports"), (*path, "ports"), made, ledger)
    for name in PROBES:
        if name in left:
            found = _probe(left[name], (*path, name), (*TARGET, name), renamed, ledger)
            if found is not ABSENT:
                made[name] = found
    return made


def environment(value: Any, path: Path, target: Path, made: dict[str, Any], ledger: Ledger) -> None:
    """Carry environment variables over, but for those by which KServe's downloader is steered."""
    variables = as_list(value, path, ledger)
    if not variables:
        ledger.imply(path, NOTHING)
        return
    schema = schema_of("predictor", "container", "env")
    entries: list[Any] = []
    for index, variable in enumerate(variables):
        at = (*path, index)
        left = dict(as_map(variable, at, ledger))
        if left.get("name") == "STORAGE_URI":
            ledger.refuse(
                at,
                "KServe downloads what STORAGE_URI names to /mnt/models; mount a claim with predictor.persistentVolumeClaims "
                "and give the server its path",
            )
            continue
        source = left.get("valueFrom")
        reference = source.get("fieldRef") if isinstance(source, dict) else None
        if isinstance(source, dict) and isinstance(reference, dict) and reference.get("apiVersion") == "v1":
            ledger.imply((*at, "valueFrom", "fieldRef", "apiVersion"), "it is v1 always")
            rest = {key: item for key, item in reference.items() if key != "apiVersion"}
            left["valueFrom"] = source | {"fieldRef": rest}
        found = fit(left, schema["items"], at, (*target, "env", len(entries)), ledger)
        if found is not ABSENT:
            entries.append(found)
    if entries:
        made["env"] = entries


def _ports(value: Any, path: Path, made: dict[str, Any], ledger: Ledger) -> dict[str, str]:
    """Carry ports over; returns the names that ports had, with those that they have now."""
    if value is None:
        return {}
    ports = as_list(value, path, ledger)
    renamed: dict[str, str] = {}
    entries: list[Any] = []
    schema = schema_of("predictor", "container", "ports")["items"]
    for index, stated in enumerate(ports):
        at = (*path, index)
        left = dict(as_map(stated, at, ledger))
        if left.get("protocol", "TCP") == "TCP" and "protocol" in left:
            ledger.imply((*at, "protocol"), "ports are TCP")
            del left["protocol"]
        name = left.pop("name", None)
        ours = "http" if index == 0 else "metrics"
        if index > 1 or (index == 1 and name != "metrics"):
            ledger.withdraw(
                at, "a container has one port for requests (the first one), and one named metrics"
            )
            continue
        if name is not None and any(word in str(name) for word in ("h2c", "grpc")):
            ledger.withdraw(at, "requests are HTTP/1.1: gRPC and h2c are not routed")
            continue
        found = fit(left, schema, at, (*TARGET, "ports", len(entries)), ledger)
        if found is ABSENT:
            continue
        target = (*TARGET, "ports", len(entries), "name")
        if name == ours:
            ledger.carry((*at, "name"), target)
        elif name is not None:
            ledger.imply(
                (*at, "name"), f"the port is named {ours} here; probes that named it are changed with it"
            )
            renamed[str(name)] = ours
        entries.append({"name": ours} | found)
    if entries:
        made["ports"] = entries
    return renamed


def _probe(value: Any, path: Path, target: Path, renamed: dict[str, str], ledger: Ledger) -> Any:
    left = dict(as_map(value, path, ledger))
    if left.get("successThreshold") == 1:
        ledger.imply((*path, "successThreshold"), "it is 1 always")
        del left["successThreshold"]
    asks = left.get("httpGet")
    if isinstance(asks, dict) and asks.get("scheme") == "HTTP":
        ledger.imply((*path, "httpGet", "scheme"), "probes ask by HTTP")
        left["httpGet"] = {key: item for key, item in asks.items() if key != "scheme"}
    if "grpc" in left:
        ledger.refuse((*path, "grpc"), "a probe asks by httpGet, tcpSocket or exec")
        left.pop("grpc")
    asked = [way for way in ("httpGet", "tcpSocket") if isinstance(left.get(way), dict)]
    was = {way: str(left[way].get("port")) for way in asked}
    left |= {way: left[way] | {"port": renamed[was[way]]} for way in asked if was[way] in renamed}
    found = fit(left, schema_of("predictor", "container", str(path[-1])), path, target, ledger)
    for way in asked:
        if was[way] in renamed:
            ledger.rename((*path, way, "port"))
    return found
