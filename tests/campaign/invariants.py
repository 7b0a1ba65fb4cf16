"""The invariants of a rollout, checked at every version of the store by somebody who is not the operator.

S1 to S16 are those of the specification; J1 to J7, of a judged rollout, are in `judged.py`.
Nothing of the operator's own reading of the world is used: pods, routes and labels are read from the store, the
proxies' view from the surroundings. `window_seconds` is how old what the operator acted on may be.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from serving_api.names import (
    ABORT_LABEL,
    ABORTING_ANNOTATION,
    AUTOSCALER,
    AUTOSCALER_KIND,
    MANAGED_BY_LABEL,
    OPERATOR,
    PROMOTE_LABEL,
    RETRY_LABEL,
    REVISION_LABEL,
    SERVICE_LABEL,
)
from serving_io import kinds
from tests.campaign import clock, judged
from tests.campaign.api import Api, Call, Observer
from tests.campaign.cluster import Surroundings, is_ready
from tests.campaign.gateway import DELAY_SECONDS, backends
from tests.fakes.kube.ownership import Managers
from tests.fakes.kube.shapes import Json
from tests.fakes.kube.store import Change

NAMES = {
    "S1": "weight only for a Service that exists and answers",
    "S2": "capacity before weight, for the canary and for what stays with stable",
    "S3": "nothing that a route or a proxy refers to is removed",
    "S4": "weights sum to 100 and move one way until an abort, the other way after",
    "S5": "promoted only by a label that names the attempt, by a promotion on record that J1 admits, or rolled back by a "
    "label that names what was committed after it",
    "S6": "one canary at a time, and no pods for anything but stable, canary and what the spec asks for",
    "S7": "a revision's pods stay what was recorded of them",
    "S8": "nothing foreign is written",
    "S9": "no field of others is written; the autoscaler's replicas stay its own",
    "S10": "a deleted service leaves nothing behind within 30 s",
    "S11": "observedGeneration is never ahead and never goes back; Ready is true when it is said",
    "S12": "no Secret is read and none is told",
    "S13": "few writes, and none when all is done",
    "S14": "an abort beats a promotion",
    "S15": "no write of a dead process takes effect on what its successor has written",
    "S16": "no request leaves the service's namespace but for the Leases, none of a kind that is not declared",
    "O1": "a weight is raised only after every Gateway has acknowledged the route before it",
    "O2": "the weight that status tells is the one that the proxies carry out",
    "O3": "a revision is committed after it has had all of the traffic for as long as its soak says",
    "O4": "the first write of an abort is that of the route",
    "B1": "stable and canary have no more replicas together than their budget, whoever sets them",
    "B2": "an abort moves no more onto stable than its ready pods carry, while the canary answers (the last pod excepted)",
    "B3": "stable keeps the replicas that the proxies' requests to it take",
    "O5": "an attempt ends when no proxy sends it requests any more, or is committed",
    "D1": "no proxy sends a request where nobody answers",
    "D2": "nothing is removed before the longest request that it got has ended",
    "K1": "pods that are kept warm stay until their time is over or another revision is asked for",
    "X1": "no exception that nobody foresaw",
    "X2": "who has lost the Lease asks for no write any more, and ends",
} | judged.NAMES
SECRET = "s3cr3t-t0ken"
LEFT_BEHIND_SECONDS = 30.0
BROKEN_SECONDS = 10.0
HOT_CALLS, HOT_SECONDS = 120, 5.0
_READ = {
    "inferenceservices", "inferenceautoscalers", "controllerrevisions", "deployments", "services", "pods",
    "poddisruptionbudgets", "endpointslices", "httproutes", "gateways", "leases", "resourcequotas", "discovery",
    "servingruntimes", "clusterservingruntimes",
}  # fmt: skip
_WRITTEN = {
    "inferenceservices/status", "inferenceautoscalers", "controllerrevisions", "deployments", "services",
    "poddisruptionbudgets", "httproutes", "events", "leases",
}  # fmt: skip
_TRAFFIC = {"HTTPRoute", "Service", "InferenceService"}


@dataclass
class Life:
    """What is known of one service, from its creation to its end."""

    given: set[tuple[str, str]] = field(default_factory=set)
    """Command labels that were ever set, as (kind, id)."""
    written: dict[str, int] = field(default_factory=dict)
    """Last weight that the operator gave an attempt."""
    promoted: set[str] = field(default_factory=set)
    """Attempts whose promotion is on record without a label."""
    ended: set[str] = field(default_factory=set)
    """Attempts whose weight the operator took away."""
    drifted: bool = False
    """Somebody else has changed the route since the operator's last write."""
    generation: int = 0
    wanted: deque[tuple[float, str]] = field(default_factory=deque)
    acknowledged: tuple[str, int, float] = ("", 0, 0.0)
    """Of the route: its uid, the generation that was last acknowledged, and when it was."""

    def is_promoted(self, id_: str | None) -> bool:
        """Whether somebody or something has asked for an attempt to get all of the traffic."""
        return ("Promote", id_) in self.given or id_ in self.promoted


