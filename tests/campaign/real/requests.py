"""The verbs of the fake, carried out by a real API server: the same arguments, answers and refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from serving_io.transport import APPLY, JSON
from tests.campaign.real.connection import Connection, Lost
from tests.campaign.real.mirror import Mirror
from tests.campaign.user import NAMESPACE
from tests.fakes.kube.requests import Body, Refused, Target
from tests.fakes.kube.resources import Resource

OVERLOADED = (429, 503, 504)
"""What may or may not have been carried out: such faults are the plan's to make."""


class RealRequests:
    """Requests of one run. `actor()`: who writes without a field manager of his own."""

    def __init__(self, connection: Connection, mirror: Mirror, actor: Callable[[], str]) -> None:
        self._connection, self._mirror = connection, mirror
        self.actor = actor

    def get(self, target: Target) -> Body:
        """GET of an object or of its scale."""
        return self._mirror.stamped(self._asked("GET", _path(target)))

    def listed(self, target: Target, query: Mapping[str, str]) -> Body:
        """LIST, a page of it."""
        path = target.resource.kind.path(target.namespace or NAMESPACE)  # other runs share the server
        answer = self._asked("GET", path, query=query)
        return {**answer, "items": [self._mirror.stamped(item) for item in answer.get("items") or ()]}

    def discovered(self, path: str) -> Body:
        """What discovery answers."""
        return self._asked("GET", path)

    def create(self, target: Target, body: Body, manager: str) -> Body:
        """POST."""
        path = target.resource.kind.path(target.namespace or None)
        return self._written(target, self._asked("POST", path, body, query=_by(manager)))

    def replace(self, target: Target, body: Body, manager: str) -> Body:
        """PUT of an object, its status or its scale."""
        return self._written(target, self._asked("PUT", _path(target), body, query=_by(manager)))

    def patch(self, target: Target, body: Any, manager: str, content_type: str) -> Body:
        """Merge patch or JSON patch of an object, its status or its scale."""
        return self._written(target, self._asked("PATCH", _path(target), body, content_type, _by(manager)))

    def apply(self, target: Target, body: Body, manager: str, force: bool) -> tuple[Body, bool]:
        """Server-side apply; also says whether it created the object."""
        is_new = target.key not in self._mirror.objects[target.resource]
        query = {"fieldManager": manager, "force": str(force).lower()}
        return self._written(target, self._asked("PATCH", _path(target), body, APPLY, query)), is_new

    def delete(self, target: Target, options: Body) -> Body:
        """DELETE with preconditions and propagation policy."""
        stated = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
        known = self._mirror.objects[target.resource].get(target.key)
        answer = self._asked("DELETE", _path(target), stated)
        is_held = answer["kind"] != "Status" and _is_held(answer)
        assert known is not None  # nobody else writes in the run's namespaces
        self._mirror.learn(target.resource, answer if is_held else known.shown, gone=not is_held)
        return answer if answer["kind"] == "Status" else self._mirror.stamped(answer)

    def shown(self, resource: Resource, record: Any) -> Body:
        """As the API server answers it."""
        shown: Body = record.shown
        return shown

    def _written(self, target: Target, answer: Body) -> Body:
        gone = "deletionTimestamp" in answer["metadata"] and not _is_held(answer)
        self._mirror.learn(target.resource, answer, gone=gone)
        return self._mirror.stamped(answer)

    def _asked(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Body:
        answer = self._connection.ask(method, path, body, content_type, query)
        if answer.status in OVERLOADED or answer.body.get("reason") == "ServerTimeout":
            raise Lost(f"{method} {path}: {answer.body}")
        if answer.status >= 400:
            refused = Refused(
                answer.status, answer.body.get("reason") or "", answer.body.get("message") or ""
            )
            refused.body, refused.retry_after = answer.body, answer.retry_after
            raise refused
        found: Body = answer.body
        return found


def _path(target: Target) -> str:
    return target.resource.kind.path(target.namespace or None, target.name, target.subresource or None)


def _is_held(answer: Body) -> bool:
    """Whether an object that is being deleted stays for a while."""
    metadata = answer["metadata"]
    return bool(metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds"))


def _by(manager: str) -> dict[str, str]:
    return {"fieldManager": manager} if manager else {}
