"""ControllerRevision: what a revision is, recorded once and never rendered again."""

from __future__ import annotations

import json
from functools import lru_cache

from serving_api.names import ATTEMPT_ANNOTATION, STABLE_LABEL, revision_name
from serving_api.revision import canonical_fields, revision_of
from serving_api.service import InferenceService
from serving_operator.children.metadata import metadata, revision_in
from serving_operator.children.pod import pod_template
from serving_operator.owned import annotation_is_ours
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.runtimes.resolve import resolve, resolved_record
from serving_operator.world import DEFAULT_SETTINGS, Manifest, Settings


def controller_revision(
    service: InferenceService,
    revision: str,
    number: int,
    attempt: Manifest,
    stable: bool,
    *,
    runtimes: Catalogue,
    settings: Settings = DEFAULT_SETTINGS,
) -> Manifest:
    """Record the revision that the service's spec asks for, rendered now, as attempt `number`.

    `attempt` holds id, startedAt, rollout and objective. Raises ValueError if the spec asks for another revision, and
    Unresolved if no runtime serves its model.
    """
    predictor = service.spec.predictor
    if revision_of(predictor) != revision:
        raise ValueError(f"{service.key}: the spec asks for {revision_of(predictor)}, not for {revision}")
    runtime = resolve(predictor, runtimes)
    data = {
        "fields": canonical_fields(predictor),
        "runtime": runtime.record,
        "podTemplate": pod_template(service, revision, runtime, settings=settings),
        "ports": dict(runtime.ports),
    }
    return _manifest(service, revision, data, number, attempt, stable)


def restated(
    service: InferenceService, recorded: Manifest, number: int, attempt: Manifest, stable: bool
) -> Manifest:
    """Return a recorded revision with another attempt or another rank. Its data stays: it is immutable."""
    return _manifest(service, revision_in(recorded), recorded["data"], number, attempt, stable)


def recovered(
    service: InferenceService,
    deployment: Manifest,
    number: int,
    attempt: Manifest,
    stable: bool,
    *,
    runtimes: Catalogue,
) -> Manifest:
    """Record a revision again whose record was lost, from the template of its Deployment.

    The fields are known only if the spec still asks for this revision.
    """
    revision = revision_in(deployment)
    template = deployment["spec"]["template"]
    predictor = service.spec.predictor
    wanted = revision_of(predictor) == revision
    container = template["spec"]["containers"][0]
    today = resolved_record(predictor, runtimes) if wanted else None
    data = {
        "fields": canonical_fields(predictor) if wanted else {},
        "runtime": today or {"image": container["image"]},
        "podTemplate": template,
        "ports": {port["name"]: port["containerPort"] for port in container.get("ports") or ()},
    }
    return _manifest(service, revision, data, number, attempt, stable)


def attempt_of(recorded: Manifest) -> Manifest:
    """Return what a ControllerRevision says of its latest attempt; empty if it says nothing readable. Not to be changed."""
    return _parsed((recorded["metadata"].get("annotations") or {}).get(ATTEMPT_ANNOTATION) or "{}")


@lru_cache(maxsize=16)
def _parsed(text: str) -> Manifest:
    # A look at a service asks its few records for this a dozen times.
    try:
        attempt = json.loads(text)
    except ValueError:
        return {}
    return attempt if isinstance(attempt, dict) else {}


def is_marked_stable(recorded: Manifest) -> bool:
    """Whether a ControllerRevision is marked as that of a committed revision, present or former."""
    return (recorded["metadata"].get("labels") or {}).get(STABLE_LABEL) == "true"


def attempt_is_ours(recorded: Manifest) -> bool:
    """Whether what a ControllerRevision says of its latest attempt was written by the operator and by nobody since."""
    return annotation_is_ours(recorded, ATTEMPT_ANNOTATION)


def _manifest(
    service: InferenceService, revision: str, data: Manifest, number: int, attempt: Manifest, stable: bool
) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata(
            service,
            revision_name(service.key.name, revision),
            revision=revision,
            labels={STABLE_LABEL: "true"} if stable else None,
            annotations={ATTEMPT_ANNOTATION: json.dumps(attempt, sort_keys=True, separators=(",", ":"))},
        ),
        "data": data,
        "revision": number,
    }
