"""The fake API server over real HTTP, in a thread and a loop of its own, so that clients run against it unchanged.

Not emulated: CEL and admission, tables for kubectl, OpenAPI, deletecollection, dry runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from serving_io import Cluster, kinds
from serving_io.kinds import Kind
from serving_io.transport import Transport
from tests.fakes.kube import discovery
from tests.fakes.kube.patches import label_selector
from tests.fakes.kube.requests import Refused, Requests, Target
from tests.fakes.kube.resources import Resource, built_in
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Change, Store
from tests.fakes.kube.streams import watch

T = TypeVar("T")
Check = tuple[str, str, str, str]
"""An authorization check: verb, group, resource (with `/subresource`), name."""


@dataclass(frozen=True)
class Request:
    """One entry of the log."""

    user: str
    verb: str
    resource: str
    """Plural, with `/subresource` if one is meant."""
    namespace: str
    name: str
    code: int
    checks: tuple[Check, ...]
    """What the user must be allowed to do for this request."""

    @property
    def is_write(self) -> bool:
        """Whether it was to change something, Leases aside."""
        return self.verb not in ("get", "list", "watch") and self.resource != "leases"


@dataclass
class Failure:
    """Answers `status` to the next `times` requests that match."""

    match: Callable[[str, str, str], bool]
    times: int
    status: int
    retry_after: int | None = None


@dataclass
class Knobs:
    """What goes wrong on purpose."""

    latency_seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    is_partitioned: bool = False
    bookmark_seconds: float = 5.0
    rules: dict[str, list[dict[str, list[str]]]] = field(default_factory=dict)
    """RBAC rules by user; a user without an entry may do everything. `namespaces` in a rule are those of its Roles."""


class FakeKube:
    """A context manager: `with FakeKube() as fake: cluster = fake.cluster("serving-operator")`.

    Serves the CRDs of `crds/`; Gateway API unless `gateway=False`; KEDA's ScaledObject with `keda=True`; https with `tls`.
    """

    def __init__(
        self,
        *,
        gateway: bool = True,
        keda: bool = False,
        crds: Path | None = Path("crds"),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self.knobs = Knobs()
        self.log: list[Request] = []
        self.store = Store()
        self.requests = Requests(self.store)
        self.url = ""
        self._resources = list(built_in(gateway, keda))
        self._crds = sorted(crds.glob("*.yaml")) if crds is not None else []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake API server", daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self._seed)
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # For tests

    def do(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run a function in the server's loop, where the store lives."""
        future: Future[T] = Future()

        def call() -> None:
            try:
                future.set_result(function(*arguments, **named))
            except BaseException as error:
                future.set_exception(error)

        self._loop.call_soon_threadsafe(call)
        return future.result(10)

    def cluster(self, field_manager: str, user: str | None = None, **options: Any) -> Cluster:
        """Our own client, authenticated as `user` (the field manager unless stated)."""
        configuration = Configuration(host=self.url)
        configuration.api_key["BearerToken"] = f"Bearer {user or field_manager}"
        return Cluster(Transport(ApiClient(configuration), **options), field_manager=field_manager)

    def kubeconfig(self, path: Path, user: str) -> Path:
        """Write a kubeconfig for other clients; the token is the user's name."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": user, "user": {"token": user}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": user}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def objects(self, kind: Kind, namespace: str | None = None) -> list[Json]:
        """All objects of a kind, without a request."""
        return self.do(
            lambda: [
                record.shown
                for (ns, _), record in self.store.objects[self.resource(kind)].items()
                if namespace in (None, ns)
            ]
        )

    def get(self, kind: Kind, name: str, namespace: str = "") -> Json:
        """One object or None, without a request."""
        record = self.do(lambda: self.store.objects[self.resource(kind)].get((namespace, name)))
        return record and record.shown

    def write(self, manifest: Json, manager: str = "test", subresource: str = "") -> Json:
        """Server-side apply with force, without a request."""
        metadata = manifest["metadata"]
        kind = next(
            r.kind
            for r in self.store.objects
            if (r.kind.api_version, r.kind.name) == (manifest["apiVersion"], manifest["kind"])
        )
        target = Target(self.resource(kind), metadata.get("namespace", ""), metadata["name"], subresource)
        return self.do(lambda: self.requests.apply(target, manifest, manager, True)[0])

    def remove(self, kind: Kind, name: str, namespace: str = "", propagation: str = "Background") -> None:
        """Delete, without a request."""
        target = Target(self.resource(kind), namespace, name)
        self.do(self.requests.delete, target, {"propagationPolicy": propagation})

    def namespace(self, name: str) -> str:
        """Make a namespace."""
        self.write({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def history(self) -> list[Change]:
        """Every change of every object, in order of resource versions."""
        return self.do(lambda: list(self.store.history))

    def writes(self, user: str | None = None) -> list[Request]:
        """Requests that were to change something, Leases aside."""
        return [request for request in self.log if request.is_write and user in (None, request.user)]

    def fail(
        self,
        times: int = 1,
        status: int = 503,
        match: Callable[[str, str, str], bool] = lambda verb, resource, name: True,
        retry_after: int | None = None,
    ) -> None:
        """Answer `status` to the next `times` requests for which `match(verb, resource, name)` holds."""
        self.knobs.failures.append(Failure(match, times, status, retry_after))

    def compact(self) -> None:
        """Forget history and end every watch: whoever comes back with an old version is told 410."""
        self.do(self.store.compact)
        self.do(self._end_watches)

    @contextlib.contextmanager
    def partition(self) -> Iterator[None]:
        """No request is answered and every watch breaks, while the block lasts."""
        self.knobs.is_partitioned = True
        self.do(self._end_watches)
        try:
            yield
        finally:
            self.knobs.is_partitioned = False

    def resource(self, kind: Kind) -> Resource:
        """What is served for a kind."""
        return next(resource for resource in self.store.objects if resource.kind == kind)

    # The server

    def _seed(self) -> None:
        for resource in self._resources:
            self.requests.serve(resource)
        namespaces = self.resource(kinds.NAMESPACE)
        for name in ("default", "kube-system", "serving-system"):
            self.requests.create(Target(namespaces, ""), {"metadata": {"name": name}}, "fake")
        for path in self._crds:
            crd = json.loads(_as_json(path))
            if crd["kind"] == kinds.CUSTOM_RESOURCE_DEFINITION.name:
                self.requests.create(Target(self.resource(kinds.CUSTOM_RESOURCE_DEFINITION), ""), crd, "fake")

    async def _start(self) -> None:
        application = web.Application(client_max_size=8 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        self._end_watches()
        assert self._runner is not None
        await self._runner.cleanup()

    def _end_watches(self) -> None:
        for watcher in self.store.watchers:
            watcher.put_nowait(None)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.knobs.latency_seconds:
            await asyncio.sleep(self.knobs.latency_seconds)
        if self.knobs.is_partitioned:
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable
        if (found := discovery.answer(request.path, list(self.store.objects))) is not None:
            return web.json_response(found)
        user = (
            request.headers.get("Impersonate-User")
            or request.headers.get("Authorization", "Bearer anonymous").split(" ", 2)[1]
        )
        target = self._target(request.path)
        if target is None:
            return _refusal(Refused(404, "NotFound", "the server could not find the requested resource"))
        verb, checks = self._meaning(request, target)
        code = 500
        try:
            self._check_allowed(user, checks, target.namespace)
            self._check_failures(verb, checks[0][2], target.name)
            response = await self._answer(request, target, verb)
            code = response.status
        except Refused as refused:
            response, code = _refusal(refused), refused.status
        finally:
            # a watch is noted when it ends
            self.log.append(
                Request(user, verb, checks[0][2], target.namespace, target.name, code, tuple(checks))
            )
        return response

    async def _answer(self, request: web.Request, target: Target, verb: str) -> web.StreamResponse:
        query = request.query
        if verb == "watch":
            return await watch(request, self.store, target, self.knobs.bookmark_seconds)
        if verb == "list":
            return web.json_response(self._listed(target, query))
        if verb == "get":
            return web.json_response(self.requests.get(target))
        body = json.loads(await request.read() or b"{}")
        manager = query.get("fieldManager", "")
        if verb == "create" and target.resource.kind == kinds.SUBJECT_ACCESS_REVIEW:
            return web.json_response(self._reviewed(body), status=201)
        if verb == "create":
            return web.json_response(self.requests.create(target, body, manager or "unknown"), status=201)
        if verb == "update":
            return web.json_response(self.requests.replace(target, body, manager or "unknown"))
        if verb == "delete":
            return web.json_response(self.requests.delete(target, body))
        if request.content_type == "application/apply-patch+yaml":
            shown, is_new = self.requests.apply(target, body, manager, query.get("force") == "true")
            return web.json_response(shown, status=201 if is_new else 200)
        return web.json_response(
            self.requests.patch(target, body, manager or "unknown", request.content_type)
        )

    def _listed(self, target: Target, query: Any) -> Json:
        kind, version = target.resource.kind, self.store.version
        fields = dict(part.split("=", 1) for part in query.get("fieldSelector", "").split(",") if part)
        if set(fields) - {"metadata.name", "metadata.namespace"}:
            raise Refused(400, "BadRequest", f"field label not supported: {', '.join(sorted(fields))}")
        selected = label_selector(query.get("labelSelector", ""))
        start: list[str] = [""]
        if query.get("continue"):
            try:
                version, start = json.loads(query["continue"])
            except ValueError:
                raise Refused(400, "BadRequest", "invalid continue token") from None
            if version < self.store.oldest:
                raise Refused(410, "Expired", "The provided continue parameter is too old")
        items = [
            self.requests.shown(target.resource, record)
            for key, record in sorted(self.store.at_version(target.resource, version).items())
            if target.namespace in ("", key[0])
            and [*key] > start
            and selected(record.manifest["metadata"].get("labels") or {})
            and fields.get("metadata.name", key[1]) == key[1]
            and fields.get("metadata.namespace", key[0]) == key[0]
        ]
        metadata: Json = {"resourceVersion": str(version)}
        limit = int(query.get("limit") or 0)
        if limit and len(items) > limit:
            last = items[limit - 1]["metadata"]
            token = json.dumps([version, [last.get("namespace", ""), last["name"]]])
            metadata |= {"continue": token, "remainingItemCount": len(items) - limit}
            items = items[:limit]
        return {
            "kind": f"{kind.name}List",
            "apiVersion": kind.api_version,
            "metadata": metadata,
            "items": items,
        }

    def _target(self, path: str) -> Target | None:
        for resource in self.store.objects:
            root = resource.kind.root + "/"
            if not path.startswith(root):
                continue
            parts = path[len(root) :].split("/")
            namespace = ""
            if resource.kind.namespaced and parts[0] == "namespaces" and len(parts) > 2:
                namespace, parts = parts[1], parts[2:]
            if parts[0] == resource.kind.plural and len(parts) <= 3:
                subresource = parts[2] if len(parts) > 2 else ""
                known = {"": True, "status": resource.has_status, "scale": resource.scale is not None}
                if known.get(subresource):
                    return Target(resource, namespace, parts[1] if len(parts) > 1 else "", subresource)
        return None

    def _meaning(self, request: web.Request, target: Target) -> tuple[str, list[Check]]:
        by_method = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
        verb = by_method.get(request.method, "get" if target.name else "list")
        if verb == "list" and request.query.get("watch") in ("1", "true"):
            verb = "watch"
        what = target.resource.kind.plural + (f"/{target.subresource}" if target.subresource else "")
        group = target.resource.kind.group
        checks: list[Check] = [(verb, group, what, target.name)]
        exists = target.key in self.store.objects[target.resource]
        if request.content_type == "application/apply-patch+yaml" and not exists and not target.subresource:
            checks.append(("create", group, what, target.name))
        return verb, checks

    def _check_allowed(self, user: str, checks: list[Check], namespace: str) -> None:
        rules = self.knobs.rules.get(user)
        for verb, group, resource, name in checks if rules is not None else ():
            if not any(_allows(rule, verb, group, resource, name, namespace) for rule in rules or ()):
                raise Refused(
                    403,
                    "Forbidden",
                    f'User "{user}" cannot {verb} resource "{resource}" in API group "{group}"',
                )

    def _reviewed(self, body: Json) -> Json:
        """A SubjectAccessReview, answered by the rules of the user; it is not stored."""
        spec = body["spec"]
        asked = spec["resourceAttributes"]
        resource = "/".join(part for part in (asked["resource"], asked.get("subresource")) if part)
        rules = self.knobs.rules.get(spec["user"])
        named = (asked.get("name", ""), asked.get("namespace", ""))
        about = (asked["verb"], asked.get("group", ""), resource, *named)
        allowed = rules is None or any(_allows(rule, *about) for rule in rules)
        return {**body, "metadata": {}, "status": {"allowed": allowed}}

    def _check_failures(self, verb: str, resource: str, name: str) -> None:
        for failure in self.knobs.failures:
            if failure.times > 0 and failure.match(verb, resource, name):
                failure.times -= 1
                refused = Refused(failure.status, "", "made to fail by the test")
                refused.retry_after = failure.retry_after
                raise refused


@functools.cache
def _as_json(path: Path) -> str:
    """A manifest in the form that is quick to read: every fake reads the same CRDs."""
    return json.dumps(yaml.safe_load(path.read_text()))


def _allows(
    rule: dict[str, list[str]], verb: str, group: str, resource: str, name: str, namespace: str
) -> bool:
    names, namespaces = rule.get("resourceNames") or [], rule.get("namespaces") or []
    return (
        bool({verb, "*"} & set(rule.get("verbs") or ()))
        and bool({group, "*"} & set(rule.get("apiGroups") or ()))
        and bool({resource, "*"} & set(rule.get("resources") or ()))
        and (not names or name in names)
        and (not namespaces or namespace in namespaces)
    )


def _refusal(refused: Refused) -> web.Response:
    headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after is not None else {}
    return web.json_response(refused.body, status=refused.status, headers=headers)
