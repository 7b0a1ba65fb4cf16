"""CustomResourceDefinitions made from the types. `.venv/bin/python -m serving_api.crd` writes them, and their reference."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from serving_api import names, reference
from serving_api.autoscaler import InferenceAutoscalerSpec, InferenceAutoscalerStatus
from serving_api.runtime import ServingRuntimeSpec
from serving_api.service import InferenceServiceSpec
from serving_api.status import InferenceServiceStatus
from serving_api.structural import Schema, structural


def _column(name: str, path: str, of: str, description: str, *, wide: bool = False) -> Schema:
    column = {"name": name, "jsonPath": path, "type": of, "description": description}
    return column | {"priority": 1} if wide else column


def _condition(condition: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{condition}")].{field}'


_AGE = _column("Age", ".metadata.creationTimestamp", "date", "Time since creation")


def _definition(
    kind: str,
    plural: str,
    short: str | None,
    spec: Schema,
    status: Schema | None,
    columns: list[Schema],
    description: str,
    *,
    validations: list[Schema] | None = None,
    scale: Schema | None = None,
    scope: str = "Namespaced",
) -> Schema:
    subresources: Schema = ({"status": {}} if status else {}) | ({"scale": scale} if scale else {})
    root: Schema = {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Group and version of the API."},
            "kind": {"type": "string", "description": "Kind of the object."},
            "metadata": {"type": "object"},
            "spec": spec,
        }
        | ({"status": status} if status else {}),
    }
    if validations:
        root["x-kubernetes-validations"] = validations
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{names.GROUP}",
            "labels": {"app.kubernetes.io/name": names.OPERATOR, "app.kubernetes.io/part-of": names.OPERATOR},
        },
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                **({"shortNames": [short]} if short else {}),
                "categories": ["serving"],
            },
            "scope": scope,
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": subresources,
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": root},
                }
            ],
        },
    }


def inference_service() -> Schema:
    """Return the CRD of InferenceService."""
    return _definition(
        names.SERVICE_KIND,
        names.SERVICE_PLURAL,
        "infsvc",
        structural(InferenceServiceSpec),
        structural(InferenceServiceStatus),
        [
            _column("Ready", _condition("Ready", "status"), "string", "Answers, with the replicas it needs"),
            _column("URL", ".status.url", "string", "Where requests are answered"),
            _column("Replicas", ".status.replicas", "integer", "Pods of all live revisions"),
            _column("Stable", ".status.stable.revision", "string", "Committed revision"),
            _column("Canary", ".status.canary.id", "string", "Attempt under way; labels name it"),
            _column("Weight", ".status.canary.weight", "integer", "Percent of traffic on the canary"),
            _AGE,
            _column("UpToDate", _condition("UpToDate", "status"), "string", "Spec is committed", wide=True),
            _column("Reason", _condition("UpToDate", "reason"), "string", "Why, or why not", wide=True),
        ],
        "InferenceService serves a model: it becomes a Deployment, Services and a route, and rolls out new "
        "revisions as canaries.",
        validations=[
            {
                "rule": "size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                "message": "metadata.name must be a DNS label of at most 40 characters that starts with a letter",
            }
        ],
        scale={
            "specReplicasPath": ".spec.scaling.external.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    )


def inference_autoscaler() -> Schema:
    """Return the CRD of InferenceAutoscaler."""
    return _definition(
        names.AUTOSCALER_KIND,
        names.AUTOSCALER_PLURAL,
        "infas",
        structural(InferenceAutoscalerSpec),
        structural(InferenceAutoscalerStatus),
        [
            _column("Target", ".spec.scaleTargetRef.name", "string", "Workload that is scaled"),
            _column("Replicas", ".status.observedReplicas", "integer", "Replicas of the workload"),
            _column("Desired", ".status.desiredReplicas", "integer", "Replicas that were decided"),
            _column("Min", ".spec.minReplicas", "integer", "Fewest replicas"),
            _column("Max", ".spec.maxReplicas", "integer", "Most replicas"),
            _column("Reason", ".status.lastDecision.reason", "string", "Reason of the decision in force"),
            _AGE,
            _column(
                "Decision", ".status.lastDecision.message", "string", "The decision explained", wide=True
            ),
        ],
        "InferenceAutoscaler keeps one Deployment at the fewest replicas that hold a latency objective.",
    )


def serving_runtime() -> Schema:
    """Return the CRD of ServingRuntime."""
    return _runtime(names.RUNTIME_KIND, names.RUNTIME_PLURAL, "Namespaced", "the models of its namespace")


def cluster_serving_runtime() -> Schema:
    """Return the CRD of ClusterServingRuntime."""
    return _runtime(
        names.CLUSTER_RUNTIME_KIND, names.CLUSTER_RUNTIME_PLURAL, "Cluster", "the models of every namespace"
    )


def _runtime(kind: str, plural: str, scope: str, whose: str) -> Schema:
    return _definition(
        kind,
        plural,
        None,
        structural(ServingRuntimeSpec),
        None,
        [
            _column(
                "Format",
                ".spec.supportedModelFormats[0].name",
                "string",
                "First of the formats that it serves",
            ),
            _column("Disabled", ".spec.disabled", "boolean", "Whether no new revision may use it"),
            _AGE,
            _column("Image", ".spec.containers[0].image", "string", "Image of the model server", wide=True),
        ],
        f"{kind} is a model server that serves {whose}. An edit changes no running pod.",
        scope=scope,
    )


def definitions() -> dict[str, Schema]:
    """Return the CRDs by the names of their files."""
    return {
        "inferenceservices.yaml": inference_service(),
        "inferenceautoscalers.yaml": inference_autoscaler(),
        "servingruntimes.yaml": serving_runtime(),
        "clusterservingruntimes.yaml": cluster_serving_runtime(),
    }


def documents() -> dict[str, str]:
    """Return the CRD files by name, as they are checked in."""
    header = "# Generated from serving_api by `make crds`; edit the types instead.\n"
    return {
        # Innermost maps and lists on one line: indentation is a third of the file otherwise.
        name: header
        + yaml.safe_dump(crd, sort_keys=False, width=110, allow_unicode=True, default_flow_style=None)
        for name, crd in definitions().items()
    }


def main() -> None:
    """Write or check the CRD files."""
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m serving_api.crd", description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("crds"), help="where the files are")
    parser.add_argument("--reference", type=Path, default=Path("docs/api.md"), help="where the reference is")
    parser.add_argument("--check", action="store_true", help="fail if a file differs instead of writing it")
    options = parser.parse_args()
    stale = []
    files = {options.directory / name: text for name, text in documents().items()}
    files[options.reference] = reference.document(list(definitions().values()))
    for path, text in files.items():
        if not path.exists() or path.read_text() != text:
            stale.append(str(path))
            if not options.check:
                path.write_text(text)
    if options.check and stale:
        sys.exit(f"{', '.join(stale)} differ from the types: run `make crds`")


if __name__ == "__main__":
    main()
