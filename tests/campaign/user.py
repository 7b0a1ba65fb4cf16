"""What people do to a service, and how they see what has come of it."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from typing import Any

from serving_api.names import ABORT_LABEL, PROMOTE_LABEL, RETRY_LABEL, REVISION_LABEL
from serving_api.revision import revision_of
from serving_api.service import InferenceService
from serving_io import kinds
from serving_io.kinds import Kind
from tests.campaign.api import Api
from tests.campaign.cluster import Surroundings
from tests.campaign.invariants import SECRET, Watcher
from tests.fakes.kube.requests import Refused, Target
from tests.fakes.kube.shapes import Json

NAMESPACE, NAME = "team", "digits"
LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 120.0
"""Seconds after the last fault within which everything has to come right (on top of what it takes without faults)."""
LABELS = {"Promote": PROMOTE_LABEL, "Abort": ABORT_LABEL, "Retry": RETRY_LABEL}


class Waited(Exception):  # noqa: N818
    """What was waited for did not come."""


def manifest(image: str = "a", **spec: Any) -> Json:
    """A service as a user writes it. Its pods take a Secret that nobody else may learn."""
    secret = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}}
    made = {
        "predictor": {
            "container": {"image": image, "env": [secret]},
            "minReplicas": 1,
            "maxReplicas": 4,
            "timeout": 12,
        },
        "objective": {"indicator": "RequestLatency", "thresholdMilliseconds": 300, "percent": 99},
        "scaling": {"class": "Auto"},
        "rollout": {
            "steps": [{"weight": 20}],
            "progressDeadlineSeconds": 60,
            "capacityDeadlineSeconds": 120,
            "soakSeconds": 3,
        },
        "route": {"parentRefs": [{"name": "local", "namespace": "team"}], "hostnames": ["digits.test"]},
    }
    return {"metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": made | spec}


def external(image: str = "a", replicas: int = 2) -> Json:
    """A service whose replicas somebody else sets."""
    made = manifest(image, scaling={"class": "External", "external": {"replicas": replicas}})
    for name in ("minReplicas", "maxReplicas"):
        del made["spec"]["predictor"][name]
    del made["spec"]["objective"]
    return made


def judged(image: str = "a", weights: tuple[int, ...] = (20, 50, 80), **rollout: Any) -> Json:
    """A service whose rollouts are judged step by step, and promote or reject themselves."""
    made = manifest(image)
    made["spec"]["rollout"] |= {
        "steps": [{"weight": weight} for weight in weights],
        "promotion": "Automatic",
        "analysis": {
            "source": "envoy-gateway",
            "windowSeconds": 10,
            "stepDeadlineSeconds": 90,
            "onInconclusive": "Abort",
        },
    } | rollout
    return made


class User:
    """Acts, and waits for what follows. `usual`: how long each wait takes without faults; None in that very run."""

    def __init__(self, api: Api, world: Surroundings, watcher: Watcher, usual: list[float] | None) -> None:
        self.api, self.world = api, world
        self.waits: list[float] = []
        self.restart: Callable[..., None] = lambda away_seconds=0.0, **settings: None
        self._watcher, self._usual = watcher, usual
        self._hashes: dict[str, str] = {}
        secret = {"metadata": {"name": "token", "namespace": NAMESPACE}, "stringData": {"token": SECRET}}
        api.apply("user", {"metadata": {"name": NAMESPACE}}, kinds.NAMESPACE, "user")
        api.apply("user", secret, kinds.SECRET, "user")

    # What is

    @property
    def service(self) -> Json:
        """The service; empty without one."""
        return self.api.get(kinds.INFERENCE_SERVICE, NAME, NAMESPACE) or {}

    @property
    def status(self) -> Json:
        """Its status."""
        return self.service.get("status") or {}

    def condition(self, kind: str) -> Json:
        """One of its conditions; empty if it is not there."""
        return next((c for c in self.status.get("conditions") or () if c["type"] == kind), {})

    def revision(self, image: str) -> str:
        """The revision that an image makes, in the service as it is."""
        spec = copy.deepcopy(self.service["spec"])
        spec["predictor"]["container"]["image"] = image
        text = json.dumps(spec["predictor"], sort_keys=True)
        if text not in self._hashes:
            parsed = InferenceService.parse({**self.service, "spec": spec})
            self._hashes[text] = revision_of(parsed.spec.predictor)
        return self._hashes[text]

    def name_of(self, image: str) -> str:
        """Name of the objects of a revision."""
        return f"{NAME}-{self.revision(image)}"

    def pods(self, image: str) -> list[Json]:
        """The pods of a revision that answer."""
        return self.world.ready_pods({REVISION_LABEL: self.revision(image)}, NAMESPACE)

    # What they do

    def apply(self, stated: Json) -> None:
        """Apply a service as it is written."""
        self.api.apply("user", stated, kinds.INFERENCE_SERVICE, "user")
        uid = self.service["metadata"]["uid"]
        self._watcher.asks_for(uid, revision_of(InferenceService.parse(self.service).spec.predictor))

    def replace(self, stated: Json) -> None:
        """Write a service as it is written, with nothing left of what was stated or filled in before."""
        target = Target(self.api.resource(kinds.INFERENCE_SERVICE), NAMESPACE, NAME)
        with self.api.acting("user"):
            self.api.requests.replace(target, {**self.service, "spec": stated["spec"]}, "user")

    def label(self, kind: str, value: str | None) -> None:
        """Set a command label; None takes it away."""
        with_labels = copy.deepcopy(self.service)
        labels = with_labels["metadata"].setdefault("labels", {})
        if value is None:
            labels.pop(LABELS[kind], None)
        else:
            labels[LABELS[kind]] = value
        if not labels:
            del with_labels["metadata"]["labels"]
        self.api.put("user", kinds.INFERENCE_SERVICE, with_labels)

    def command(self, kind: str) -> None:
        """Give a command for the attempt under way."""
        self.label(kind, self.status["canary"]["id"])

    def delete(self, kind: Kind, name: str, propagation: str = "Background") -> None:
        """Delete something."""
        self.api.delete("user", kind, name, NAMESPACE, propagation)

    def edit(self, kind: Kind, name: str, change: Callable[[Json], None]) -> None:
        """Edit something of somebody else's."""
        live = self.api.get(kind, name, NAMESPACE)
        if live is None:
            return
        stated: Json = {
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": copy.deepcopy(live["spec"]),
        }
        change(stated["spec"])
        try:
            self.api.apply("user", stated, kind, "somebody")
        except Refused:
            return

    def weigh(self, *weights: int) -> None:
        """Edit the weights of the route."""

        def change(spec: Json) -> None:
            for entry, weight in zip(spec["rules"][0]["backendRefs"], weights, strict=False):
                entry["weight"] = weight

        self.edit(kinds.HTTP_ROUTE, NAME, change)

    def break_pods(self, image: str, broken: bool = True) -> None:
        """Let the pods of a revision fail, or get well."""
        (self.world.broken.add if broken else self.world.broken.discard)(self.revision(image))
        self.world.wake()

    # What they wait for

    async def until(self, what: Callable[[], Any], name: str, usual: float | None = None) -> None:
        """Wait until something is so, which takes `usual` seconds where nothing is wrong; raises `Waited` when it is overdue."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        index = len(self.waits)
        if usual is None:
            usual = self._usual[index] if self._usual and index < len(self._usual) else 300.0
        while not what():
            if loop.time() > max(began, self.api.last_fault) + usual + PATIENCE_SECONDS:
                raise Waited(f"{name}: {self.status.get('canary') or self.status.get('stable')}")
            await asyncio.sleep(LOOK_SECONDS)
        self.waits.append(loop.time() - began)

    async def rest(self, seconds: float) -> None:
        """Do nothing for a while."""
        await asyncio.sleep(seconds)

    async def committed(self, image: str) -> None:
        """Wait until a revision is stable, alone, and ready."""

        def is_so() -> bool:
            stable = self.status.get("stable") or {}
            alone = "canary" not in self.status and self.condition("Ready").get("status") == "True"
            return bool(stable) and alone and stable["revision"] == self.revision(image)

        await self.until(is_so, f"{image} is committed")

    async def at_step(self, image: str) -> None:
        """Wait until a revision has the weight of its step and waits for its label."""
        await self.verdict(image, "WaitingForPromotion")

    async def verdict(self, image: str, verdict: str) -> None:
        """Wait until the attempt at a revision says something."""

        def is_so() -> bool:
            canary = self.status.get("canary") or {}
            return bool(canary) and (canary["revision"], canary["verdict"]) == (self.revision(image), verdict)

        await self.until(is_so, f"{image} says {verdict}")

    async def at_weight(self, image: str, weight: int) -> None:
        """Wait until the proxies give the attempt at a revision a weight."""

        def is_so() -> bool:
            canary = self.status.get("canary") or {}
            return bool(canary) and (canary["revision"], canary.get("weight")) == (
                self.revision(image),
                weight,
            )

        await self.until(is_so, f"{image} has {weight}%")

    async def begun(self, image: str) -> None:
        """Wait until an attempt at a revision is under way."""
        await self.until(
            lambda: (self.status.get("canary") or {}).get("revision") == self.revision(image),
            f"{image} has begun",
        )

    async def rejected(self, image: str) -> None:
        """Wait until a revision is rejected and gone."""
        await self.until(
            lambda: (
                "canary" not in self.status
                and any(e["revision"] == self.revision(image) for e in self.status.get("rejected") or ())
            ),
            f"{image} is rejected",
        )
        await self.left(image)

    async def left(self, image: str) -> None:
        """Wait until nothing of a revision runs."""
        await self.until(
            lambda: self.api.get(kinds.DEPLOYMENT, self.name_of(image), NAMESPACE) is None,
            f"{image} has left",
        )
