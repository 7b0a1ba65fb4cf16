"""One InferenceService of KServe's to ours. Pure: manifest in, manifests and an account of every field out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from serving_api.names import API_VERSION, SERVICE_KIND
from servingctl.conversion import container as containers
from servingctl.conversion import model as models
from servingctl.conversion import pod as pods
from servingctl.conversion.fields import FRAMEWORKS, REFUSED_PREDICTOR, REFUSED_SPEC
from servingctl.conversion.fit import SERVICE
from servingctl.conversion.ledger import NOTHING, Entry, Ledger
from servingctl.conversion.metadata import Steering, metadata, of_the_component, remark_blindness, steering
from servingctl.conversion.scaling import FIELDS as SCALING
from servingctl.conversion.scaling import Objective, scaling, timeout
from servingctl.conversion.tables import as_list, as_map, refuse_listed
from servingctl.conversion.traffic import Route, rollout, route
from servingctl.linting.service import problems
from servingctl.paths import Path, leaves, spelled

KSERVE_API_VERSION = "serving.kserve.io/v1beta1"
PREDICTOR: Path = ("spec", "predictor")
Verdict = Literal["Lossless", "LosslessWithNotes", "Refused"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the manifest does not say and its user does."""

    objective: Objective | None = None
    route: Route | None = None
    drop: frozenset[str] = frozenset()
    """Paths of the input that the user gives up."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was made of one manifest."""

    name: str
    namespace: str
    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    """What is wrong with the result as a whole; with any of them nothing is made."""
    manifests: tuple[dict[str, Any], ...]
    """Ours, and a HorizontalPodAutoscaler where KServe would have had one; none if anything is refused."""
    advice: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Refused if any field is; with notes if any field needs one."""
        if self.problems or any(entry.fate == "Refused" for entry in self.entries):
            return "Refused"
        noted = any(
            entry.fate == "Noted" or (entry.fate == "Carried" and entry.words) for entry in self.entries
        )
        return "LosslessWithNotes" if noted else "Lossless"


def is_kserve(manifest: Any) -> bool:
    """Whether a manifest is one that can be converted."""
    return (
        isinstance(manifest, dict)
        and manifest.get("apiVersion") == KSERVE_API_VERSION
        and manifest.get("kind") == SERVICE_KIND
    )


def convert(manifest: dict[str, Any], options: Options | None = None) -> Conversion:
    """Convert one InferenceService of KServe's v1beta1; see `is_kserve`."""
    options = options or Options()
    given_up = [path for path in leaves(manifest) if _is_dropped(path, options.drop)]
    ledger = Ledger(manifest)
    for path in given_up:
        ledger.note(path, "given up by --drop")
    steered = steering(manifest)
    predictor: dict[str, Any] = {}
    ours: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": SERVICE_KIND,
        "metadata": {},
        "spec": {"predictor": predictor},
    }
    scaled = _fill(_without(manifest, given_up), ours, steered, options, ledger)
    autoscaler = None if scaled is None else _hpa(ours["metadata"], scaled)
    made = {ours["kind"]: ours} | ({} if autoscaler is None else {"HorizontalPodAutoscaler": autoscaler})
    ledger.verify(manifest, made)
    wrong = []
    for problem in problems(ours):
        if not ledger.overrule((*SERVICE, *problem.path), f"our {spelled(problem.path)}: {problem.message}"):
            wrong.append(f"{spelled(problem.path)}: {problem.message}")
    entries = tuple(ledger.close())
    refused = bool(wrong) or any(entry.fate == "Refused" for entry in entries)
    stated = manifest.get("metadata")
    described = stated if isinstance(stated, dict) else {}
    return Conversion(
        name=str(described.get("name", "")),
        namespace=str(described.get("namespace") or ""),
        entries=entries,
        problems=tuple(wrong) if not any(entry.fate == "Refused" for entry in entries) else (),
        manifests=() if refused else tuple(made.values()),
        advice=() if refused else tuple(_advice(ours, steered, autoscaler, options)),
    )


def _fill(
    manifest: dict[str, Any], ours: dict[str, Any], steered: Steering, options: Options, ledger: Ledger
) -> dict[str, Any] | None:
    ledger.carry(("kind",), (*SERVICE, "kind"))
    ledger.carry(("apiVersion",), (*SERVICE, "apiVersion"))
    ledger.imply(("status",), "it was observed, and is no wish")
    predictor = ours["spec"]["predictor"]
    metadata(manifest.get("metadata"), ours["metadata"], predictor, steered, ledger)
    spec = refuse_listed(as_map(manifest.get("spec"), ("spec",), ledger), ("spec",), REFUSED_SPEC, ledger)
    stated = as_map(spec.get("predictor", {}), PREDICTOR, ledger)
    left = refuse_listed(stated, PREDICTOR, REFUSED_PREDICTOR, ledger)
    _what_runs(left, predictor, ledger)
    pods.pod({key: left[key] for key in pods.POD_FIELDS if key in left}, PREDICTOR, predictor, ledger)
    if "timeout" in left:
        timeout(left["timeout"], (*PREDICTOR, "timeout"), predictor, ledger)
    for field in ("labels", "annotations"):
        if field in left:
            of_the_component(left[field], (*PREDICTOR, field), field, predictor, steered, ledger)
    if options.route is not None and not steered.is_local:
        ours["spec"]["route"] = route(options.route, ours["metadata"])
    rollout(left, PREDICTOR, steered, ours["spec"], ledger)
    bounds = {key: left[key] for key in SCALING if key in left}
    scaled = scaling(bounds, PREDICTOR, steered, options.objective, ours["spec"], ledger)
    if "objective" in ours["spec"]:
        remark_blindness(manifest, ledger)
    return scaled


