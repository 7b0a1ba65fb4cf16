"""Giving a command: the label is set on the very object that was read, and the operator's answer is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
from pydantic import ValidationError

from serving_api.names import ServiceKey
from serving_io.cluster import Cluster
from serving_io.errors import Forbidden, NotFound
from serving_io.kinds import CONTROLLER_REVISION, DEPLOYMENT, INFERENCE_SERVICE
from serving_operator.cache import Cache
from serving_operator.rollout.commands import LABELS
from serving_operator.watched import OURS
from serving_operator.world import Manifest, World
from servingctl.commanding import Chosen, Kind, Refusal, choose
from servingctl.connecting import Where
from servingctl.exits import FOUND, OK, Stop
from servingctl.observing import service
from servingctl.output import show

POLL_SECONDS = 0.5
DOES: Mapping[str, str] = {
    "Promote": "is being promoted",
    "Abort": "is being aborted",
    "Retry": "is being tried again",
}
WOULD: Mapping[str, str] = {
    "Promote": "would be promoted",
    "Abort": "would be aborted",
    "Retry": "would be tried again",
}


def give(
    kind: Kind,
    name: str,
    where: Where,
    *,
    attempt: str | None,
    committed: bool = False,
    wait_seconds: float,
    dry_run: bool,
    output: str,
) -> int:
    """Give the command and say what became of it; returns the exit code. Raises `Stop` where it cannot be given."""
    key = ServiceKey(where.namespace, name)

    async def work(cluster: Cluster) -> tuple[Chosen, str]:
        live = await service(cluster, key)
        if live is None:
            raise Stop(
                f"there is no InferenceService {name} in namespace {key.namespace}; see servingctl status",
                FOUND,
            )
        try:
            chosen = choose(
                kind,
                await _world(cluster, key, live),
                datetime.now(UTC),
                attempt=attempt,
                committed=committed,
            )
        except ValidationError as error:
            raise Stop(
                f"the spec cannot be read by this version: {error.errors()[0]['msg']}", FOUND
            ) from None
        if isinstance(chosen, Refusal):
            raise Stop(f"{chosen.message} ({chosen.reason})", FOUND)
        if chosen.accepted_at is not None:
            return chosen, "AcceptedBefore"
        if dry_run:
            return chosen, "DryRun"
        labels = spent(live) | {chosen.label: chosen.attempt}
        body = {"metadata": {"uid": live["metadata"]["uid"], "labels": labels}}
        await cluster.patch(INFERENCE_SERVICE, name, key.namespace, body)
        return chosen, await _outcome(cluster, key, chosen, wait_seconds)

    chosen, outcome = where.ask(work)
    value = {
        "service": str(key),
        "command": kind,
        "attempt": chosen.attempt,
        "outcome": outcome.partition(":")[0],
    }
    show(value, output, _said(key, chosen, outcome))
    return FOUND if outcome.startswith(("Ignored", "Unanswered")) else OK


def command_options(function: Any) -> Any:
    """Add the options that all commands by label share."""
    for option in (
        click.option("--attempt", metavar="ID", help="Only if it is for this attempt, such as 3f9c2a71-2."),
        click.option(
            "--wait", "wait_seconds", type=click.FloatRange(0, 600), default=10.0, show_default=True, metavar="SECONDS",
            help="How long to wait for the operator's answer; 0 is not at all.",
        ),
        click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
    ):  # fmt: skip
        function = option(function)
    return function


def spent(service: Manifest) -> dict[str, str | None]:
    """Return a patch that removes the command labels that were obeyed: they would only be told of as stale."""
    commands = {(entry["kind"], entry["id"]) for entry in (service.get("status") or {}).get("commands") or ()}
    labels = service["metadata"].get("labels") or {}
    return {label: None for kind, label in LABELS if (kind, labels.get(label)) in commands}


async def _world(cluster: Cluster, key: ServiceKey, live: Manifest) -> World:
    """Read what the judgement needs, and no more: who may set labels need not be allowed to read pods."""
    cache = Cache()
    cache.put(live)
    for kind in (CONTROLLER_REVISION, DEPLOYMENT):
        try:
            for item in (await cluster.list(kind, key.namespace, label_selector=OURS)).items:
                cache.put(item)
        except Forbidden:
            continue  # the operator sees them, and judges again
    world = cache.world(key, routes_served=True)
    assert world is not None
    return world


async def _outcome(cluster: Cluster, key: ServiceKey, chosen: Chosen, wait_seconds: float) -> str:
    if not wait_seconds:
        return "Given"
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while loop.time() < deadline:
        try:
            status = (await cluster.get(INFERENCE_SERVICE, key.name, key.namespace)).get("status") or {}
        except NotFound:
            return "Ignored: the service was deleted meanwhile"
        if any(
            (entry["kind"], entry["id"]) == (chosen.kind, chosen.attempt)
            for entry in status.get("commands") or ()
        ):
            return "Accepted"
        for condition in status.get("conditions") or ():
            is_ours = f"{chosen.label}={chosen.attempt}" in condition["message"]
            if condition["type"] == "CommandIgnored" and condition["status"] == "True" and is_ours:
                return f"Ignored: {condition['message']}"
        await asyncio.sleep(min(POLL_SECONDS, wait_seconds))
    return "Unanswered"


def _said(key: ServiceKey, chosen: Chosen, outcome: str) -> str:
    what = f"{key}: attempt {chosen.attempt}"
    said = {
        "Accepted": f"{what} {DOES[chosen.kind]}: the operator has accepted the command; follow it by servingctl status {key.name}",
        "AcceptedBefore": f"{what}: this command was accepted at {chosen.accepted_at}; there is nothing left to do",
        "DryRun": f"{what} {WOULD[chosen.kind]}, by the label {chosen.label}={chosen.attempt}",
        "Given": f"{what}: label {chosen.label} is set; the operator answers in the status",
        "Unanswered": f"{what}: label {chosen.label} is set, and the operator has not answered yet; look whether it runs: "
        "servingctl check",
    }
    return said.get(outcome) or f"{what}: {outcome.partition(': ')[2]}"
