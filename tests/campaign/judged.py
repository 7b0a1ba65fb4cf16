"""What must hold of a rollout that is judged, checked against what was scraped and by arithmetic of our own.

`Watcher` tells of each status, each raise and each abort. The attempt's rollout and objective are read from its
ControllerRevision as the operator wrote it, everything else from the store and from the traffic's own books.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from serving_api.names import ABORTING_ANNOTATION, ATTEMPT_ANNOTATION, PASSING_ANNOTATION, ServiceKey
from serving_operator.evidence.reader import EvidenceReader
from serving_operator.judge.windows import Evidence
from tests.campaign import clock
from tests.campaign.traffic import Numbers, Traffic
from tests.fakes.kube.shapes import Json

NAMES = {
    "J1": "no weight is raised and nothing promoted without a label but on Good evidence of the step before, on record",
    "J2": "no automatic abort for a canary that the windows of its step do not speak against as much as they must",
    "J3": "the time in which nothing was scraped does not count towards a step's deadline, and none ends with windows unread",
    "J4": "a verdict's numbers are those that were scraped in the windows of its own step, and they suffice for it",
    "J5": "a process counts in a window what every process before it counted there",
    "J6": "no weight is raised for a canary that has been plainly bad for so long that it must be known",
    "J7": "no step is called good before its pause has passed and its canary has answered as many requests as it asks for",
}
GRID_SECONDS, SETTLE_SECONDS = 5, 20
"""Windows begin at a multiple of the one, and are read the other after their end."""
GOOD_BOUND, BAD_BOUND, OVERDISPERSION = 20.0, 13.5, 0.02
ODDS_RATIOS = {3.0: 1 / 3, 10.0: 2 / 3}
"""Of the alternatives to a canary like stable, with the share that is bet on each."""
PLAIN_WINDOWS = 4
"""So many windows in a row with a third of the canary's requests bad are plainly bad."""


class Step(NamedTuple):
    """A step of an attempt, as it is on record."""

    canary: tuple[str, str]
    stable: tuple[str, str]
    started: float
    window_seconds: int
    rollout: Json
    objective: Json