def _what_runs(left: dict[str, Any], predictor: dict[str, Any], ledger: Ledger) -> None:
    own = left.get("containers")
    if own == []:
        ledger.imply((*PREDICTOR, "containers"), NOTHING)
    ways = [key for key in ("model", *FRAMEWORKS) if key in left] + (["containers"] if own else [])
    if len(ways) > 1:
        for way in ways:
            ledger.refuse((*PREDICTOR, way), f"a predictor runs exactly one of {', '.join(ways)}")
        return
    for way in ways:
        if way != "containers":
            framework = None if way == "model" else way
            predictor["model"] = models.model(left[way], (*PREDICTOR, way), framework, predictor, ledger)
            if left.get("volumes"):
                ledger.refuse((*PREDICTOR, "volumes"), "a built-in runtime mounts the model and nothing else")
            continue
        at = (*PREDICTOR, "containers")
        listed = as_list(own, at, ledger)
        for index in range(1, len(listed)):
            ledger.refuse((*at, index), "a pod has one container; run the other as a service of its own")
        predictor["container"] = (
            containers.container(listed[0], (*at, 0), predictor, ledger) if listed else {}
        )
        mounts = listed[0].get("volumeMounts") if listed and isinstance(listed[0], dict) else None
        pods.volumes(
            left.get("volumes"), (*PREDICTOR, "volumes"), mounts, (*at, 0, "volumeMounts"), predictor, ledger
        )
    if left.get("name") is not None:
        ledger.imply((*PREDICTOR, "name"), "objects are named after the service and its revision")


def _hpa(described: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    name = described.get("name", "")
    place = {key: described[key] for key in ("name", "namespace") if key in described}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": place,
        "spec": spec | {"scaleTargetRef": spec["scaleTargetRef"] | {"name": name}},
    }


def _advice(
    ours: dict[str, Any], steered: Steering, autoscaler: dict[str, Any] | None, options: Options
) -> Iterable[str]:
    name = ours["metadata"].get("name")
    yield f"inside the cluster it answers at http://{name}, where KServe's Service is http://{name}-predictor: tell the callers"
    taken = [] if steered.mode == "Standard" else ["a Service of type ExternalName in Knative mode"]
    if "route" in ours["spec"] and steered.mode != "Knative":
        taken.append("an HTTPRoute in Standard mode with the Gateway API")
    if taken:
        yield f"KServe has {' and '.join(taken)} by the name {name}: beside KServe's service give this one another name"
    if "route" not in ours["spec"] and not steered.is_local:
        yield "KServe would also route to it by a Gateway of its own configuration; --gateway and --hostname make a route here"
    if "container" in ours["spec"]["predictor"] and "runAsUser" not in ours["spec"]["predictor"]:
        yield "the container runs as user 1000 with a read-only root file system; predictor.runAsUser names another user, and /tmp is writable"
    if options.objective is None and steered.autoscaler in ("hpa", "keda"):
        scaler = (
            "the HorizontalPodAutoscaler scales it as KServe's did"
            if autoscaler
            else "the number of replicas is fixed"
        )
        yield f"{scaler}; with --objective-milliseconds our autoscaler holds a latency objective"


def _is_dropped(path: Path, drop: frozenset[str]) -> bool:
    return any(spelled(path[:length]) in drop for length in range(1, len(path) + 1))


def _without(manifest: dict[str, Any], dropped: Iterable[Path]) -> dict[str, Any]:
    """Return a copy without the leaves; list entries and maps that are empty for it are gone too."""
    gone = set(dropped)

    def copy(value: Any, path: Path) -> Any:
        if path in gone:
            return None
        if isinstance(value, dict) and value:
            kept = {key: copy(item, (*path, str(key))) for key, item in value.items()}
            kept = {key: item for key, item in kept.items() if item is not None or value[key] is None}
            return kept or None
        if isinstance(value, list) and value:
            # Entries keep their index: the account names them by it.
            kept_items = [copy(item, (*path, index)) for index, item in enumerate(value)]
            return kept_items if any(item is not None for item in kept_items) else None
        return value

    return copy(manifest, ()) or {}
