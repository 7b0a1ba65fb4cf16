"""A stored model: `predictor.model`, or the older `predictor.<framework>`."""

from __future__ import annotations

from typing import Any

from servingctl.conversion.container import environment
from servingctl.conversion.fields import NOTED_CONTAINER, REFUSED_CONTAINER, REFUSED_MODEL
from servingctl.conversion.fit import ABSENT, SERVICE, fit, schema_of
from servingctl.conversion.ledger import Ledger
from servingctl.conversion.pod import image_pull_policy, security, volume_mounts
from servingctl.conversion.tables import as_map, note_listed, refuse_listed
from servingctl.paths import Path

TARGET: Path = (*SERVICE, "spec", "predictor", "model")
FORMATS: tuple[str, ...] = tuple(schema_of("predictor", "model", "modelFormat", "name")["enum"])
RUNTIMES: tuple[str, ...] = tuple(schema_of("predictor", "model", "runtime")["enum"])
V2_FORMATS = ("sklearn", "xgboost", "lightgbm")
"""Formats that KServe serves by the V1 protocol unless told otherwise, and MLServer by V2 only."""
V2 = (
    "MLServer answers the V2 protocol (/v2/models/NAME/infer), where KServe's own server answers V1 unless protocolVersion "
    "is v2: see whether the clients ask so"
)
STORAGE = (
    "only pvc:// is possible: there is no downloader; copy the model onto a PersistentVolumeClaim, or serve a container "
    "that fetches it by itself"
)


def model(value: Any, path: Path, framework: str | None, predictor: dict[str, Any], ledger: Ledger) -> Any:
    """Return our `predictor.model`; `framework` is the name of the older field. What concerns the pod goes to `predictor`."""
    if framework is not None and framework not in FORMATS:
        ledger.refuse(path, _no_runtime(framework))
        return {}
    left = refuse_listed(as_map(value, path, ledger), path, {**REFUSED_CONTAINER, **REFUSED_MODEL}, ledger)
    left = note_listed(left, path, NOTED_CONTAINER, ledger)
    image_pull_policy(left.pop("imagePullPolicy", None), "", (*path, "imagePullPolicy"), ledger)
    security(left.pop("securityContext", None), (*path, "securityContext"), predictor, ledger)
    volume_mounts(left.pop("volumeMounts", None), (*path, "volumeMounts"), ledger)
    if "name" in left:
        del left["name"]
        ledger.imply((*path, "name"), "the container has a name of ours")
    made: dict[str, Any] = {}
    protocol, runtime = left.pop("protocolVersion", None), left.pop("runtime", None)
    stated = left.get("modelFormat")
    name = framework or (stated.get("name") if isinstance(stated, dict) else None)
    _format(left.pop("modelFormat", None), name, framework, path, made, ledger)
    _storage(left.pop("storageUri", None), path, made, ledger)
    _runtime(runtime, (*path, "runtime"), made, ledger)
    _protocol(protocol, runtime, name, framework, path, ledger)
    if "env" in left:
        environment(left.pop("env"), (*path, "env"), TARGET, made, ledger)
    if "resources" in left:
        schema = schema_of("predictor", "model", "resources")
        found = fit(left.pop("resources"), schema, (*path, "resources"), (*TARGET, "resources"), ledger)
        if found is not ABSENT:
            made["resources"] = found
    return made


def _format(
    stated: Any, name: Any, framework: str | None, path: Path, made: dict[str, Any], ledger: Ledger
) -> None:
    if framework is not None:
        # The name of the field says it: there is no leaf of its own.
        made["modelFormat"] = {"name": framework}
        return
    at = (*path, "modelFormat")
    left = as_map(stated, at, ledger) if stated is not None else {}
    if "version" in left:
        ledger.note((*at, "version"), "the built-in runtime has one version, which each revision records")
    if "name" not in left:
        return
    if name in FORMATS:
        made["modelFormat"] = {"name": name}
        ledger.carry((*at, "name"), (*TARGET, "modelFormat", "name"))
    else:
        ledger.refuse((*at, "name"), _no_runtime(name))


def _no_runtime(name: Any) -> str:
    return (
        f"no built-in runtime serves {name} (there are: {', '.join(FORMATS)}); serve its image as predictor.container, "
        "with the arguments that KServe's ServingRuntime gives it"
    )


def _storage(stated: Any, path: Path, made: dict[str, Any], ledger: Ledger) -> None:
    at = (*path, "storageUri")
    if stated is None:
        return
    if not str(stated).startswith("pvc://"):
        ledger.refuse(at, STORAGE)
        return
    found = fit(stated, schema_of("predictor", "model", "storageUri"), at, (*TARGET, "storageUri"), ledger)
    if found is not ABSENT:
        made["storageUri"] = found


def _runtime(stated: Any, at: Path, made: dict[str, Any], ledger: Ledger) -> None:
    if stated is None:
        return
    ours = str(stated).removeprefix("kserve-")
    if ours in RUNTIMES:
        made["runtime"] = ours
        ledger.carry(at, (*TARGET, "runtime"))
        if ours != stated:
            ledger.rename(at)
    elif stated == "kserve-sklearnserver":
        ledger.note(at, "MLServer serves the same format, with the V2 protocol")
    else:
        ledger.refuse(
            at,
            f"{stated} is a ServingRuntime of KServe's; ours are built in ({', '.join(RUNTIMES)}): leave it out, or serve "
            "the runtime's image as predictor.container",
        )


def _protocol(
    stated: Any, runtime: Any, name: Any, framework: str | None, path: Path, ledger: Ledger
) -> None:
    at = (*path, "protocolVersion")
    if stated == "v2":
        ledger.imply(at, "the built-in runtime answers the V2 protocol")
    elif stated is not None:
        ledger.refuse(at, f"{stated}: the built-in runtime answers the V2 protocol over HTTP, and no other")
    elif name in FORMATS and name in V2_FORMATS and str(runtime).removeprefix("kserve-") not in RUNTIMES:
        where = (*path, "storageUri") if framework else (*path, "modelFormat", "name")
        ledger.remark(where, V2)
