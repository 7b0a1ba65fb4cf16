"""Metadata: labels and annotations of users go along, those by which KServe is steered are thought about one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servingctl.conversion.fields import FRAMEWORKS
from servingctl.conversion.fit import ABSENT, SERVICE, fit, schema_of
from servingctl.conversion.ledger import NOTHING, Ledger
from servingctl.conversion.tables import as_map
from servingctl.paths import Path

KSERVE = "serving.kserve.io/"
MODE = f"{KSERVE}deploymentMode"
AUTOSCALER_CLASS = f"{KSERVE}autoscalerClass"
VISIBILITY = "networking.kserve.io/visibility"
POD: Path = (*SERVICE, "spec", "predictor")

_BY_SERVER = "the API server sets it anew"
SET_BY_SERVER = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)
NOTED_ANNOTATIONS: Mapping[str, str] = {
    MODE: "KServe's way of deploying; ours is one",
    AUTOSCALER_CLASS: "it decides how the bounds are carried",
    "kubectl.kubernetes.io/last-applied-configuration": "kubectl's own copy of the object; it makes it anew",
    f"{KSERVE}enable-tag-routing": "each revision has a Service of its own, SERVICE-REVISION, to be asked by name",
    f"{KSERVE}storage-initializer-uid": "there is no downloader",
    f"{KSERVE}storageSecretName": "there is no downloader",
    f"{KSERVE}disable-localmodel": "there is no cache of models on nodes",
    f"{KSERVE}disable-auto-update": "running pods are changed by no upgrade: their template is recorded with the revision",
    f"{KSERVE}gpu-resource-types": "accelerators are any extended resource in resources.limits",
}
REFUSED_ANNOTATIONS: Mapping[str, str] = {
    f"{KSERVE}enable-metric-aggregation": "metrics are read from the server's own port; there is no aggregating sidecar",
    f"{KSERVE}gke-accelerator": "use predictor.nodeSelector with cloud.google.com/gke-accelerator",
    f"{KSERVE}nodegroup": "use predictor.nodeSelector",
    "storage.kserve.io/readonly": "the model is mounted read-only; a writable claim is in predictor.persistentVolumeClaims",
}
_SCALING = (
    f"{KSERVE}metric",
    f"{KSERVE}metrics",
    f"{KSERVE}targetUtilizationPercentage",
    f"{KSERVE}min-scale",
    f"{KSERVE}max-scale",
)
_METRICS_PLACE = frozenset(
    f"{domain}/{what}" for domain in ("prometheus.kserve.io", "prometheus.io") for what in ("port", "path")
)
_RUNTIME_SAYS = "it was the place of the former server's metrics; the runtime says where its own are"
SCRAPING = f"{KSERVE}enable-prometheus-scraping"
_KNATIVE = "Knative's autoscaler is not used; say predictor.minReplicas and maxReplicas, and an objective with --objective-milliseconds"


@dataclass(frozen=True, slots=True)
class Steering:
    """What labels and annotations say of how KServe deploys the service."""

    mode: str
    """Standard, Knative, or empty where only KServe's own configuration would tell."""
    autoscaler: str
    """Class of the autoscaler; hpa unless stated."""
    is_local: bool
    """Whether it is reached inside the cluster only."""
    has_runtime: bool
    """Whether a runtime serves it, and so says where its metrics are."""


def steering(manifest: Mapping[str, Any]) -> Steering:
    """Read what steers KServe."""
    metadata = _map_of(manifest, "metadata")
    annotations, labels = _map_of(metadata, "annotations"), _map_of(metadata, "labels")
    stated = str(annotations.get(MODE) or "")
    mode = {"RawDeployment": "Standard", "Serverless": "Knative"}.get(stated, stated)
    autoscaler = str(annotations.get(AUTOSCALER_CLASS) or "hpa")
    predictor = _map_of(_map_of(manifest, "spec"), "predictor")
    has_runtime = any(predictor.get(way) is not None for way in ("model", *FRAMEWORKS))
    return Steering(mode, autoscaler, labels.get(VISIBILITY) == "cluster-local", has_runtime)