class Judged:
    """Keeps what the judged attempts of all services were told."""

    def __init__(
        self,
        traffic: Traffic,
        broken: Callable[[str, str], None],
        unready: Callable[[str], bool],
        now: Callable[[], float],
    ) -> None:
        """`unready`: whether a revision may have been seen without a ready pod."""
        self._traffic, self._broken, self._unready, self._now = traffic, broken, unready, now
        self._attempts: dict[str, Json] = {}
        self._windows: dict[tuple[str, datetime], list[Any]] = {}
        self._passed: dict[str, Json] = {}

    def as_recorded(self, canary: Json) -> Json:
        """The attempt as its status has it, with the step that its InferenceAutoscaler says is passed."""
        said = self._passed.get(canary.get("id", ""))
        if said is None or said["phaseStartedAt"] <= canary.get("phaseStartedAt", canary["startedAt"]):
            return canary
        return canary | said

    def passed(self, service: Json, autoscaler: Json) -> str | None:
        """The operator has written an InferenceAutoscaler. Answers the attempt whose promotion it records."""
        text = (autoscaler["metadata"].get("annotations") or {}).get(PASSING_ANNOTATION)
        canary = service.get("status", {}).get("canary") or {}
        said = json.loads(text) if text else {}
        if not said or said["id"] != canary.get("id") or said == self._passed.get(said["id"]):
            return None
        was = self.as_recorded(canary)
        self._passed[said["id"]] = said
        return self._noted(service, self.as_recorded(canary), was)

    def recorded(self, record: Json) -> None:
        """The operator has written a ControllerRevision."""
        text = (record["metadata"].get("annotations") or {}).get(ATTEMPT_ANNOTATION)
        if text:
            attempt = json.loads(text)
            self._attempts[attempt["id"]] = attempt

    def read(self, evidence: Evidence) -> None:
        """A process decides from this evidence."""
        known = self._windows.setdefault((evidence.attempt, evidence.started_at), [])
        for index, (before, now) in enumerate(zip(known, evidence.windows, strict=False)):
            if before != now:
                self._broken("J5", f"window {index} of {evidence.attempt} was {before}, and now is {now}")
        known.extend(evidence.windows[len(known) :])

    def status(self, service: Json, before: Json) -> str | None:
        """A status was written; `before` is the one before. Answers the attempt whose promotion it records."""
        return self._noted(
            service,
            service["status"].get("canary") or {},
            self.as_recorded(before["canary"]) if before.get("canary") else {},
        )

    def _noted(self, service: Json, canary: Json, was: Json) -> str | None:
        status = service["status"]
        step = self._step(service, canary)
        said = canary.get("evidence")
        if said and step is not None and said != was.get("evidence") and not canary.get("uncounted"):
            self._said(canary, said, step)
        promotion = canary.get("promotion")
        if not promotion or (was.get("id") == canary["id"] and was.get("promotion")):
            return None
        if promotion["reason"] == "RollForward" and not self._unready(status["stable"]["revision"]):
            self._broken("J1", f"{canary['id']} rolled forward over a stable revision that answers")
        if promotion["reason"] == "GoodEnough":
            rollout = self._rollout(canary["id"])
            last = len(rollout.get("steps") or ()) - 1
            if rollout.get("promotion") != "Automatic":
                self._broken("J1", f"{canary['id']} was promoted although its promotion is manual")
            if ((said or {}).get("verdict"), (said or {}).get("step")) != ("Good", last):
                self._broken("J1", f"{canary['id']} was promoted on {said}")
        return str(canary["id"]) if promotion["reason"] != "Restored" else None

    def raised(self, service: Json, weight: int) -> None:
        """A canary gets more weight, and no label has asked for it."""
        canary = self.as_recorded(service["status"]["canary"])
        weights = [step["weight"] for step in self._rollout(canary["id"]).get("steps") or ()]
        if (canary.get("promotion") or {}).get("reason") == "GoodEnough":
            weights.append(100)
        if weight not in weights or weights.index(weight) == 0:
            return
        said = canary.get("evidence") or {}
        if (said.get("verdict"), said.get("step")) != ("Good", weights.index(weight) - 1):
            self._broken("J1", f"{canary['id']} was raised to {weight}% on {said or 'no evidence'}")
        step = self._step(service, canary)
        plainly = [_is_plainly_bad(*window) for window in self._readable(step)] if step is not None else []
        # One window longer than what a process may have read: it takes a while to write.
        if any(all(plainly[i : i + PLAIN_WINDOWS]) for i in range(len(plainly) - PLAIN_WINDOWS)):
            self._broken("J6", f"{canary['id']} was raised to {weight}% although it is bad")

    def aborted(self, service: Json, route: Json) -> None:
        """The route takes the traffic from a canary."""
        told = json.loads((route["metadata"].get("annotations") or {}).get(ABORTING_ANNOTATION) or "{}")
        step = self._step(service, service["status"].get("canary") or {})
        if step is None or told.get("reason") not in ("WorseThanStable", "Inconclusive"):
            return
        windows = list(self._readable(step))
        if told["reason"] == "WorseThanStable":
            # Windows in which the canary lacked replicas are not counted; which they are the operator alone knows.
            left_out = (service["status"].get("canary") or {}).get("uncounted")
            worse = any(_could_be_bad(windows[:count]) for count in range(2, len(windows) + 1))
            if not worse or (not left_out and _against(windows) < math.log(BAD_BOUND) - 1e-6):
                self._broken("J2", f"{told['id']} was aborted as worse than stable by {windows}")
        if told["reason"] == "Inconclusive":
            self._in_time(told["id"], service["status"]["canary"], step)

    def _said(self, canary: Json, said: Json, step: Step) -> None:
        windows = [self._window(step, index) for index in range(said["windows"])]
        sums = [sum(column) for column in zip(*(a + b for a, b in windows), strict=True)] or [0] * 4
        numbers = [said[f"{side}equests"] for side in ("r", "badR", "stableR", "stableBadR")]
        if sums != numbers:
            self._broken("J4", f"{canary['id']}: {numbers} is on record where {sums} was scraped")
        if said["verdict"] == "Good" and _favour(windows, step) < math.log(GOOD_BOUND) - 1e-6:
            self._broken("J4", f"{canary['id']} was called good by {windows}")
        if said["verdict"] == "Good":
            asked = step.rollout["steps"][said["step"]]
            early = self._now() < step.started + (asked.get("pauseSeconds") or 0)
            if early or said["requests"] < (asked.get("minimumRequests") or 0):
                self._broken("J7", f"{canary['id']} was called good at {asked} on {said}")
        if said["verdict"] == "Inconclusive":
            self._in_time(canary["id"], canary, step)
            ended = len(list(self._readable(step)))
            if said["windows"] < ended - 1:
                self._broken("J3", f"{canary['id']} was judged by {said['windows']} of {ended} windows")

    def _in_time(self, id_: str, canary: Json, step: Step) -> None:
        index = canary.get("step") or 0
        pause = step.rollout["steps"][index].get("pauseSeconds") or 0
        deadline = (step.rollout["analysis"].get("stepDeadlineSeconds") or 1800) + pause
        now = self._now()
        counted = now - step.started - self._traffic.lost_seconds(step.started, now)
        if counted < deadline - 1:
            self._broken("J3", f"{id_} had {counted:.0f} s with metrics, where {deadline} s are its own")

    def _rollout(self, id_: str) -> Json:
        """The rollout of a judged attempt; of any other one it is empty."""
        attempt = self._attempts.get(id_) or {}
        rollout = attempt.get("rollout") or {}
        return rollout if rollout.get("analysis") and attempt.get("objective") else {}

    def _step(self, service: Json, canary: Json) -> Step | None:
        rollout, stable = self._rollout(canary.get("id", "")), service["status"].get("stable") or {}
        if not rollout or not stable or not canary.get("stepStartedAt"):
            return None
        started = datetime.fromisoformat(canary["stepStartedAt"]) - clock.START
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        return Step(
            (namespace, f"{name}-{canary['revision']}"),
            (namespace, f"{name}-{stable['revision']}"),
            started.total_seconds(),
            rollout["analysis"].get("windowSeconds") or 60,
            rollout,
            self._attempts[canary["id"]]["objective"],
        )

    def _window(self, step: Step, index: int) -> tuple[Numbers, Numbers]:
        start = math.ceil(step.started / GRID_SECONDS) * GRID_SECONDS + index * step.window_seconds
        end = start + step.window_seconds
        return tuple(self._traffic.counted(key, start, end) for key in (step.canary, step.stable))  # type: ignore[return-value]

    def _readable(self, step: Step) -> Iterator[tuple[Numbers, Numbers]]:
        """Windows that may have been read by now."""
        ended = (self._now() - SETTLE_SECONDS - step.started) / step.window_seconds
        yield from (self._window(step, index) for index in range(math.floor(ended)))


