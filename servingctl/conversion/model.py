"""A stored model: `predictor.model`, or the older `predictor.<framework>`."""

from __future__ import annotations

import re
from typing import Any

from serving_api.predictor import STORAGE_FORMS
from serving_operator.runtimes.built_in import MLSERVER
from servingctl.conversion.container import environment
from servingctl.conversion.fields import NOTED_CONTAINER, REFUSED_CONTAINER, REFUSED_MODEL
from servingctl.conversion.fit import ABSENT, SERVICE, fit, schema_of
from servingctl.conversion.ledger import Ledger
from servingctl.conversion.pod import image_pull_policy, security, volume_mounts
from servingctl.conversion.tables import as_map, note_listed, refuse_listed
from servingctl.paths import Path

TARGET: Path = (*SERVICE, "spec", "predictor", "model")
FORMATS: tuple[str, ...] = tuple(entry["name"] for entry in MLSERVER["spec"]["supportedModelFormats"])
"""What the built-in runtime serves."""
V2_FORMATS = ("sklearn", "xgboost", "lightgbm")
"""Formats that KServe serves by the V1 protocol unless told otherwise, and MLServer by V2 only."""
V2 = (
    "MLServer answers the V2 protocol (/v2/models/NAME/infer), where KServe's own server answers V1 unless protocolVersion "
    "is v2: see whether the clients ask so"
)
MLSERVER_NAME = "mlserver"
OURS = {"kserve-mlserver": MLSERVER_NAME, "kserve-tritonserver": "triton"}
"""Runtimes of KServe's that manifests/runtimes has under another name."""
RUNTIME_NEEDED = (
    "it takes a runtime of our group that serves it: kubectl apply -k manifests/runtimes has MLServer, Triton, vLLM and ONNX "
    "Runtime; any other is a ServingRuntime that you write (docs/runtimes.md)"
)


def model(value: Any, path: Path, framework: str | None, predictor: dict[str, Any], ledger: Ledger) -> Any:
    """Return our `predictor.model`; `framework` is the name of the older field. What concerns the pod goes to `predictor`."""
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
    _storage(left.pop("storageUri", None), framework, path, made, ledger)
    _runtime(runtime, (*path, "runtime"), made, ledger)
    _protocol(protocol, runtime, name, framework, path, ledger)
    if "args" in left:
        schema = schema_of("predictor", "model", "args")
        found = fit(left.pop("args"), schema, (*path, "args"), (*TARGET, "args"), ledger)
        if found is not ABSENT:
            made["args"] = found
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
    if stated is None:
        return
    found = fit(stated, schema_of("predictor", "model", "modelFormat"), at, (*TARGET, "modelFormat"), ledger)
    if found is not ABSENT:
        made["modelFormat"] = found
    if name not in FORMATS:
        ledger.remark((*at, "name"), RUNTIME_NEEDED)


def _storage(stated: Any, framework: str | None, path: Path, made: dict[str, Any], ledger: Ledger) -> None:
    at = (*path, "storageUri")
    if stated is None:
        return
    scheme = str(stated).partition("://")[0]
    if scheme not in STORAGE_FORMS:
        known = "; ".join(form for _, form in STORAGE_FORMS.values())
        ledger.refuse(at, f"models do not come from {scheme}://; put it where one of these names it: {known}")
        return
    pattern, form = STORAGE_FORMS[scheme]
    if re.search(pattern, str(stated)) is None:
        ledger.refuse(at, f"our storageUri must be {form} (docs/storage.md)")
        return
    found = fit(stated, schema_of("predictor", "model", "storageUri"), at, (*TARGET, "storageUri"), ledger)
    if found is not ABSENT:
        made["storageUri"] = found
    if framework is not None and framework not in FORMATS:
        ledger.remark(at, RUNTIME_NEEDED)


def _runtime(stated: Any, at: Path, made: dict[str, Any], ledger: Ledger) -> None:
    if stated is None:
        return
    if stated == "kserve-sklearnserver":
        ledger.note(at, "MLServer serves the same format, with the V2 protocol")
        return
    ours = OURS.get(stated, stated) if isinstance(stated, str) else stated
    if str(ours).startswith("kserve-"):
        ledger.refuse(
            at,
            f"{ours} is a runtime of KServe's; leave it out for one of ours (kubectl apply -k manifests/runtimes), or write a "
            "ServingRuntime of our group with its image",
        )
        return
    found = fit(ours, schema_of("predictor", "model", "runtime"), at, (*TARGET, "runtime"), ledger)
    if found is ABSENT:
        return
    made["runtime"] = found
    if ours != stated:
        ledger.rename(at)
    if ours != MLSERVER_NAME:
        ledger.remark(
            at,
            f"a ServingRuntime or ClusterServingRuntime {ours} of our group has to be there: docs/runtimes.md",
        )


def _protocol(
    stated: Any, runtime: Any, name: Any, framework: str | None, path: Path, ledger: Ledger
) -> None:
    at = (*path, "protocolVersion")
    is_built_in = name in FORMATS and runtime in (
        None,
        MLSERVER_NAME,
        "kserve-mlserver",
        "kserve-sklearnserver",
    )
    if not is_built_in:
        if stated is not None:
            ledger.note(
                at, "the runtime decides which protocol is spoken: see that ours speaks what the clients ask"
            )
    elif stated == "v2":
        ledger.imply(at, "MLServer answers the V2 protocol")
    elif stated is not None:
        ledger.refuse(at, f"{stated}: MLServer answers the V2 protocol over HTTP, and no other")
    elif name in V2_FORMATS and runtime not in (MLSERVER_NAME, "kserve-mlserver"):
        where = (*path, "storageUri") if framework else (*path, "modelFormat", "name")
        ledger.remark(where, V2)
