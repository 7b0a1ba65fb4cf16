"""The API as one run sees it, and the connection of one operator process to it, with the faults in between.

`Wire` stands in for `serving_io.transport.Transport`: paths, queries, bodies and errors are those of the real client.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from serving_io import kinds
from serving_io.errors import Unavailable, error_from_status
from serving_io.kinds import Kind
from serving_io.transport import APPLY, JSON, REQUEST_TIMEOUT_SECONDS, canonical, unguarded, unobserved
from tests.campaign.backing import Backings, in_memory
from tests.campaign.clock import Process
from tests.campaign.plan import FREEZES, KILLS, Fault
from tests.fakes.kube import requests as semantics
from tests.fakes.kube.requests import Refused, Target
from tests.fakes.kube.resources import Resource
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Change, Record

LATENCY_SECONDS = 0.005
LATE_SECONDS = 40.0
"""How long a write of a dead process stays in the network: until its successor has led for a while."""
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_REASONS = {"409": "Conflict", "422": "Invalid", "429": "TooManyRequests", "500": "InternalError", "503": ""}


@dataclass(frozen=True)
class Call:
    """One request of an operator process."""

    verb: str
    resource: str
    namespace: str
    name: str

    @property
    def is_write(self) -> bool:
        """Whether it was to change something, Leases aside."""
        return self.verb not in ("get", "list") and self.resource != "leases"

    @property
    def is_counted(self) -> bool:
        """Whether faults are tried on it: the Lease of the operator itself has tests of its own."""
        return not (self.resource == "leases" and self.name in ("", "serving-operator"))


class Api:
    """The store, who writes in it, and what is wrong with the way to it."""

    def __init__(
        self, faults: tuple[Fault, ...], routes_served: bool = True, backings: Backings = in_memory
    ) -> None:
        self.routes_served = routes_served
        """Whether the operator finds the Gateway API installed."""
        self.actor = "world"
        backing = backings(lambda: self.actor)
        self.store, self.requests, self.close = backing.store, backing.requests, backing.close
        self.sender = 0
        self.calls: list[Call] = []
        self.refused_writes = 0
        self.over_quota: set[str] = set()
        """Kinds, by plural, of which the operator may create no more."""
        self.last_fault = 0.0
        self.at_work: set[int] = set()
        """Processes that have read everything."""
        self.reached = 0
        self._faults = [fault for fault in faults if fault.verb != "watch"]
        self._counts: Counter[Fault] = Counter()
        self._resources = {resource.kind: resource for resource in self.store.objects}
        self._by_path = {(r.kind.root, r.kind.plural): r for r in self._served()}
        self._uids = 0
        self.on_call: Callable[[Call, int], None] = lambda call, sender: None
        self._times: list[float] = []
        self._versions: list[int] = []
        self.store.watchers.add(Observer(self._note))  # type: ignore[arg-type]

    def discovered(self, path: str) -> Json:
        """What discovery answers. Raises `Refused` where nothing is served."""
        if not self.routes_served and path.startswith(kinds.HTTP_ROUTE.root):
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        found: Json = self.requests.discovered(path)
        return found

    def _served(self) -> list[Resource]:
        gateways = (kinds.HTTP_ROUTE, kinds.GATEWAY)
        return [found for found in self.store.objects if self.routes_served or found.kind not in gateways]

    @contextlib.contextmanager
    def acting(self, actor: str, sender: int = 0) -> Iterator[None]:
        """Who writes meanwhile, for those who watch the store."""
        before = self.actor, self.sender
        self.actor, self.sender = actor, sender
        semantics.new_uid = self._new_uid
        try:
            yield
        finally:
            self.actor, self.sender = before

    def resource(self, kind: Kind) -> Resource:
        """What is served for a kind."""
        return self._resources[kind]

    def records(self, kind: Kind) -> dict[tuple[str, str], Record]:
        """The live objects of a kind."""
        return self.store.objects[self._resources[kind]]

    def get(self, kind: Kind, name: str, namespace: str) -> Json:
        """One object without its managers, or None."""
        record = self.records(kind).get((namespace, name))
        return record and record.manifest

    def apply(self, actor: str, manifest: Json, kind: Kind, manager: str, subresource: str = "") -> Json:
        """Server-side apply with force by somebody who is not the operator."""
        metadata = manifest["metadata"]
        target = Target(self._resources[kind], metadata.get("namespace", ""), metadata["name"], subresource)
        stated = {"apiVersion": kind.api_version, "kind": kind.name, **manifest}
        with self.acting(actor):
            return self.requests.apply(target, stated, manager, True)[0]

    def delete(
        self, actor: str, kind: Kind, name: str, namespace: str, propagation: str = "Background"
    ) -> None:
        """Delete by somebody who is not the operator."""
        with self.acting(actor), contextlib.suppress(Refused):
            target = Target(self._resources[kind], namespace, name)
            self.requests.delete(target, {"propagationPolicy": propagation})

    def put(self, actor: str, kind: Kind, manifest: Json) -> None:
        """Write an object as it stands, its managers unchanged."""
        key = (manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
        record = self.records(kind).get(key)
        with self.acting(actor):
            self.store.put(self._resources[kind], manifest, record.managers if record else {})

    async def send(self, process: Process, call: Call, carry_out: Callable[[], Json]) -> Json:
        """Carry out a request of a process, unless a fault is planned for it."""
        await self._living(process)
        self.calls.append(call)
        self.on_call(call, process.number)
        if call.verb == "list" and call.resource == ("gateways" if self.routes_served else "endpointslices"):
            self.at_work.add(process.number)
        fault = self._fault(call)
        await asyncio.sleep(LATENCY_SECONDS)
        await self._living(process)
        if fault is None:
            return await self._answered(process, call, carry_out)
        return await self._faulty(process, call, carry_out, fault)

    async def _answered(self, process: Process, call: Call, carry_out: Callable[[], Json]) -> Json:
        return await self._heard(process, *self._carried_out(process, call, carry_out))

    async def _heard(self, process: Process, answer: Json, refused: Refused | None) -> Json:
        await asyncio.sleep(LATENCY_SECONDS)
        await self._living(process)
        if refused is not None:
            raise error_from_status(refused.body, refused.status)
        return answer

    def _carried_out(
        self, process: Process, call: Call, carry_out: Callable[[], Json]
    ) -> tuple[Json, Refused | None]:
        try:
            with self.acting("operator", process.number):
                return carry_out(), None
        except Refused as refused:
            self.refused_writes += call.is_write
            return None, refused

    async def _faulty(
        self, process: Process, call: Call, carry_out: Callable[[], Json], fault: Fault
    ) -> Json:
        loop, action = asyncio.get_running_loop(), fault.action
        self.last_fault = loop.time()
        self.reached += 1
        what = f"{call.verb} {call.resource} {call.name}"
        if action in FREEZES:
            self.last_fault = loop.time() + fault.seconds
            if action == "freeze-before":
                process.freeze(fault.seconds)
                await asyncio.sleep(0)
                return await self._answered(process, call, carry_out)
            answer, refused = self._carried_out(process, call, carry_out)
            process.freeze(fault.seconds)
            return await self._heard(process, answer, refused)
        if action in ("kill-after", "ack-lost"):
            self._carried_out(process, call, carry_out)
        if action in KILLS:
            if action == "kill-late":
                self.last_fault = loop.time() + LATE_SECONDS
                loop.call_later(LATE_SECONDS, self._carried_out, process, call, carry_out)
            process.is_dead = True
            process.died.set()
            await self._living(process)
        if action == "timeout":
            await asyncio.sleep(REQUEST_TIMEOUT_SECONDS)
            await self._living(process)
            self.last_fault = loop.time()
            raise Unavailable(0, "Timeout", f"{what}: made to fail by the plan")
        if action in ("reset", "ack-lost"):
            raise Unavailable(0, "NoAnswer", f"{what}: made to fail by the plan")
        body = {"reason": _REASONS[action], "message": "made to fail by the plan", "code": int(action)}
        raise error_from_status(body, int(action), {"Retry-After": "3"} if action == "429" else None)

    def _fault(self, call: Call) -> Fault | None:
        if not call.is_counted:
            return None
        for fault in self._faults:
            if (
                fault.verb in ("", call.verb)
                and fault.resource in ("", call.resource)
                and fault.name in ("", call.name)
            ):
                self._counts[fault] += 1
                if self._counts[fault] == fault.nth:
                    return fault
        return None

    async def _living(self, process: Process) -> None:
        if process.is_dead:
            await asyncio.get_running_loop().create_future()  # for ever: the dead are cancelled

    def target(self, path: str) -> Target | None:
        """What a path is about."""
        parts = path.strip("/").split("/")
        size = 3 if parts[0] == "apis" else 2
        root, rest = "/" + "/".join(parts[:size]), parts[size:]
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        resource = self._by_path.get((root, rest[0])) if rest else None
        if resource is None:
            return None
        return Target(resource, namespace, *(*rest[1:], "", "")[:2])

    def version_at(self, at: float) -> int:
        """The version that the store had at a moment."""
        index = bisect.bisect_right(self._times, at)
        return self._versions[index - 1] if index else 0

    def _note(self, change: Change) -> None:
        self._times.append(asyncio.get_running_loop().time())
        self._versions.append(change.version)

    def _new_uid(self) -> str:
        self._uids += 1
        return f"uid-{self._uids:04d}"


class Observer:
    """Is told of each change in the store, at once."""

    def __init__(self, tell: Callable[[Change], None]) -> None:
        self.put_nowait = tell


@dataclass(frozen=True)
class Wire:
    """The connection of one process: what `Cluster` asks of a transport."""

    api: Api
    process: Process
    before_write: Callable[[], None] = unguarded
    on_request: Callable[[str, str, float], None] = unobserved

    def guarded_by(self, before_write: Callable[[], None]) -> Wire:
        """The same connection with another check."""
        return Wire(self.api, self.process, before_write, self.on_request)

    async def close(self) -> None:
        """Nothing is open."""

    async def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
    ) -> dict[str, Any]:
        """One request; answers the object. Raises `ApiError`."""
        query = query or {}
        if method != "GET":
            self.before_write()
        sent = json.loads(canonical(body)) if body is not None else None
        code = "<error>"
        try:
            answer: dict[str, Any] = await self._ask(method, path, query, sent, content_type)
            code = "200"
        except Exception as error:
            status = int(getattr(error, "status", 0))
            code = str(status) if status else code
            raise
        else:
            return answer
        finally:
            self.on_request(method, code, 0.0)

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str], body: Any, content_type: str
    ) -> dict[str, Any]:
        api, requests = self.api, self.api.requests
        target = api.target(path)
        if target is None:
            call = Call("get", "discovery", "", path)
            return await api.send(self.process, call, lambda: api.discovered(path))
        verb = _VERBS.get(method, "get" if target.name else "list")
        manager = query.get("fieldManager", "")

        def carry_out() -> Json:
            if verb == "list":
                return requests.listed(target, query)
            if verb == "get":
                return requests.get(target)
            if verb == "create":
                if target.resource.kind.plural in api.over_quota:
                    raise Refused(403, "Forbidden", "exceeded quota: made to by the scenario")
                return requests.create(target, body, manager)
            if verb == "update":
                return requests.replace(target, body, manager)
            if verb == "delete":
                return requests.delete(target, body)
            if content_type == APPLY:
                return requests.apply(target, body, manager, query.get("force") == "true")[0]
            return requests.patch(target, body, manager, content_type)

        what = target.resource.kind.plural + (f"/{target.subresource}" if target.subresource else "")
        name = target.name or str(((body or {}).get("metadata") or {}).get("name") or "")
        return await api.send(self.process, Call(verb, what, target.namespace, name), carry_out)
