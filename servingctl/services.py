"""The services among documents, checked before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterable

from serving_api.names import CLUSTER_RUNTIME_KIND, RUNTIME_KIND, SERVICE_KIND
from serving_operator.runtimes.catalogue import Catalogue
from servingctl.documents import Document
from servingctl.exits import FOUND, USAGE, Stop
from servingctl.linting.lint import lint
from servingctl.linting.service import is_ours


def valid_services(documents: Iterable[Document]) -> list[Document]:
    """Return the InferenceServices of ours. Raises `Stop` if there is none, or one that the API server would refuse."""
    found = [
        document
        for document in documents
        if is_ours(document.value) and document.value["kind"] == SERVICE_KIND
    ]
    if not found:
        raise Stop("there is no InferenceService of serving-operator.dev/v1alpha1 in what was given", USAGE)
    errors = [finding for document in found for finding in lint(document) if finding.level == "Error"]
    if errors:
        lines = [f"{entry.source}:{entry.line}: {entry.field}: {entry.message}" for entry in errors]
        raise Stop("the API server would refuse this:\n  " + "\n  ".join(lines), FOUND)
    return found


def runtimes(documents: Iterable[Document]) -> Catalogue:
    """Return the ServingRuntimes and ClusterServingRuntimes among documents."""
    ours = [document.value for document in documents if is_ours(document.value)]
    return Catalogue(
        tuple(entry for entry in ours if entry["kind"] == RUNTIME_KIND),
        tuple(entry for entry in ours if entry["kind"] == CLUSTER_RUNTIME_KIND),
    )
