"""Status of an InferenceService: what was observed, never what was asked for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from serving_api.autoscaler import Conditions
from serving_api.schema import Model


class PreviousStatus(Model):
    """The revision that was committed before."""

    id: str
    """The attempt that was committed."""
    revision: str
    """Hash of the revision."""


class StableStatus(Model):
    """The committed revision."""

    id: str
    """The attempt that was committed; within its rollback window the abort label may name it."""
    revision: str
    """Hash of the revision."""
    committed_at: str | None = None
    """When it was committed."""
    previous: PreviousStatus | None = None
    """What a rollback goes back to; absent after a first commit, and after a rollback."""


class Hold(Model):
    """Time that a rollout waits for something that is not the canary's fault."""

    reason: str
    """For whom it waits."""
    since: str
    """When the wait began."""


class Abort(Model):
    """An abort under way."""

    reason: str
    """Why."""
    message: str
    """Why, in a sentence."""
    rejects: bool
    """Whether the attempt is rejected for it."""


class Span(Model):
    """A stretch of time."""

    since: str
    """When it began."""
    until: str | None = None
    """When it ended; absent while it lasts."""


class Promotion(Model):
    """A promotion that no label asked for."""

    reason: Literal["GoodEnough", "RollForward", "Restored", "Rollback"]
    """GoodEnough: every step was good. RollForward: stable was broken. Restored: found without a status. Rollback: back from an aborted commit."""
    time: str
    """When it was decided."""


class EvidenceStatus(Model):
    """What the latest verdict rests on; written with it, and not as the numbers grow."""

    verdict: Literal["Good", "Bad", "Inconclusive"]
    """What was found: Good enough for the objective, Bad (worse than the stable revision), or Inconclusive at the deadline."""
    source: str
    """Where requests were counted."""
    step: int
    """Step that it was counted in, from 0."""
    windows: int
    """Windows that were counted."""
    requests: int
    """Requests that the canary answered."""
    bad_requests: int
    """Those of them that were late or failed."""
    stable_requests: int
    """Requests that the stable revision answered in the same windows."""
    stable_bad_requests: int
    """Those of them that were late or failed."""
    worse_than_stable: str
    """Evidence that the canary is worse than the stable revision: 1 says nothing, its bound aborts."""
    good_enough: str
    """Evidence that the canary meets the objective: 1 says nothing, its bound advances."""


class CanaryStatus(Model):
    """The attempt under way."""

    id: str
    """The attempt; command labels name it."""
    revision: str
    """Hash of the revision."""
    step: int | None = None
    """Step of the rollout, counted from 0."""
    weight: int | None = None
    """Percent of the traffic in the route that the gateway acknowledged."""
    verdict: str | None = None
    """What the rollout waits for, or what was found."""
    started_at: str | None = None
    """When the attempt began."""
    step_started_at: str | None = None
    """When the gateway's acknowledgement of the present weight had settled."""
    phase_started_at: str | None = None
    """When the clock of the present deadline began: at the start of the attempt, of each step's preparation, and of each step."""
    uncounted: Annotated[list[Span], Field(max_length=10)] | None = None
    """Times in the present step in which the canary lacked replicas, or pods were taken from it: what went wrong then is not its own."""
    evidence: EvidenceStatus | None = None
    """What the latest verdict rests on."""
    promotion: Promotion | None = None
    """The promotion that was decided without a label."""
    held_seconds: int | None = None
    """Seconds of ended waits, not counted towards the present deadline."""
    hold: Hold | None = None
    """The wait under way."""
    abort: Abort | None = None
    """The abort under way."""


class Rejected(Model):
    """A revision that is not tried again until it is asked for."""

    id: str
    """The attempt."""
    revision: str
    """Hash of the revision."""
    reason: str
    """Why it was rejected."""
    message: str | None = None
    """Why, in a sentence."""
    time: str
    """When."""


class Command(Model):
    """A command label that was accepted."""

    kind: Literal["Promote", "Abort", "Retry"]
    """What was asked."""
    id: str
    """The attempt that the label named."""
    time: str
    """When it was accepted."""


class InferenceServiceStatus(Model):
    """What was observed."""

    observed_generation: int | None = None
    """Generation of the spec that was acted on."""
    stable: StableStatus | None = None
    """The committed revision."""
    canary: CanaryStatus | None = None
    """The attempt under way."""
    rejected: Annotated[list[Rejected], Field(max_length=10)] | None = None
    """Rejected attempts, newest last."""
    commands: Annotated[list[Command], Field(max_length=10)] | None = None
    """Accepted commands, newest last."""
    url: str | None = None
    """Where requests are answered; absent where the Gateway is not seen: its listener tells scheme and port."""
    replicas: int | None = None
    """Pods of all live revisions."""
    selector: str | None = None
    """Label selector of these pods."""
    conditions: Conditions | None = None
    """Servable, Ready, UpToDate, RouteProgrammed, CanaryHealthy, Reconciling, Stalled, CommandIgnored, NameConflict, ReserveLimited."""
