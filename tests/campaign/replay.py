"""One plan again, with a line for each change of the store: who wrote what, when, and what the operator said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest import mock

from tests.campaign import rig
from tests.campaign.api import Api, Observer
from tests.campaign.backing import Backings, in_memory
from tests.campaign.gateway import backends
from tests.campaign.plan import Plan
from tests.campaign.rig import Outcome
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Change

_SILENT = ("Lease", "Event", "EndpointSlice", "Pod")


def replay(plan: Plan, backings: Backings = in_memory) -> Iterator[str]:
    """Run the plan and yield its story."""
    free = plan.scenario not in rig.SCENARIOS
    rig.known_reference("create" if free else plan.scenario, 0 if free else plan.seed, backings)
    told: list[str] = []

    class Told(Api):
        """An API that takes notes."""

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.store.watchers.add(Observer(self._tell))  # type: ignore[arg-type]

        def _tell(self, change: Change) -> None:
            kind = change.resource.kind.name
            if kind in _SILENT:
                return
            live = change.new or change.old
            assert live is not None
            verb = "-" if change.new is None else "+" if change.old is None else "~"
            at = asyncio.get_running_loop().time()
            who = f"{self.actor} {self.sender or ''}".strip()
            told.append(
                f"{at:8.2f} {change.version:5d} {who:14} {verb} {kind} {live['metadata']['name']} {_said(kind, live)}"
            )

    with mock.patch.object(rig, "Api", Told):
        outcome: Outcome = rig.run(plan, backings)
    yield from told
    yield from outcome.problems or ("all is well",)


def _said(kind: str, live: Json) -> str:
    status = live.get("status") or {}
    if kind == "InferenceService":
        canary = status.get("canary") or {}
        ready = {c["type"]: c["status"] for c in status.get("conditions") or ()}.get("Ready")
        stable = (status.get("stable") or {}).get("id")
        labels = live["metadata"].get("labels") or {}
        return f"stable {stable} canary {canary.get('id')} {canary.get('weight')} {canary.get('verdict')} ready {ready} {labels}"
    if kind == "HTTPRoute":
        stamps = {c.get("observedGeneration") for p in status.get("parents") or () for c in p["conditions"]}
        return f"{backends(live)} generation {live['metadata']['generation']} acknowledged {stamps or ''}"
    if kind == "Deployment":
        return f"replicas {live['spec']['replicas']} ready {status.get('readyReplicas', 0)} available {status.get('availableReplicas', 0)}"
    if kind == "InferenceAutoscaler":
        return f"share {live['spec'].get('share')} reserve {status.get('reserve')}"
    return ""