class Watcher:
    """Looks at every change. `dark`: the scenario breaks what answers, so that D1 does not hold."""

    def __init__(self, api: Api, world: Surroundings, *, window_seconds: float, dark: bool) -> None:
        self.violations: list[str] = []
        self.writes = 0
        self.last_write = 0.0
        self.asked_at = 0.0
        """When a write was last asked for, whether or not it changed anything."""
        self._api, self._world, self._window, self._dark = api, world, window_seconds, dark
        self._lives: dict[str, Life] = {}
        self._namespaces: set[str] = set()
        """Of the services that ever were."""
        self._gone: dict[str, float] = {}
        self._ready: dict[str, set[str]] = {}
        self._history: dict[str, deque[tuple[float, int]]] = {}
        self._demands: list[tuple[float, int]] = [(0.0, world.demand)]
        self._templates: dict[str, Json] = {}
        self._writers: dict[tuple[str, str, str], int] = {}
        self._calls: deque[float] = deque()
        self._dark_since: dict[str, float] = {}
        self._used: dict[str, float] = {}
        """When a proxy last sent requests to a Service."""
        self.judged = judged.Judged(world.traffic, self.broken, lambda name: self._least(name) == 0, _now)
        api.store.watchers.add(Observer(self._changed))  # type: ignore[arg-type]
        api.on_call = self._called

    def broken(self, invariant: str, what: str) -> None:
        """Note a violation."""
        said = f"{invariant}: {what}"
        if said not in self.violations and len(self.violations) < 20:
            self.violations.append(said)

    # Requests

    def _called(self, call: Call, sender: int) -> None:
        now = _now()
        if call.is_write:
            self.asked_at = now
            if sender < max(self._api.at_work, default=0):
                self.broken(
                    "X2",
                    f"process {sender} asks to {call.verb} {call.resource} {call.name} without the Lease",
                )
        self._calls.append(now)
        while self._calls[0] < now - HOT_SECONDS:
            self._calls.popleft()
        if len(self._calls) > HOT_CALLS:
            self.broken("S13", f"{HOT_CALLS} requests within {HOT_SECONDS:g} s")
            self._calls.clear()
        allowed = _READ if call.verb in ("get", "list") else _WRITTEN
        if call.resource == "secrets":
            self.broken("S12", "a Secret is read")
        if call.resource not in allowed:
            self.broken("S16", f"{call.verb} {call.resource}")
        elsewhere = call.namespace and call.namespace not in self._namespaces
        if call.verb != "list" and elsewhere and call.resource != "leases":
            self.broken("S16", f"{call.verb} {call.resource} in {call.namespace}")

    # Changes

    def _changed(self, change: Change) -> None:
        kind = change.resource.kind.name
        live = change.new or change.old
        assert live is not None
        if kind == "Lease":
            return
        if kind == "Pod":
            self._pod(change, live)
        ours = self._api.actor == "operator"
        if ours:
            if self._api.sender >= max(self._api.at_work, default=0):  # not one that a dead process had sent
                self.writes += 1
                self.last_write = _now()
            self._by_operator(kind, change, live)
        if kind == "Deployment" and self._api.actor in ("operator", "autoscaler"):
            self._budget(change, live)
        if kind == AUTOSCALER_KIND and ours and change.new is not None:
            self._passed(change.new)
        if kind == "InferenceService":
            self._service(change, ours)
        elif kind == "HTTPRoute":
            self._route(change, ours)
        elif kind == "ControllerRevision" and change.new is not None:
            self._templates.setdefault(
                live["metadata"]["name"] + str(_owner(live)), live["data"].get("podTemplate")
            )
            if ours:
                self.judged.recorded(live)

    def _passed(self, autoscaler: Json) -> None:
        life, service = self._lives.get(str(_owner(autoscaler))), self._service_of(autoscaler)
        promoted = self.judged.passed(service, autoscaler) if service is not None else None
        if life is not None and promoted is not None:
            life.promoted.add(promoted)

    def _pod(self, change: Change, live: Json) -> None:
        revision = live["metadata"]["labels"].get(REVISION_LABEL, "")
        names = self._ready.setdefault(revision, set())
        before = len(names)
        if change.new is not None and is_ready(change.new):
            names.add(live["metadata"]["name"])
        else:
            names.discard(live["metadata"]["name"])
        if len(names) != before:
            self._history.setdefault(revision, deque([(0.0, 0)])).append((_now(), len(names)))

    def ready(self, revision: str) -> int:
        """The most pods of a revision that were ready at once within the window."""
        history = self._history.get(revision)
        if history is None:
            return 0
        since = _now() - self._window
        while len(history) > 1 and history[1][0] <= since:
            history.popleft()
        return max(count for _, count in history)

    def _least(self, revision: str) -> int:
        """The fewest pods of a revision that were ready within the window."""
        self.ready(revision)  # forgets what is older
        return min((count for _, count in self._history.get(revision, ())), default=0)

    def _unready_seconds(self, revision: str) -> float:
        history = self._history.get(revision)
        if history is None:
            return _now()
        at, count = history[-1]
        return _now() - at if count == 0 else 0.0

    def _is_stray(self, kind: str, live: Json) -> bool:
        """Whether what is created takes nothing from anybody: its service is gone, or nothing refers to it."""
        metadata = live["metadata"]
        owners = {owner["uid"] for owner in metadata.get("ownerReferences") or ()}
        services = {
            r.manifest["metadata"]["uid"] for r in self._api.records(kinds.INFERENCE_SERVICE).values()
        }
        if not owners & services:
            return True
        routes = [record.manifest for record in self._api.records(kinds.HTTP_ROUTE).values()]
        referred = {name for route in routes for name in backends(route)}
        is_of_revision = metadata["name"] != (metadata.get("labels") or {}).get(SERVICE_LABEL)
        return kind == "Service" and is_of_revision and metadata["name"] not in referred

    def _by_operator(self, kind: str, change: Change, live: Json) -> None:
        metadata = live["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace", "")
        place = (kind, namespace, name)
        successor = self._writers.get(place, 0)
        takes = kind in _TRAFFIC and not (change.old is None and self._is_stray(kind, live))
        if successor > self._api.sender and (takes or change.new is None):
            self.broken("S15", f"process {self._api.sender} wrote {kind} {name} after process {successor}")
        self._writers[place] = max(successor, self._api.sender)
        if kind == "Event":
            if SECRET in str(live):
                self.broken("S12", "an event tells a Secret")
            return
        if metadata.get("finalizers"):
            self.broken("S10", f"{kind} {name} has a finalizer")
        if kind == "InferenceService":
            before, after = change.old or {}, change.new or {}
            same = all(before.get(key) == after.get(key) for key in ("spec",)) and before and after
            labels = [(m.get("metadata") or {}).get("labels") or {} for m in (before, after)]
            if not same or labels[0] != labels[1]:
                self.broken("S9", "the operator wrote more of the service than its status")
            return
        self._first_the_route(kind, live)
        if change.old is not None:
            self._foreign(kind, change.old)
            if (change.new or change.old).get("status") != change.old.get("status"):
                self.broken("S9", f"the operator wrote the status of {kind} {name}")
        if kind == "Deployment":
            self._deployment(change, live)
        if change.new is None:
            self._removed(kind, live)

    def _budget(self, change: Change, live: Json) -> None:
        """Whoever moves replicas from stable to canary keeps within the budget, and takes none that are needed."""
        service = self._service_of(live)
        status = (service or {}).get("status") or {}
        stable, canary = status.get("stable"), status.get("canary")
        if service is None or change.new is None or not stable or not canary or not _shares(service):
            return
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        found = self._api.records(kinds.DEPLOYMENT)
        has = {
            entry["revision"]: found[key].manifest["spec"]["replicas"]
            for entry in (stable, canary)
            if (key := (namespace, f"{name}-{entry['revision']}")) in found
        }
        total, is_auto = _total(service), (service["spec"].get("scaling") or {}).get("class") != "External"
        if is_auto and sum(has.values()) > total:
            self.broken("B1", f"{has}, and {total} are allowed")
        before = (change.old or live)["spec"].get("replicas", 0)
        backend = f"{name}-{stable['revision']}"
        if live["metadata"]["name"] == backend and live["spec"]["replicas"] < before:
            percent = self._world.views.get((namespace, name), {}).get(backend, 0)
            need = -(-self._demand() * percent // 100) if is_auto else total * percent // 100
            if live["spec"]["replicas"] < min(need, total):
                self.broken("B3", f"{backend} has {live['spec']['replicas']} of {need} for {percent}%")

    def _gone_back(self, service: Json, has: int, had: int) -> None:
        """With a budget the canary loses what stable carries by now."""
        stable, canary = service["status"]["stable"]["revision"], service["status"]["canary"]["revision"]
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        is_auto = (service["spec"].get("scaling") or {}).get("class") != "External"
        carries = 100 * self.ready(stable) // (self._demand() if is_auto else _total(service))
        deployment = self._api.get(kinds.DEPLOYMENT, f"{name}-{canary}", namespace)
        last = deployment is None or deployment["spec"]["replicas"] <= 1
        silent = self._unready_seconds(canary) > 0 or self._unready_seconds(stable) > 0
        if 100 - has > carries and not last and not silent:
            self.broken("B2", f"{had} to {has}%, and stable carries {carries}%")

    def _first_the_route(self, kind: str, live: Json) -> None:
        """While an accepted abort has yet to take the weight away, nothing else is written."""
        service, life = self._service_of(live), self._lives.get(str(_owner(live)))
        status = (service or {}).get("status") or {}
        id_ = (status.get("canary") or {}).get("id")
        if kind == "HTTPRoute" or service is None or life is None or life.drifted:
            return
        if _shares(service) and "aborting" in str(self._route_of(service)):
            return  # the rest goes back as stable gets its replicas back
        if life.written.get(id_, 0) > 0 and _commanded(status, "Abort", id_):
            self.broken(
                "O4", f"{kind} {live['metadata']['name']} was written while {id_} still had its weight"
            )

    def _foreign(self, kind: str, old: Json) -> None:
        metadata = old["metadata"]
        owner = _owner(old)
        if owner is None:
            labels = metadata.get("labels") or {}
            if labels.get(MANAGED_BY_LABEL) != OPERATOR:
                self.broken("S8", f"{kind} {metadata['name']} is nobody's and was written")
        elif owner not in self._lives:
            self.broken("S8", f"{kind} {metadata['name']} of {owner} was written")

    def _deployment(self, change: Change, live: Json) -> None:
        metadata, spec = live["metadata"], live["spec"]
        name = metadata["name"]
        recorded = self._templates.get(name + str(_owner(live)))
        if change.new is not None and spec.get("replicas") == 0:
            self.broken("S3", f"the operator scaled {name} to 0")
        if change.old is not None and change.new is not None and change.before is not None:
            self._replicas(change, live)
        if change.new is not None and recorded is not None and not _within(recorded, spec["template"]):
            self.broken("S7", f"the pods of {name} are not what was recorded")
        if change.old is None:
            revision = metadata["labels"][REVISION_LABEL]
            service = self._service_of(live)
            life = self._lives.get(str(_owner(live)))
            status = (service or {}).get("status") or {}
            known = {(status.get(role) or {}).get("revision") for role in ("stable", "canary")}
            known |= {revision for _, revision in life.wanted} if life else set()
            if service is not None and revision not in known and not life.drifted:
                self.broken("S6", f"{name} was created for a revision that is neither stable nor canary")

    def _replicas(self, change: Change, live: Json) -> None:
        """In mode Auto the operator states replicas until the autoscaler has them, and never again."""
        metadata = live["metadata"]
        service = self._service_of(live)
        scaling = ((service or {}).get("spec") or {}).get("scaling") or {}
        record = self._api.records(kinds.DEPLOYMENT).get((metadata["namespace"], metadata["name"]))
        is_auto = (scaling.get("class"), scaling.get("mode", "Auto")) == ("Auto", "Auto")
        if not is_auto or record is None or change.old is None or change.before is None:
            return
        had, has = _own_replicas(change.before.managers), _own_replicas(record.managers)
        was, is_ = change.old["spec"].get("replicas"), live["spec"].get("replicas")
        if AUTOSCALER in had and was != is_:
            self.broken("S9", f"the autoscaler's replicas of {metadata['name']} were written: {was} → {is_}")
        if AUTOSCALER in had and OPERATOR in has - had:
            self.broken(
                "S9", f"the operator has taken the replicas of {metadata['name']} from the autoscaler"
            )

    def _removed(self, kind: str, live: Json) -> None:
        if kind not in ("Deployment", "Service"):
            return
        name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
        for (_, route_name), record in self._api.records(kinds.HTTP_ROUTE).items():
            if name in backends(record.manifest):
                self.broken("S3", f"{kind} {name} was deleted while route {route_name} refers to it")
        for key, view in self._world.views.items():
            if key[0] == namespace and view.get(name):
                self.broken("S3", f"{kind} {name} was deleted while proxies give it {view[name]}%")
        service = self._service_of(live)
        longest = (service or {"spec": {"predictor": {}}})["spec"]["predictor"].get("timeout", 60)
        if service is not None and not self._dark and _now() < self._used.get(name, -1e9) + longest:
            self.broken(
                "D2", f"{kind} {name} was deleted {_now() - self._used[name]:.1f} s after its last request"
            )
        life = self._lives.get(str(_owner(live)))
        if kind == "Deployment" and service and life and _is_kept_warm(life, service, name):
            self.broken("K1", f"{kind} {name} was deleted while it was kept warm")
        stable = (((service or {}).get("status") or {}).get("stable") or {}).get("revision")
        if service is not None and name in (
            f"{service['metadata']['name']}-{stable}",
            service["metadata"]["name"],
        ):
            self.broken("S3", f"{kind} {name} of the stable revision was deleted")

    # The service

    def _service(self, change: Change, ours: bool) -> None:
        live = change.new or change.old
        assert live is not None
        uid = live["metadata"]["uid"]
        self._namespaces.add(live["metadata"]["namespace"])
        life = self._lives.setdefault(uid, Life())
        if change.new is None:
            self._gone[uid] = _now()
            return
        for kind, label in (("Promote", PROMOTE_LABEL), ("Abort", ABORT_LABEL), ("Retry", RETRY_LABEL)):
            value = (live["metadata"].get("labels") or {}).get(label)
            if value:
                life.given.add((kind, value))
        if ours:
            self._status(life, (change.old or {}).get("status") or {}, live)

    def _status(self, life: Life, before: Json, live: Json) -> None:
        status = live.get("status") or {}
        generation = int(status.get("observedGeneration", 0))
        if generation > live["metadata"]["generation"] or generation < life.generation:
            self.broken("S11", f"observedGeneration {life.generation} → {generation}")
        life.generation = max(life.generation, generation)
        if SECRET in str(status):
            self.broken("S12", "the status tells a Secret")
        for command in status.get("commands") or ():
            if (command["kind"], command["id"]) not in life.given:
                self.broken("S5", f"{command['kind']} {command['id']} was accepted and never given")
        if (promoted := self.judged.status(live, before)) is not None:
            life.promoted.add(promoted)
        self._abort_on_record(life, before, live)
        self._ended(life, before, live)
        was, is_ = before.get("stable") or {}, status.get("stable") or {}
        if was and is_ != was:
            if not life.is_promoted(is_.get("id")) and not _rolls_back(life, was, is_):
                self.broken("S5", f"{is_.get('id')} was committed without its label")
            if _commanded(before, "Abort", is_.get("id")):
                self.broken("S14", f"{is_.get('id')} was committed after its abort")
            route = self._route_of(live)
            if route is not None and _weight(route, is_.get("revision", "")) != 100 and not life.drifted:
                self.broken("S3", f"{is_.get('id')} was committed without all of the traffic")
            soak = float(live["spec"]["rollout"].get("soakSeconds", 60))
            if _now() < life.acknowledged[2] + soak:
                self.broken("O3", f"{is_.get('id')} was committed before it had soaked")
        told = status.get("canary") or {}
        if told.get("weight") and told.get("weight") != (before.get("canary") or {}).get("weight"):
            metadata = live["metadata"]
            view = self._world.views.get((metadata["namespace"], metadata["name"]), {})
            carried = view.get(f"{metadata['name']}-{told['revision']}", 0)
            if carried != told["weight"] and not life.drifted:
                self.broken("O2", f"status tells {told['weight']}% while the proxies send {carried}%")
        for entry in status.get("conditions") or ():
            if (entry["type"], entry["status"]) == ("Ready", "True") and (
                not is_ or self.ready(is_["revision"]) < 1
            ):
                self.broken("S11", "Ready is said of a service whose stable revision has no ready pod")

    def _abort_on_record(self, life: Life, before: Json, live: Json) -> None:
        """What the judge aborts, too, loses its traffic first."""
        canary = live["status"].get("canary") or {}
        route = self._route_of(live)
        if not canary.get("abort") or (before.get("canary") or {}).get("abort") or route is None:
            return
        told = ABORTING_ANNOTATION in (route["metadata"].get("annotations") or {})
        begun = told if _shares(live) else _weight(route, canary["revision"]) == 0
        if not begun and not life.drifted:
            self.broken("O4", f"the abort of {canary['id']} is on record while it still has its weight")

    def _ended(self, life: Life, before: Json, live: Json) -> None:
        was, metadata, status = before.get("canary") or {}, live["metadata"], live["status"]
        ids = [(status.get(role) or {}).get("id") for role in ("canary", "stable")]
        if not was or was["id"] in ids or not before.get("stable") or life.drifted:
            return
        view = self._world.views.get((metadata["namespace"], metadata["name"]), {})
        if sent := view.get(f"{metadata['name']}-{was['revision']}"):
            self.broken("O5", f"{was['id']} has ended while proxies send it {sent}%")

    # The route

    def _route(self, change: Change, ours: bool) -> None:
        live = change.new or change.old
        assert live is not None
        life = self._lives.get(str(_owner(live)))
        if life is None:
            return
        if not ours:
            if change.new is not None:
                _note_acknowledged(life, live)
            if change.new is None or (change.old or {}).get("spec") != change.new["spec"]:
                life.drifted = True
            return
        if change.new is None:
            self.broken("S3", "the operator deleted the route")
            return
        if change.old is not None and change.old["spec"] == live["spec"]:
            return  # only who owns what has changed
        weights = backends(live)
        if sum(weights.values()) != 100 or not all(0 <= weight <= 100 for weight in weights.values()):
            self.broken("S4", f"weights {weights}")
        if sum(weight > 0 for weight in weights.values()) > 2:
            self.broken("S6", f"weights {weights}")
        service = self._service_of(live)
        if service is not None:
            self._moved(life, service, change)
        _note_acknowledged(life, live)  # by who says of no generation, with the very write
        life.drifted = False

    def _moved(self, life: Life, service: Json, change: Change) -> None:
        assert change.new is not None
        status = service.get("status") or {}
        stable, canary = status.get("stable") or {}, status.get("canary") or {}
        before, after = backends(change.old) if change.old else {}, backends(change.new)
        name = service["metadata"]["name"]
        taken = f"{name}-{canary.get('revision')}"
        is_abort = after.get(taken, 0) < before.get(taken, 0)  # traffic goes back, to whatever there is
        for backend, weight in after.items():
            if weight > before.get(backend, 0) and not life.drifted and not is_abort:
                key = (service["metadata"]["namespace"], backend)
                if key not in self._api.records(kinds.SERVICE):
                    self.broken("S1", f"{weight}% for {backend}, which has no Service")
        if not stable:
            for backend, weight in after.items():
                revision = backend.removeprefix(f"{name}-")
                if weight > before.get(backend, 0) and not life.drifted:
                    self._enough(service, revision, weight, "the first revision")
            return
        others = {b for b, w in after.items() if w} - {
            f"{name}-{e.get('revision')}" for e in (stable, canary)
        }
        if others and not life.drifted:
            self.broken("S6", f"traffic for {others}, neither stable nor canary")
        if not canary:
            return
        id_, backend = canary["id"], f"{name}-{canary['revision']}"
        has, had = after.get(backend, 0), life.written.get(id_, 0)
        if has > had:
            self._raised(life, service, id_, has, change)
        elif has < had and has != 0 and not life.drifted and not _shares(service):
            self.broken("S4", f"{id_} went from {had}% to {has}%")
        elif has < had and not life.drifted:
            life.ended.add(id_)
            if _shares(service):
                self._gone_back(service, has, had)
            self.judged.aborted(service, change.new)
        life.written[id_] = has

    def _raised(self, life: Life, service: Json, id_: str, weight: int, change: Change) -> None:
        status = service["status"]
        canary, stable = status["canary"], status["stable"]
        if id_ in life.ended:
            self.broken("S4", f"{id_} was raised to {weight}% after it had been aborted")
        if _commanded(status, "Abort", id_):
            self.broken("S14", f"{id_} was raised to {weight}% after its abort was accepted")
        rolls_back = _rolls_back(life, stable, canary)
        if weight == 100 and not life.is_promoted(id_) and not rolls_back:
            self.broken("S5", f"{id_} got all of the traffic without its label")
        if life.drifted and weight <= int(canary.get("weight") or 0):
            return  # what was acknowledged is put back
        if not life.drifted:
            before = change.old or {"metadata": {"uid": "", "generation": 0}}
            asked = (before["metadata"]["uid"], before["metadata"]["generation"])
            early = not _stamps(before) and _now() < life.acknowledged[2] + DELAY_SECONDS
            if life.acknowledged[:2] != asked or (life.acknowledged[1] and early):
                self.broken("O1", f"{id_} was raised to {weight}% on a route that was not acknowledged")
        if not rolls_back and ("Promote", id_) not in life.given:
            self.judged.raised(service, weight)
        if not rolls_back or self._world.autoscaler_is_alive:
            # Without an autoscaler a rollback to kept pods goes by the last answer, as an abort does.
            self._enough(service, canary["revision"], weight, "the canary")
        if weight < 100 and self._unready_seconds(stable["revision"]) < BROKEN_SECONDS:
            # Without a budget it keeps what carries all, so that an abort is instant.
            kept = 100 - weight if _shares(service) else 100
            self._enough(service, stable["revision"], kept, "stable")

    def _enough(self, service: Json, revision: str, percent: int, who: str) -> None:
        spec = service["spec"]
        ready = self.ready(revision)
        if ready < 1:
            self.broken("S1", f"{percent}% with {who}, which has no ready pod")
        if (spec.get("scaling") or {}).get("class") == "External":
            need = max(1, -(-_total(service) * percent // 100))
            if _shares(service) and percent < 100:
                need = max(1, _total(service) * percent // 100)  # the other's part is rounded up
        else:
            most = spec["predictor"].get("maxReplicas") or spec["predictor"].get("minReplicas") or 1
            need = min(most, max(1, -(-self._demand() * percent // 100)))
        if ready < need:
            self.broken("S2", f"{percent}% with {who}, which has {ready} of {need} pods ready")

    def _demand(self) -> int:
        if self._demands[-1][1] != self._world.demand:
            self._demands.append((_now(), self._world.demand))
        since = _now() - self._window
        recent = [d for at, d in self._demands if at >= since]
        before = [d for at, d in self._demands if at < since][-1:]
        return min(before + recent)

    # As time goes by

    def look(self) -> None:
        """Check what is no single change: what the proxies do, and what a deleted service leaves behind."""
        now = _now()
        self._demand()
        for view in self._world.views.values():
            self._used |= {backend: now for backend, weight in view.items() if weight}
        for uid, at in list(self._gone.items()):
            if now > at + LEFT_BEHIND_SECONDS:
                left = [
                    f"{resource.kind.name} {key[1]}"
                    for resource, key, record in self._api.store.everything()
                    if _owner(record.manifest) == uid
                ]
                if left:
                    self.broken("S10", f"left behind: {', '.join(left[:5])}")
                    del self._gone[uid]
        if self._dark:
            return
        for (namespace, route), view in self._world.views.items():
            for backend, weight in view.items():
                service = self._api.get(kinds.SERVICE, backend, namespace) if weight else None
                answers = weight == 0 or (
                    service is not None and self._world.ready_pods(service["spec"]["selector"], namespace)
                )
                since = self._dark_since.setdefault(backend, now) if not answers else None
                if since is None:
                    self._dark_since.pop(backend, None)
                elif (namespace, route) in self._api.records(kinds.HTTP_ROUTE) or not self._api.routes_served:
                    self.broken("D1", f"{weight}% of the requests go to {backend}, where nobody answers")

    def asks_for(self, uid: str, revision: str) -> None:
        """The user's spec asks for a revision from now on."""
        self._lives.setdefault(uid, Life()).wanted.append((_now(), revision))

    def _service_of(self, child: Json) -> Json | None:
        for record in self._api.records(kinds.INFERENCE_SERVICE).values():
            if record.manifest["metadata"]["uid"] == _owner(child):
                return record.manifest
        return None

    def _route_of(self, service: Json) -> Json | None:
        metadata = service["metadata"]
        return self._api.get(kinds.HTTP_ROUTE, metadata["name"], metadata["namespace"])


def _owner(manifest: Json) -> str | None:
    for owner in manifest["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return None


def _shares(service: Json) -> bool:
    return bool(service["spec"]["rollout"].get("surge") == "Budget")


def _total(service: Json) -> int:
    """Replicas that both revisions share."""
    spec = service["spec"]
    if (spec.get("scaling") or {}).get("class") == "External":
        return int((spec["scaling"].get("external") or {}).get("replicas", 1))
    return int(spec["predictor"].get("maxReplicas") or 1)


def _commanded(status: Json, kind: str, id_: str | None) -> bool:
    return any((c["kind"], c["id"]) == (kind, id_) for c in status.get("commands") or ())


def _rolls_back(life: Life, stable: Json, attempt: Json) -> bool:
    """Whether an attempt at the revision before stable was asked for by the abort label of stable."""
    former = (stable.get("previous") or {}).get("revision")
    return ("Abort", stable.get("id")) in life.given and attempt.get("revision") == former


def _is_kept_warm(life: Life, service: Json, name: str) -> bool:
    """Whether nobody has asked for another revision since the commit, and its time is not over."""
    status = service.get("status") or {}
    stable, canary = status.get("stable") or {}, status.get("canary")
    former = (stable.get("previous") or {}).get("revision")
    if canary or name != f"{service['metadata']['name']}-{former}":
        return False
    seconds = service["spec"]["rollout"].get("keepWarmSeconds", 0)
    committed = datetime.fromisoformat(stable["committedAt"])
    since = (committed - clock.START).total_seconds()
    before = [revision for at, revision in life.wanted if at < since][-1:]
    asked = {*before, *(revision for at, revision in life.wanted if at >= since)}
    return asked <= {stable["revision"], former} and clock.now() < committed + timedelta(seconds=seconds)


def _own_replicas(managers: Managers) -> set[str]:
    return {manager.name for manager, fields in managers.items() if ("f:spec", "f:replicas") in fields}


def _note_acknowledged(life: Life, route: Json) -> None:
    uid, generation = route["metadata"]["uid"], _acknowledged(route)
    if generation and (uid, generation) != life.acknowledged[:2]:
        life.acknowledged = (uid, generation, _now())


def _acknowledged(route: Json) -> int:
    """The lowest generation that all parents carry out; 0 if one does not, the present one if none says which."""
    parents = (route.get("status") or {}).get("parents") or ()
    said = [condition for parent in parents for condition in parent["conditions"]]
    if len(parents) < len(route["spec"]["parentRefs"]) or any(one["status"] != "True" for one in said):
        return 0
    return min(_stamps(route), default=int(route["metadata"]["generation"]))


def _stamps(route: Json) -> list[int]:
    """The generations that the parents say they speak of."""
    parents = (route.get("status") or {}).get("parents") or ()
    said = (condition for parent in parents for condition in parent["conditions"])
    return [one["observedGeneration"] for one in said if "observedGeneration" in one]


def _weight(route: Json, revision: str) -> int:
    return sum(weight for name, weight in backends(route).items() if name.endswith(f"-{revision}"))


def _within(stated: Json, live: Json) -> bool:
    """Whether all that was recorded is so; the API server fills in the rest."""
    if isinstance(stated, dict):
        return isinstance(live, dict) and all(_within(v, live.get(k)) for k, v in stated.items())
    if isinstance(stated, list):
        return isinstance(live, list) and len(stated) == len(live) and all(map(_within, stated, live))
    return bool(stated == live)


def _now() -> float:
    return asyncio.get_running_loop().time()
