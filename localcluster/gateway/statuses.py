"""Statuses: what each object is told, given what Envoy has in force. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcluster.gateway.attachment import Attachment, Listener
from localcluster.gateway.translate import GatewayAnswer, RouteAnswer, Translation, port_name
from localcluster.gateway.world import CONTROLLER_NAME, GATEWAY_GROUP, Verdict, World, generation_of
from localcluster.objects import Object, dated


@dataclass(frozen=True)
class InForce:
    """What Envoy serves of the content last written, by name; and its reasons where it refused."""

    clusters: bool = False
    warming: bool = True
    listeners: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    endpoints: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Envoy's message by listener or route configuration; the key `clusters` stands for all clusters."""

    def refusal(self, name: str) -> str | None:
        """Why Envoy does not serve a port as written, if it refused."""
        return self.refused.get("clusters") or self.refused.get(name)

    def serves(self, name: str) -> bool:
        """Whether a port's listener and routes are in force, and every cluster that they may name."""
        return self.clusters and not self.warming and name in self.listeners and name in self.routes


@dataclass(frozen=True)
class StatusWrite:
    """A status that differs from the one stored."""

    plural: str
    item: Object
    status: dict[str, Any]


def status_writes(world: World, translation: Translation, force: InForce, now: str) -> Iterator[StatusWrite]:
    """The statuses that have to change; nothing is said yet of what Envoy has neither taken nor refused.

    `now` is an RFC 3339 time, used where a condition changes.
    """
    for item in world.our_classes().values():
        verdict = Verdict("Accepted", True, "Accepted")
        status = item.get("status", {})
        wanted = {**status, "conditions": _conditions(status, [verdict], generation_of(item), now)}
        yield from _if_changed("gatewayclasses", item, wanted)
    for gateway in translation.gateway_answers:
        stored = world.gateways[gateway.key]
        yield from _if_changed("gateways", stored, _gateway_status(stored, gateway, force, now))
    for answer in translation.route_answers:
        stored = world.routes[answer.key]
        yield from _if_changed("httproutes", stored, _route_status(stored, answer, force, now))
    answered = {answer.key for answer in translation.route_answers}
    for key, stored in world.routes.items():
        if key not in answered and any(_ours(entry) for entry in stored.get("status", {}).get("parents", [])):
            others = [entry for entry in stored["status"]["parents"] if not _ours(entry)]
            yield StatusWrite("httproutes", stored, {"parents": others})


def _ours(entry: Object) -> bool:
    return bool(entry.get("controllerName") == CONTROLLER_NAME)


def _if_changed(plural: str, item: Object, status: dict[str, Any]) -> Iterator[StatusWrite]:
    if status != item.get("status", {}):
        yield StatusWrite(plural, item, status)


def _conditions(
    holder: Object, verdicts: Iterable[Verdict], generation: int, now: str
) -> list[dict[str, Any]]:
    """Conditions in the order of the verdicts."""
    return [
        dated(
            {
                "type": verdict.type,
                "status": "True" if verdict.status else "False",
                "observedGeneration": generation,
                "reason": verdict.reason,
                "message": verdict.message,
            },
            holder.get("conditions", []),
            now,
        )
        for verdict in verdicts
    ]


def _route_status(stored: Object, answer: RouteAnswer, force: InForce, now: str) -> dict[str, Any]:
    entries = stored.get("status", {}).get("parents", [])
    before = [entry for entry in entries if _ours(entry)]
    wanted = []
    for attachment in answer.attachments:
        old = next((entry for entry in before if entry["parentRef"] == attachment.parent_ref), None)
        accepted = _accepted(attachment, answer, force)
        if accepted is None:
            wanted += [old] if old is not None else []
            continue
        conditions = _conditions(old or {}, [accepted, answer.resolved], answer.generation, now)
        wanted.append(
            {
                "parentRef": attachment.parent_ref,
                "controllerName": CONTROLLER_NAME,
                "conditions": conditions,
            }
        )
    if wanted == before:
        return dict(stored.get("status", {}))
    return {"parents": [entry for entry in entries if not _ours(entry)] + wanted}


def _accepted(attachment: Attachment, answer: RouteAnswer, force: InForce) -> Verdict | None:
    """The route's Accepted condition; None while Envoy has neither taken nor refused its content."""
    names = [port_name(port) for port in attachment.hostnames_by_port]
    for name in names:
        message = force.refusal(name)
        if message is not None:
            return Verdict(
                "Accepted", False, "UnsupportedValue", f"Envoy refused the configuration: {message}"
            )
    if all(force.serves(name) for name in names) and answer.clusters <= force.endpoints:
        return attachment.accepted
    return None if names else attachment.accepted


def _gateway_status(stored: Object, answer: GatewayAnswer, force: InForce, now: str) -> dict[str, Any]:
    status = stored.get("status", {})
    old = {entry["name"]: entry for entry in status.get("listeners", [])}
    listeners = []
    programmed: list[Verdict] = []
    for listener, attached in answer.listeners:
        verdict = _programmed(listener, force)
        if verdict is None:
            return dict(status)
        programmed.append(verdict)
        listeners.append(
            {
                "name": listener.name,
                "supportedKinds": [{"group": GATEWAY_GROUP, "kind": "HTTPRoute"}],
                "attachedRoutes": attached,
                "conditions": _conditions(
                    old.get(listener.name, {}),
                    [*_listener_verdicts(listener), verdict],
                    answer.generation,
                    now,
                ),
            }
        )
    bad = [verdict for verdict in programmed if not verdict.status]
    served = len(bad) < len(programmed)
    verdicts = [
        Verdict("Accepted", served or not bad, "Accepted" if not bad else "ListenersNotValid"),
        Verdict(
            "Programmed",
            served,
            "Programmed" if served else "Invalid",
            "; ".join(verdict.message for verdict in bad),
        ),
    ]
    return {
        **status,
        "addresses": [{"type": "IPAddress", "value": "127.0.0.1"}],
        "conditions": _conditions(status, verdicts, answer.generation, now),
        "listeners": listeners,
    }


def _listener_verdicts(listener: Listener) -> list[Verdict]:
    verdicts = [
        Verdict("Accepted", True, "Accepted"),
        Verdict("ResolvedRefs", True, "ResolvedRefs"),
        Verdict("Conflicted", False, "NoConflicts"),
    ]
    problem = listener.problem
    return [problem if problem is not None and problem.type == item.type else item for item in verdicts]


def _programmed(listener: Listener, force: InForce) -> Verdict | None:
    if listener.problem is not None:
        return Verdict("Programmed", False, "Invalid", listener.problem.message)
    name = port_name(listener.port)
    message = force.refusal(name)
    if message is not None:
        return Verdict("Programmed", False, "Invalid", f"port {listener.port}: Envoy refused: {message}")
    return Verdict("Programmed", True, "Programmed") if force.serves(name) else None
