"""The operator's informer in virtual time, and what can go wrong with its watches.

Kopf needs a thread, a loop and sockets of its own, so it cannot run in virtual time. This stands in for
`serving_operator.observe.Informer` and keeps Kopf's manners: a list, then the changes of each kind in order, a new
list after 410 that does not say what has vanished meanwhile.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Sequence
from typing import Any

from serving_operator.observe import Seen
from serving_operator.watched import Watched
from tests.campaign.api import Api, Observer, Process
from tests.campaign.plan import Fault
from tests.fakes.kube.patches import label_selector
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Change

LATENCY_SECONDS = 0.02
RECONNECT_SECONDS = 1.0
PAST_SECONDS = 5.0
"""How long a watch that went back in time tells the past, before it tells what has happened since."""


class Informer:
    """Watches kinds for one process until it is stopped or dead."""

    def __init__(
        self,
        watched: Sequence[Watched],
        namespaces: Sequence[str],
        seen: Seen,
        *,
        api: Api,
        process: Process,
        faults: Sequence[Fault],
        seed: int,
    ) -> None:
        self._api = api
        rewind = next((f for f in faults if f.action == "rewind" and process.number >= f.nth), None)
        if rewind is not None and process.number == rewind.nth:
            api.reached += 1
        self._streams = [
            _Stream(
                entry,
                seen,
                api=api,
                process=process,
                faults=[f for f in faults if f.resource in ("", entry.kind.plural) and f.action != "rewind"],
                rewind_seconds=rewind.seconds if rewind is not None else 0.0,
                chance=random.Random(f"{seed} {entry.kind.plural}"),
            )
            for entry in watched
        ]

    def start(self) -> asyncio.Future[None]:
        """Begin; the answer never ends."""
        for stream in self._streams:
            stream.start()
        return asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Stop watching."""
        for stream in self._streams:
            stream.stop()

    async def join(self) -> None:
        """Nothing is left to wait for."""


class _Stream:
    """The watch of one kind."""

    def __init__(
        self,
        watched: Watched,
        seen: Seen,
        *,
        api: Api,
        process: Process,
        faults: list[Fault],
        rewind_seconds: float,
        chance: random.Random,
    ) -> None:
        self._kind, self._seen, self._api, self._process = watched.kind, seen, api, process
        self._selected = label_selector(watched.selector)
        self._faults, self._chance = faults, chance
        self._rewind_seconds = rewind_seconds
        self._resource = api.resource(watched.kind)
        self._observer = Observer(self._changed)
        self._events = 0
        self._ready_at = 0.0  # no event overtakes an earlier one of its kind
        self._stalled_until = 0.0
        self._is_away = False
        self._context = contextvars.copy_context()
        """Of its process: whoever writes, that is who is told."""

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._rewind_seconds:
            # A list from a stale replica, which catches up after a while with all that happened since.
            version = self._api.version_at(loop.time() - self._rewind_seconds)
            self._list(version)
            self._ready_at = loop.time() + PAST_SECONDS
            self._api.last_fault = max(self._api.last_fault, self._ready_at)
            for change in [c for c in self._api.store.history if c.version > version]:
                self._changed(change)
        else:
            self._list(self._api.store.version)
        self._api.store.watchers.add(self._observer)  # type: ignore[arg-type]

    def stop(self) -> None:
        self._api.store.watchers.discard(self._observer)  # type: ignore[arg-type]

    def _list(self, version: int) -> None:
        for _, record in sorted(self._api.store.at_version(self._resource, version).items()):
            if self._selected(record.manifest["metadata"].get("labels") or {}):
                self._deliver(record.shown, False)

    def _changed(self, change: Change) -> None:
        if change.resource is not self._resource or self._is_away:
            return
        before = change.old is not None and self._selected(change.old["metadata"].get("labels") or {})
        after = change.new is not None and self._selected(change.new["metadata"].get("labels") or {})
        if not before and not after:
            return
        self._events += 1
        times = 1
        for fault in self._faults:
            times = self._suffer(fault, times)
        for _ in range(times):
            if after:
                self._deliver(change.new, False)
            else:
                assert change.old is not None
                metadata = {**change.old["metadata"], "resourceVersion": str(change.version)}
                self._deliver({**change.old, "metadata": metadata}, True)

    def _suffer(self, fault: Fault, times: int) -> int:
        now = asyncio.get_running_loop().time()
        is_it = self._events == fault.nth
        if is_it:
            self._api.last_fault = max(self._api.last_fault, now + fault.seconds)
            self._api.reached += 1
        match fault.action:
            case "drop" if is_it:
                return 0
            case "duplicate" if is_it:
                return 2
            case "stall" if is_it:
                self._stalled_until = now + fault.seconds
            case "delay" if fault.nth <= self._events < fault.nth + 10:
                self._ready_at = max(self._ready_at, now + fault.seconds)
            case "reorder" if fault.nth <= self._events < fault.nth + 20:
                self._ready_at = max(self._ready_at, now + self._chance.uniform(0, fault.seconds))
            case "410" if is_it:
                self._is_away = True
                asyncio.get_running_loop().call_later(fault.seconds or RECONNECT_SECONDS, self._back)
                return 0
        return times

    def _back(self) -> None:
        self._is_away = False
        if not self._process.is_dead:
            self._list(self._api.store.version)

    def _deliver(self, manifest: Json, gone: bool) -> None:
        loop = asyncio.get_running_loop()
        at = max(loop.time() + LATENCY_SECONDS, self._ready_at, self._stalled_until)
        self._ready_at = at
        loop.call_at(at, self._hand_over, manifest, gone, context=self._context)

    def _hand_over(self, manifest: Json, gone: bool) -> None:
        if not self._process.is_dead:
            self._seen(manifest, gone)


Made = Callable[..., Any]
