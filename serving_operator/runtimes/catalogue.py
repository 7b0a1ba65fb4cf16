"""The runtimes that a service may use, and which of them it gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from serving_api.names import CLUSTER_RUNTIME_KIND, RUNTIME_KIND
from serving_api.predictor import ModelFormat, ModelSource
from serving_api.runtime import ServingRuntime
from serving_operator.runtimes.built_in import MLSERVER

Manifest = dict[str, Any]

BUILT_IN_KIND = "BuiltIn"


class Unresolved(Exception):  # noqa: N818  (no fault of the program: a person is needed)
    """No runtime serves the model, or several might. `reason` is one word, the text names the remedy."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Catalogue:
    """ServingRuntimes of the service's namespace and all ClusterServingRuntimes, as read."""

    namespaced: tuple[Manifest, ...] = ()
    clusterwide: tuple[Manifest, ...] = ()


def choose(model: ModelSource, catalogue: Catalogue) -> ServingRuntime:
    """Return the runtime that serves the model: the one it names, else the one that selects itself for its format.

    The namespace's go before the cluster's, and both before the built-in one. Raises Unresolved.
    """
    if model.runtime is not None:
        return _named(model.runtime, model.model_format, catalogue)
    wanted = _words(model.model_format)
    for scope in (catalogue.namespaced, catalogue.clusterwide, (MLSERVER,)):
        found = [(priority, raw) for raw in scope if (priority := _priority(raw, model.model_format))]
        highest = max((priority for priority, _ in found), default=0)
        first = sorted(raw["metadata"]["name"] for priority, raw in found if priority == highest)
        if len(first) > 1:
            raise Unresolved(
                "SeveralRuntimes",
                f"{' and '.join(first)} select themselves for {wanted} with priority {highest}: name one in "
                "predictor.model.runtime, or give one a higher priority.",
            )
        if first:
            return _read(next(raw for _, raw in found if raw["metadata"]["name"] == first[0]))
    raise Unresolved(
        "NoSupportingRuntime",
        f"No runtime selects itself for {wanted}: apply one (kubectl apply -k manifests/runtimes; where the operator is "
        "told its namespaces, kubectl apply -k manifests/runtimes-namespaced), or name one in predictor.model.runtime.",
    )


def _named(name: str, wanted: ModelFormat, catalogue: Catalogue) -> ServingRuntime:
    for raw in (*catalogue.namespaced, *catalogue.clusterwide, MLSERVER):
        if raw["metadata"]["name"] != name:
            continue
        what = f"{raw['kind']} {name}"
        if raw["spec"].get("disabled"):
            raise Unresolved(
                "RuntimeDisabled", f"{what} is disabled: name another in predictor.model.runtime."
            )
        if not any(_serves(entry, wanted) for entry in raw["spec"].get("supportedModelFormats") or ()):
            served = ", ".join(sorted({entry["name"] for entry in raw["spec"]["supportedModelFormats"]}))
            raise Unresolved(
                "RuntimeUnsupported",
                f"{what} does not serve {_words(wanted)}, only {served}: name another in predictor.model.runtime.",
            )
        return _read(raw)
    raise Unresolved(
        "RuntimeNotFound",
        f"There is neither a {RUNTIME_KIND} nor a {CLUSTER_RUNTIME_KIND} {name!r}: apply it, or name another in "
        f"predictor.model.runtime (kubectl get {RUNTIME_KIND.lower()}s,{CLUSTER_RUNTIME_KIND.lower()}s).",
    )


def _priority(raw: Manifest, wanted: ModelFormat) -> int:
    """Return the priority with which a runtime selects itself; 0 if it does not."""
    return max(_priorities(raw, wanted), default=0)


def _priorities(raw: Manifest, wanted: ModelFormat) -> Iterator[int]:
    if not raw["spec"].get("disabled"):
        for entry in raw["spec"].get("supportedModelFormats") or ():
            if entry.get("autoSelect") and _serves(entry, wanted):
                yield int(entry.get("priority", 1))


def _serves(entry: Manifest, wanted: ModelFormat) -> bool:
    same_version = not wanted.version or entry.get("version") in (None, wanted.version)
    return bool(entry["name"] == wanted.name and same_version)


def _words(wanted: ModelFormat) -> str:
    version = f" {wanted.version}" if wanted.version else ""
    return f"model format {wanted.name}{version}"


def _read(raw: Manifest) -> ServingRuntime:
    try:
        return ServingRuntime.parse(raw)
    except ValidationError as error:
        faults = "; ".join(f"spec.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        what = f"{raw['kind']} {raw['metadata']['name']}"
        raise Unresolved("RuntimeInvalid", f"{what} cannot be used; correct it: {faults}") from error
