"""The services among documents, checked before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from serving_api.names import CLUSTER_RUNTIME_KIND, RUNTIME_KIND, SERVICE_KIND
from serving_operator.runtimes.catalogue import Catalogue
from servingctl.documents import Document
from servingctl.exits import FOUND, USAGE, Stop
from servingctl.linting.lint import lint
from servingctl.linting.service import is_ours


def valid_services(documents: Iterable[Document]) -> list[Document]:
    """Return the InferenceServices of ours. Raises `Stop` if there is none, or one that the API server would refuse."""
    found = _of_kinds(documents, SERVICE_KIND)
    if not found:
        raise Stop("there is no InferenceService of serving-operator.dev/v1alpha1 in what was given", USAGE)
    return _refusing_none(found)


def valid_runtimes(documents: Iterable[Document]) -> list[Document]:
    """Return the ServingRuntimes and ClusterServingRuntimes. Raises `Stop` for one that the API server would refuse."""
    return _refusing_none(_of_kinds(documents, RUNTIME_KIND, CLUSTER_RUNTIME_KIND))


def catalogue(runtimes: Iterable[Document], service: Document, default_namespace: str) -> Catalogue:
    """Return of the runtimes those of a service's namespace and those of the cluster."""

    def namespace(manifest: dict[str, Any]) -> str:
        return str(manifest["metadata"].get("namespace") or default_namespace)

    ours = [document.value for document in runtimes]
    wanted = namespace(service.value)
    return Catalogue(
        tuple(entry for entry in ours if entry["kind"] == RUNTIME_KIND and namespace(entry) == wanted),
        tuple(entry for entry in ours if entry["kind"] == CLUSTER_RUNTIME_KIND),
    )


def _of_kinds(documents: Iterable[Document], *kinds: str) -> list[Document]:
    return [one for one in documents if is_ours(one.value) and one.value["kind"] in kinds]


def _refusing_none(found: list[Document]) -> list[Document]:
    errors = [finding for document in found for finding in lint(document) if finding.level == "Error"]
    if errors:
        lines = [f"{entry.source}:{entry.line}: {entry.field}: {entry.message}" for entry in errors]
        raise Stop("the API server would refuse this:\n  " + "\n  ".join(lines), FOUND)
    return found
