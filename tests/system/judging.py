"""A service whose canaries are judged, what its rollout says, and how its traffic was split."""

from __future__ import annotations

import math
import time
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from serving_api.names import OPERATOR
from serving_io import kinds
from tests.system.kube import Kube, Manifest, condition
from tests.system.load import Load
from tests.system.services import canary_weight, web_service

WINDOW_SECONDS = 10
SIGMAS = 4.0
"""By which a share may miss its weight where few requests were sent: one run in 16,000 misses by more."""


def judged(
    host: str,
    version: str,
    *weights: int,
    name: str = "digits",
    env: dict[str, str] | None = None,
    **analysis: object,
) -> Manifest:
    """A service that is judged at each of its steps and promotes itself; one window of 20 good requests is enough."""
    made = web_service(
        name,
        version,
        host=host,
        spec__objective={"thresholdMilliseconds": 300, "percent": 95},
        spec__rollout={
            "steps": [{"weight": weight} for weight in weights],
            "analysis": {"source": "envoy-gateway", "windowSeconds": WINDOW_SECONDS} | analysis,
            "promotion": "Automatic",
            "soakSeconds": 2,
        },
    )
    variables = {"WORK_MS": "1"} | (env or {})
    made["spec"]["predictor"]["container"]["env"] += [
        {"name": name, "value": value} for name, value in variables.items()
    ]
    return made


def at_step(kube: Kube, namespace: str, manifest: Manifest, step: int = 0) -> Manifest:
    """Apply a changed version and wait until its canary is at a step; return the canary's status."""
    name = manifest["metadata"]["name"]
    status = kube.status(namespace, name)
    before = (status.get("canary") or status["stable"])["id"]
    kube.apply(namespace, manifest)
    kube.until(
        "another attempt begins",
        lambda: (canary := kube.status(namespace, name).get("canary")) and canary["id"] != before,
    )
    return arrived(kube, namespace, manifest["spec"]["rollout"]["steps"][step]["weight"], name)


def arrived(kube: Kube, namespace: str, weight: int, name: str = "digits") -> Manifest:
    """Wait until the canary has a weight; return its status."""
    canary: Manifest = kube.until(
        f"the canary has {weight}%",
        lambda: (
            (canary := kube.status(namespace, name).get("canary", {})).get("weight") == weight
            and canary.get("stepStartedAt")
            and canary
        ),
    )
    return canary


def rejection(kube: Kube, namespace: str, attempt: str) -> Manifest:
    """Wait until an attempt is rejected and nothing of it is left; return the entry of the status."""
    kube.until(
        f"{attempt} is rejected and its Deployment is gone",
        lambda: (
            not (status := kube.status(namespace)).get("canary")
            and status.get("rejected")
            and len(kube.list(kinds.DEPLOYMENT, namespace)) == 1
        ),
    )
    entry: Manifest = kube.status(namespace)["rejected"][-1]
    return entry


def waits_for(kube: Kube, namespace: str, name: str = "digits") -> str:
    """The reason of Reconciling."""
    return str(condition(kube.status(namespace, name), "Reconciling").get("reason"))


def unix(timestamp: str) -> float:
    """A time of the API in seconds since 1970."""
    return datetime.fromisoformat(timestamp).timestamp()


def age_seconds(canary: Manifest) -> float:
    """For how long the canary has been at its step."""
    return time.time() - unix(canary["stepStartedAt"])


def written_at(route: Manifest) -> str:
    """When the operator wrote a version of the route."""
    entries = [entry for entry in route["metadata"]["managedFields"] if entry["manager"] == OPERATOR]
    return max(str(entry["time"]) for entry in entries)


class Split(NamedTuple):
    """What clients saw at a step, from when its weight had settled until the next weight was written."""

    weight: int
    requests: int
    share: float
    """Of the canary, from 0 to 1."""

    @property
    def error(self) -> float:
        """By how much the share misses the weight."""
        return abs(self.share - self.weight / 100)

    @property
    def chance(self) -> float:
        """By how much it may, if every request is drawn by itself."""
        weight = self.weight / 100
        return SIGMAS * math.sqrt(weight * (1 - weight) / max(1, self.requests))


def splits(load: Load, services: list[Manifest], routes: list[Manifest]) -> list[Split]:
    """The split of every step, from all versions of the service, and of the route that ends each step with the next weight."""
    spans: dict[int, tuple[float, float]] = {}
    revision, attempt = "", ""
    for version in services:
        canary = version.get("status", {}).get("canary") or {}
        weight, since = canary.get("weight"), canary.get("stepStartedAt")
        if not weight or not since or weight == 100:
            continue
        revision, attempt = canary["revision"], canary["id"]
        spans[weight] = (unix(since), unix(since))
    for before, after in pairwise(routes):
        weight = canary_weight(before, attempt)
        if weight in spans and canary_weight(after, attempt) > weight:
            spans[weight] = (spans[weight][0], unix(written_at(after)))
    found = []
    for weight, (start, end) in spans.items():
        begun = load.started_unix_seconds
        sent = [record for record in load.records if start <= begun + record.sent_seconds < end]
        ours = sum(record.revision == revision for record in sent)
        found.append(Split(weight, len(sent), ours / max(1, len(sent))))
    return found
