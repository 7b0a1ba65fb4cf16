"""The invariants where no route is served: the stable Service's selector is what moves the traffic.

The letters are those of `invariants.NAMES`; weights are 0 and 100. Nothing of the operator's own reading is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from serving_api.names import REVISION_LABEL
from serving_io import kinds
from tests.campaign.api import Api, Observer
from tests.campaign.cluster import Surroundings
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Change

Broken = Callable[[str, str], None]


class SwitchWatcher:
    """Looks at every write of a stable Service, and at what the status says of it. `ready` counts pods by revision."""

    def __init__(self, api: Api, world: Surroundings, broken: Broken, ready: Callable[[str], int]) -> None:
        self._api, self._world, self._broken, self._ready = api, world, broken, ready
        self._promoted: set[str] = set()
        """Attempts whose promotion was accepted."""
        self._left: set[str] = set()
        """Attempts that the Service was switched away from."""
        self._switched_at: dict[str, float] = {}
        """When the Service began to select a revision."""
        api.store.watchers.add(Observer(self._changed))  # type: ignore[arg-type]

    def _changed(self, change: Change) -> None:
        kind, live = change.resource.kind, change.new
        if kind == kinds.HTTP_ROUTE and self._api.actor == "operator":
            self._broken("S16", "a route was written where none is served")
        if live is None:
            return
        if kind == kinds.INFERENCE_SERVICE and self._api.actor == "operator":
            self._status((change.old or {}).get("status") or {}, live)
        if kind == kinds.SERVICE:
            metadata = live["metadata"]
            service = self._api.get(kinds.INFERENCE_SERVICE, metadata["name"], metadata["namespace"])
            if service is not None:
                self._selects(service, change)

    def _selects(self, service: Json, change: Change) -> None:
        assert change.new is not None
        before, after = _selected(change.old), _selected(change.new)
        if before == after:
            return
        self._switched_at[after] = asyncio.get_running_loop().time()
        if self._api.actor != "operator":
            return
        status = service.get("status") or {}
        stable, canary = status.get("stable") or {}, status.get("canary") or {}
        if before == canary.get("revision"):
            self._left.add(canary["id"])
        if stable and after == stable["revision"]:
            return
        if after != canary.get("revision"):
            self._broken("S6", f"the Service selects {after}, neither stable nor canary")
            return
        if self._ready(after) < (need := self._world.need(100)):
            self._broken(
                "S2", f"the Service selects {after}, which has {self._ready(after)} of {need} pods ready"
            )
        if stable and canary["id"] not in self._promoted:
            self._broken("S5", f"{canary['id']} got all of the traffic without its label")
        if canary["id"] in self._left:
            self._broken("S4", f"{canary['id']} got the traffic again")
        if any((c["kind"], c["id"]) == ("Abort", canary["id"]) for c in status.get("commands") or ()):
            self._broken("S14", f"{canary['id']} got the traffic after its abort was accepted")

    def _status(self, before: Json, live: Json) -> None:
        status, metadata = live["status"], live["metadata"]
        self._promoted |= {c["id"] for c in status.get("commands") or () if c["kind"] == "Promote"}
        was, is_ = before.get("stable") or {}, status.get("stable") or {}
        if not was or is_ == was:
            return
        service = self._api.get(kinds.SERVICE, metadata["name"], metadata["namespace"])
        if service is None or _selected(service) != is_["revision"]:
            self._broken("S3", f"{is_['id']} was committed without the traffic")
        soak = float(live["spec"]["rollout"].get("soakSeconds", 60))
        if asyncio.get_running_loop().time() < self._switched_at.get(is_["revision"], 0.0) + soak:
            self._broken("O3", f"{is_['id']} was committed before it had soaked")


def _selected(service: Json | None) -> str:
    return str(((service or {"spec": {}})["spec"].get("selector") or {}).get(REVISION_LABEL, ""))