def _map_of(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def metadata(
    value: Any, made: dict[str, Any], predictor: dict[str, Any], steered: Steering, ledger: Ledger
) -> None:
    """Carry name, namespace, labels and annotations over to the object, and what KServe puts on pods to the pods."""
    path: Path = ("metadata",)
    for key, item in as_map(value, path, ledger).items():
        at = (*path, key)
        if item is None:
            ledger.imply(at, NOTHING)
        elif key in ("name", "namespace"):
            made[key] = item
            ledger.carry(at, (*SERVICE, *at))
        elif key == "labels":
            _labels(as_map(item, at, ledger), at, made, predictor, ledger)
        elif key == "annotations":
            _annotations(as_map(item, at, ledger), at, made, predictor, steered, ledger)
        elif key in SET_BY_SERVER:
            ledger.imply(at, _BY_SERVER)
        elif key == "finalizers" and item == ["inferenceservice.finalizers"]:
            ledger.imply(at, "KServe's own; ours needs none")
        elif key in ("generateName", "finalizers", "ownerReferences"):
            ledger.refuse(at, "give it to the new object yourself, if it is still meant")


def _labels(
    value: dict[str, Any], path: Path, made: dict[str, Any], predictor: dict[str, Any], ledger: Ledger
) -> None:
    for key, item in value.items():
        at = (*path, key)
        if key == VISIBILITY:
            (ledger.imply if item == "cluster-local" else ledger.refuse)(
                at, "without spec.route it is reached inside the cluster only"
            )
        elif "kserve.io/" in str(key):
            ledger.refuse(at, "this label steers KServe; remove it")
        else:
            _along(key, item, at, "labels", made, predictor, ledger)


def _annotations(
    value: dict[str, Any],
    path: Path,
    made: dict[str, Any],
    predictor: dict[str, Any],
    steered: Steering,
    ledger: Ledger,
) -> None:
    for key, item in value.items():
        at, text = (*path, key), str(key)
        if key == MODE and steered.mode not in ("Standard", "Knative"):
            ledger.refuse(at, f"{item}: only Standard and Knative are known")
        elif key == AUTOSCALER_CLASS and item not in ("hpa", "keda", "external", "none"):
            ledger.refuse(at, f"{item}: only hpa, keda, external and none are known")
        elif key == MODE and steered.mode == "Knative":
            ledger.note(at, "a Deployment is made, as in Standard mode: a service does not scale to zero")
        elif key in NOTED_ANNOTATIONS:
            ledger.imply(at, NOTED_ANNOTATIONS[key])
        elif key in REFUSED_ANNOTATIONS:
            ledger.refuse(at, REFUSED_ANNOTATIONS[key])
        elif key == f"{KSERVE}stop":
            words = (
                "it runs"
                if item != "true"
                else "a service cannot be stopped and kept; delete it, and apply it again"
            )
            (ledger.imply if item != "true" else ledger.refuse)(at, words)
        elif key == SCRAPING:
            _scraping(item, at, predictor, ledger)
        elif text in _METRICS_PLACE and steered.has_runtime:
            ledger.note(at, _RUNTIME_SAYS)
        elif text.startswith("prometheus.kserve.io/") and text.partition("/")[2] in ("port", "path"):
            _of_pods(f"prometheus.io/{text.partition('/')[2]}", item, at, predictor, ledger)
        elif text.startswith(("prometheus.io/", "sidecar.")):
            _of_pods(text, item, at, predictor, ledger)
        elif key in _SCALING or text.startswith(("autoscaling.knative.dev/", "serving.knative.dev/")):
            had_none = steered.mode == "Standard" and not text.startswith(KSERVE)
            words = "without effect in Standard mode" if had_none else _KNATIVE
            (ledger.imply if had_none else ledger.refuse)(at, words)
        elif "kserve.io/" in text:
            ledger.refuse(at, "this annotation steers KServe, and is none that is documented; remove it")
        else:
            _along(key, item, at, "annotations", made, predictor, ledger)


def _scraping(item: Any, at: Path, predictor: dict[str, Any], ledger: Ledger) -> None:
    if item == "false":
        predictor.setdefault("annotations", {})["prometheus.io/scrape"] = "false"
        ledger.carry(at, (*POD, "annotations", "prometheus.io/scrape"))
    else:
        ledger.imply(at, "every pod of ours asks to be scraped")


def _of_pods(key: str, item: Any, at: Path, predictor: dict[str, Any], ledger: Ledger) -> None:
    schema = schema_of("predictor", "annotations")["additionalProperties"]
    found = fit(item, schema, at, (*POD, "annotations", key), ledger)
    if found is not ABSENT:
        predictor.setdefault("annotations", {})[key] = found


def _along(
    key: Any, item: Any, at: Path, field: str, made: dict[str, Any], predictor: dict[str, Any], ledger: Ledger
) -> None:
    """Put a label or an annotation on the object and, as KServe does, on its pods."""
    schema = schema_of("predictor", field)["additionalProperties"]
    found = fit(item, schema, at, (*SERVICE, "metadata", field, key), ledger)
    if found is ABSENT:
        return
    made.setdefault(field, {})[key] = found
    if field == "labels" and str(key).startswith("app.kubernetes.io/"):
        ledger.remark(at, "on the object only: on pods the operator sets it")
        return
    predictor.setdefault(field, {}).setdefault(key, found)
    ledger.carry(at, (*SERVICE, "metadata", field, key), (*POD, field, key))


def remark_blindness(manifest: Mapping[str, Any], ledger: Ledger) -> None:
    """Say of pods that are not to be scraped that nobody then sees whether they hold their objective."""
    if _map_of(_map_of(manifest, "metadata"), "annotations").get(SCRAPING) == "false":
        words = (
            "unless something else scrapes the pods, the autoscaler does not see their requests: remove it"
        )
        ledger.remark(("metadata", "annotations", SCRAPING), words)


def of_the_component(
    value: Any, path: Path, field: str, predictor: dict[str, Any], steered: Steering, ledger: Ledger
) -> None:
    """Carry `predictor.labels` or `predictor.annotations` over: what they say goes before the object's own."""
    for key, item in as_map(value, path, ledger).items():
        at, place = (*path, key), (*POD, field, key)
        if "kserve.io/" in str(key) or str(key).startswith("autoscaling.knative.dev/"):
            ledger.refuse(at, "it steers KServe; say it on the service itself, or remove it")
            continue
        if field == "annotations" and key in _METRICS_PLACE and steered.has_runtime:
            ledger.note(at, _RUNTIME_SAYS)
            continue
        found = fit(item, schema_of("predictor", field)["additionalProperties"], at, place, ledger)
        if found is not ABSENT:
            predictor.setdefault(field, {})[key] = found
