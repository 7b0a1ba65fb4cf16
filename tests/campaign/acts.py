"""What users, strangers and fate do in sequences: each act is `[name, value]`, so that a plan holds it as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from serving_io import kinds
from serving_io.kinds import Kind
from tests.campaign.user import NAME, NAMESPACE, User, external, judged, manifest
from tests.fakes.kube.requests import Refused, Target
from tests.fakes.kube.shapes import Json

IMAGES = ("a", "b", "c", "bad", "unpullable", "crashing", "slow")
CHILDREN: dict[str, Kind] = {
    "deployment": kinds.DEPLOYMENT,
    "service": kinds.SERVICE,
    "autoscaler": kinds.INFERENCE_AUTOSCALER,
    "route": kinds.HTTP_ROUTE,
    "budget": kinds.POD_DISRUPTION_BUDGET,
    "record": kinds.CONTROLLER_REVISION,
}
_TOUCHED = CHILDREN | {"scale": kinds.DEPLOYMENT, "pods": kinds.POD}
_NOT_EDITED = {"predictor.container.image", "route.parentRefs", "route.hostnames"}
Restart = Callable[[], None]


async def act(user: User, name: str, value: Any, restart: Restart) -> None:
    """Do one thing."""
    if name == "wait":
        await asyncio.sleep(value)
    elif name == "crash":
        restart()
    elif name == "image":
        _edit(user, lambda spec: spec["predictor"]["container"].update(image=value))
    elif name == "set":
        _edit(user, lambda spec: _place(spec, value[0].split("."), value[1]))
    elif name == "spec":
        with contextlib.suppress(Refused):
            user.apply({"external": external(), "judged": judged(), "plain": manifest()}[value])
    elif name in ("Promote", "Abort", "Retry"):
        _command(user, name, value)
    elif name == "break":
        _break(user, value)
    elif name == "heal":
        user.world.broken.clear()
        user.world.wake()
    elif name == "delete":
        _delete(user, value)
    elif name == "weigh":
        user.weigh(*value)
    elif name == "autoscaler":
        user.world.autoscaler_is_alive = value
        user.world.wake()
    elif name == "gateway":
        user.world.gateway.is_alive = value
        user.world.wake()
    elif name == "metrics":
        user.world.traffic.answers = value
    elif name == "scrapes":
        user.world.traffic.scrapes = value
    elif name == "demand":
        user.world.demand = value
        user.world.wake()
    elif name == "recreate":
        user.delete(kinds.INFERENCE_SERVICE, NAME)
        user.apply(manifest())
    else:
        raise ValueError(name)


def _edit(user: User, change: Callable[[Json], None]) -> None:
    if not user.service:
        return
    stated = {"metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": copy.deepcopy(user.service["spec"])}
    change(stated["spec"])
    try:
        user.apply(stated)
    except (Refused, ValueError):
        return  # the API server, or our own model of it, refuses: nothing has happened


def _place(spec: Json, path: list[str], value: Any) -> None:
    *parents, last = path
    for key in parents:
        spec = spec.setdefault(key, {})
    spec[last] = value


def _command(user: User, kind: str, which: str) -> None:
    status = user.status
    ids = {
        "current": (status.get("canary") or {}).get("id"),
        "stable": (status.get("stable") or {}).get("id"),
        "rejected": (status.get("rejected") or [{}])[-1].get("id"),
        "junk": "deadbeef-3",
    }
    if user.service and (which == "none" or ids[which]):
        user.label(kind, None if which == "none" else ids[which])


def _break(user: User, role: str) -> None:
    revision = (user.status.get(role) or {}).get("revision")
    if revision:
        user.world.broken.add(revision)
        user.world.wake()


def _delete(user: User, which: str) -> None:
    names = sorted(name for namespace, name in user.api.records(CHILDREN[which]) if namespace == NAMESPACE)
    if names:
        user.delete(CHILDREN[which], names[-1])


# Done and undone while nobody looks


def hidden(user: User, what: str) -> bool:
    """Do something and undo it at once, so that only who watches without a gap sees it. Whether there was anything to do."""
    if not user.service or (what == "label" and "canary" not in user.status):
        return False
    if what in _TOUCHED and not _names(user, _TOUCHED[what]):
        return False
    if what == "spec":
        before = copy.deepcopy(user.service["spec"])
        _edit(user, lambda spec: spec["predictor"]["container"].update(image="hidden"))
        _edit(user, lambda spec: spec.update(before))
    elif what == "label":
        labels = dict(user.service["metadata"].get("labels") or {})
        for kind in ("Promote", "Abort"):
            user.label(kind, user.status["canary"]["id"])
        for kind, label in (
            ("Promote", "serving-operator.dev/promote"),
            ("Abort", "serving-operator.dev/abort"),
        ):
            user.label(kind, labels.get(label))
    elif what == "route":
        user.weigh(10, 90)
        route = user.api.get(kinds.HTTP_ROUTE, NAME, NAMESPACE)
        weights = _written(route) if route else []
        if route:
            user.weigh(*weights)
    elif what == "scale":
        for name in _names(user, kinds.DEPLOYMENT):
            live = user.api.get(kinds.DEPLOYMENT, name, NAMESPACE)["spec"]["replicas"]
            for number in (live + 1, live):
                user.world.scale_by_hand(name, NAMESPACE, number)
    elif what == "status":
        # A restore from a backup: whoever restores leaves the status out.
        user.api.put(
            "user", kinds.INFERENCE_SERVICE, {k: v for k, v in user.service.items() if k != "status"}
        )
    elif what == "pods":
        for name in _names(user, kinds.POD):
            user.delete(kinds.POD, name)
    elif what in CHILDREN:
        for name in _names(user, CHILDREN[what]):
            _recreate(user, CHILDREN[what], name)
    return True


def _written(route: Json) -> list[int]:
    text = (route["metadata"].get("annotations") or {}).get("serving-operator.dev/weights", "{}")
    weights = json.loads(text)
    return [weights.get(e["name"].rpartition("-")[2], 0) for e in route["spec"]["rules"][0]["backendRefs"]]


def _names(user: User, kind: Kind) -> list[str]:
    return sorted(name for namespace, name in user.api.records(kind) if namespace == NAMESPACE)


def _recreate(user: User, kind: Kind, name: str) -> None:
    """Delete and restore from a backup: the same object under another uid, its owner kept, without its status."""
    manifest = user.api.records(kind)[NAMESPACE, name].manifest
    user.delete(kind, name)
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in ("uid", "resourceVersion")}
    with user.api.acting("user"):
        user.api.requests.create(
            Target(user.api.resource(kind), NAMESPACE), {**manifest, "metadata": metadata}, "restore"
        )


# What may be done, for sequences


@cache
def fields() -> tuple[tuple[str, Json], ...]:
    """Paths of the spec whose values can be drawn from the CRD's schema: numbers, booleans, enumerations."""
    crd = yaml.safe_load(Path("crds/inferenceservices.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return tuple(_leaves(schema, ""))


def _leaves(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    for key, inner in (schema.get("properties") or {}).items():
        here = f"{path}.{key}".lstrip(".")
        if here in _NOT_EDITED or here.startswith("predictor.model"):
            continue
        if inner.get("type") == "object" and "properties" in inner:
            yield from _leaves(inner, here)
        elif inner.get("type") in ("integer", "boolean") or "enum" in inner:
            yield here, inner


def drawn(chance: random.Random, schema: Json) -> Any:
    """A value: usually a valid one, at its bounds or between; sometimes one that the schema refuses."""
    wrong = chance.random() < 0.15
    if "enum" in schema:
        return "Nonsense" if wrong else chance.choice(schema["enum"])
    if schema["type"] == "boolean":
        return "yes" if wrong else chance.random() < 0.5
    least, most = int(schema.get("minimum", 0)), int(schema.get("maximum", 100))
    if wrong:
        return chance.choice((least - 1, most + 1, "many"))
    return chance.choice((least, min(most, least + 1), min(most, least + chance.randint(0, 6))))


def mutations(seed: int, length: int = 10) -> tuple[tuple[str, Any], ...]:
    """Operations of a sequence, each followed by some time."""
    chance = random.Random(f"mutations {seed}")
    made: list[tuple[str, Any]] = []
    for _ in range(length):
        kind = chance.choice(("image", "set", "set", "set", "command", "delete", "weigh", "spec"))
        if kind == "image":
            made.append(("image", chance.choice(IMAGES)))
        elif kind == "set":
            path, schema = chance.choice(fields())
            made.append(("set", [path, drawn(chance, schema)]))
        elif kind == "command":
            which = chance.choice(("current", "current", "stable", "rejected", "junk", "none"))
            made.append((chance.choice(("Promote", "Promote", "Abort", "Retry")), which))
        elif kind == "delete":
            made.append(("delete", chance.choice(sorted(CHILDREN))))
        elif kind == "weigh":
            made.append(("weigh", [chance.choice((0, 50, 100)), chance.choice((0, 50, 100))]))
        else:
            made.append(("spec", chance.choice(("plain", "external", "judged"))))
        made.append(("wait", chance.choice((0, 1, 3, 12, 25))))
    return tuple(made)
