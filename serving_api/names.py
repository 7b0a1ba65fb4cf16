"""Names, labels and identifiers: the one place where they are spelled."""

from __future__ import annotations

import re
from typing import NamedTuple

GROUP = "serving-operator.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

SERVICE_KIND = "InferenceService"
AUTOSCALER_KIND = "InferenceAutoscaler"
RUNTIME_KIND = "ServingRuntime"
CLUSTER_RUNTIME_KIND = "ClusterServingRuntime"
SERVICE_PLURAL = "inferenceservices"
AUTOSCALER_PLURAL = "inferenceautoscalers"
RUNTIME_PLURAL = "servingruntimes"
CLUSTER_RUNTIME_PLURAL = "clusterservingruntimes"

OPERATOR = "serving-operator"
AUTOSCALER = "serving-autoscaler"
SYSTEM_NAMESPACE = "serving-system"

SERVICE_LABEL = f"{GROUP}/service"
REVISION_LABEL = f"{GROUP}/revision"
STABLE_LABEL = f"{GROUP}/stable"
PROMOTE_LABEL = f"{GROUP}/promote"
ABORT_LABEL = f"{GROUP}/abort"
RETRY_LABEL = f"{GROUP}/retry"
COMMAND_LABELS = (PROMOTE_LABEL, ABORT_LABEL, RETRY_LABEL)
USER_SUFFIX = "-user"
"""A command label with this at its end is the annotation in which an admission policy may note who set it."""
STORAGE_LABEL = f"{GROUP}/storage"
"""With the value true on a Secret: model downloads of the namespace may use it."""
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"

ATTEMPT_ANNOTATION = f"{GROUP}/attempt"
ABORTING_ANNOTATION = f"{GROUP}/aborting"
WEIGHTS_ANNOTATION = f"{GROUP}/weights"
PASSING_ANNOTATION = f"{GROUP}/passing"
COMMITTED_ANNOTATION = f"{GROUP}/committed"

CONTAINER = "model"
HTTP_PORT_NAME = "http"
METRICS_PORT_NAME = "metrics"
REVISION_HEADER = "x-serving-revision"

_ATTEMPT = re.compile(r"^(?P<revision>[0-9a-f]{8})-(?P<number>[1-9][0-9]{0,8})$")


class ServiceKey(NamedTuple):
    """Where an InferenceService lives."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Attempt(NamedTuple):
    """One try at serving a revision; its text form `<hash8>-<n>` is what command labels name."""

    revision: str
    number: int

    def __str__(self) -> str:
        return f"{self.revision}-{self.number}"

    @classmethod
    def parse(cls, text: str | None) -> Attempt | None:
        """Return the attempt that `text` names, or None if it names none."""
        found = _ATTEMPT.match(text or "")
        return cls(found["revision"], int(found["number"])) if found else None


def revision_name(service: str, revision: str) -> str:
    """Name of every object that belongs to one revision: Deployment, Service, PDB, InferenceAutoscaler …"""
    return f"{service}-{revision}"


def selector_labels(service: str, revision: str) -> dict[str, str]:
    """Labels that select the pods of one revision; immutable, so nothing descriptive is among them."""
    return {SERVICE_LABEL: service, REVISION_LABEL: revision}


def child_labels(service: str, revision: str | None = None) -> dict[str, str]:
    """Labels of a child; `revision` for those that belong to one."""
    labels = {
        "app.kubernetes.io/name": "inference-service",
        "app.kubernetes.io/instance": service,
        "app.kubernetes.io/component": "predictor",
        "app.kubernetes.io/part-of": OPERATOR,
        MANAGED_BY_LABEL: OPERATOR,
        SERVICE_LABEL: service,
    }
    return labels if revision is None else labels | {REVISION_LABEL: revision}