def _favour(windows: list[tuple[Numbers, Numbers]], step: Step) -> float:
    """Nats by which the acceptable share is favoured, tempered as docs/decisions/005-evidence.md says."""
    acceptable = (100 - step.objective.get("percent", 99)) / 100
    stated = step.rollout["analysis"].get("unacceptablePercent")
    unacceptable = stated / 100 if stated else min(5 * acceptable, (1 + acceptable) / 2)
    good = math.log((1 - acceptable) / (1 - unacceptable))
    bad = math.log(acceptable / unacceptable)
    return sum(
        (good * (n.requests - n.bad) + bad * n.bad) / (1 + OVERDISPERSION * max(0, n.requests - 1))
        for n, _ in windows
    )


def _against(windows: list[tuple[Numbers, Numbers]]) -> float:
    """The most nats that were ever against the canary, as docs/decisions/005-evidence.md says, window by window."""
    most, looks, seen, seen_bad = -math.inf, 0, 0, 0
    bets = dict.fromkeys(ODDS_RATIOS, 0.0)
    for mine, theirs in windows:
        n, m = mine.requests, theirs.requests
        if n and m:
            looks += 1
            share = (1 + seen_bad) / (51 + seen)
            tempered = 1 / (1 + OVERDISPERSION * max(0.0, 2 * n * m / (n + m) - 16))
            for ratio in bets:
                odds = ratio * share / (1 - share)
                worse = odds / (1 + odds)
                same = (n * worse + m * share) / (n + m)
                gained = sum(
                    bad * math.log(own / same) + (all_ - bad) * math.log((1 - own) / (1 - same))
                    for all_, bad, own in ((n, mine.bad, worse), (m, theirs.bad, share))
                )
                bets[ratio] += min(tempered * gained, 2.5)
        seen, seen_bad = seen + m, seen_bad + theirs.bad
        mixed = sum(weight * math.exp(bets[ratio]) for ratio, weight in ODDS_RATIOS.items())
        most = max(most, math.log(mixed) - math.log1p(looks / 27))
    return most


def _could_be_bad(windows: list[tuple[Numbers, Numbers]]) -> bool:
    """Whether two windows or more compare, and the canary did worse in them."""
    both = [(mine, theirs) for mine, theirs in windows if mine.requests and theirs.requests]
    if len(both) < 2:
        return False
    requests, bad, stable_requests, stable_bad = (
        sum(column) for column in zip(*(mine + theirs for mine, theirs in both), strict=True)
    )
    return bad * stable_requests > stable_bad * requests


def _is_plainly_bad(mine: Numbers, theirs: Numbers) -> bool:
    return mine.requests >= 30 and mine.bad * 3 > mine.requests and theirs.bad * 20 < theirs.requests


class Noting(EvidenceReader):
    """The operator's reader, and what it hands on is told."""

    def __init__(self, *arguments: Any, told: Callable[[Evidence], None], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._told = told

    def evidence(self, key: ServiceKey) -> Evidence | None:
        """What was counted for the step under way."""
        found = super().evidence(key)
        if found is not None:
            self._told(found)
        return found
