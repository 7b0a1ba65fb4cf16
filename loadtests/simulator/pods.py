"""The pods of one Deployment: created, started, drained, gone, and paid for from first to last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from loadtests.simulator.requests import Floats
from loadtests.simulator.starts import Starts

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Holding(Protocol):
    """The requests that the pods of a service hold, one slot a pod."""

    slots: int

    @property
    def accepts(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Whether a pod gets requests."""
        ...

    @property
    def free_at(self) -> Floats:
        """When all that a pod holds is worked off, or later while that is not known."""
        ...

    def start(self, slot: int, now: float) -> None:
        """A pod becomes ready."""
        ...

    def stop(self, slot: int) -> None:
        """A pod gets no further request."""
        ...


@dataclass
class Pods:
    """One slot for each pod that there can be at a time, also while old ones drain."""

    requests: Holding
    starts: Starts
    random: np.random.Generator
    wanted: int = 0
    paid_seconds: float = 0.0
    """Replica-seconds of the pods that are gone."""
    created_at: Floats = field(init=False)
    ready_at: Floats = field(init=False)
    gone_at: Floats = field(init=False)
    """Infinite while the pod is there; when it ended, of an empty slot."""
    stopped_at: Floats = field(init=False)
    """When a draining pod got its last request at the latest."""
    draining: Flags = field(init=False)

    def __post_init__(self) -> None:
        slots = self.requests.slots
        self.created_at = np.full(slots, np.inf)
        self.ready_at = np.full(slots, np.inf)
        self.gone_at = np.full(slots, -np.inf)
        self.stopped_at = np.zeros(slots)
        self.draining = np.zeros(slots, dtype=bool)

    @property
    def ready(self) -> int:
        """Pods that get requests."""
        return int(self.requests.accepts.sum())

    @property
    def next_ready_at(self) -> float:
        """When the next pod becomes ready; infinite if none starts."""
        waiting = self.there() & ~self.requests.accepts & ~self.draining
        return float(self.ready_at[waiting].min(initial=np.inf))

    def scale(self, wanted: int, now: float) -> None:
        """Create pods, or end them as a ReplicaSet does: those that are not ready first, then the youngest."""
        self.wanted = wanted
        standing = np.flatnonzero(self.there() & ~self.draining)
        if wanted > len(standing):
            free = np.flatnonzero(~self.there())
            longest_empty = free[np.argsort(self.gone_at[free], kind="stable")]
            if len(longest_empty) < wanted - len(standing):
                raise ValueError(
                    f"{self.requests.slots} slots are too few for {wanted} pods and those that drain"
                )
            for slot in longest_empty[: wanted - len(standing)]:
                starting = 1 + int((self.there() & ~self.requests.accepts & ~self.draining).sum())
                self.created_at[slot] = now
                self.ready_at[slot] = now + self.starts(self.random, starting)
                self.gone_at[slot] = np.inf
        elif wanted < len(standing):
            order = np.lexsort((-self.created_at[standing], self.requests.accepts[standing]))
            for slot in standing[order][: len(standing) - wanted]:
                was_ready = self.requests.accepts[slot]
                self.requests.stop(int(slot))
                self.draining[slot] = True
                self.stopped_at[slot] = now
                self.ready_at[slot] = np.inf
                if not was_ready:
                    self._gone(int(slot), now)

    def become_ready(self, now: float) -> None:
        """Let those serve whose time it is."""
        due = self.there() & ~self.requests.accepts & ~self.draining & (self.ready_at <= now)
        for slot in np.flatnonzero(due):
            self.requests.start(int(slot), float(self.ready_at[slot]))

    def end_drained(self, now: float) -> list[int]:
        """Let those go that have worked off what they held; return them."""
        done = np.flatnonzero(self.there() & self.draining & (self.requests.free_at <= now))
        for slot in done:
            self._gone(int(slot), max(float(self.requests.free_at[slot]), float(self.stopped_at[slot])))
        return [int(slot) for slot in done]

    def cost_seconds(self, now: float) -> float:
        """Replica-seconds so far, from creation to exit, failed and draining pods included."""
        return self.paid_seconds + float((now - self.created_at[self.there()]).sum())

    def _gone(self, slot: int, at: float) -> None:
        self.paid_seconds += at - float(self.created_at[slot])
        self.gone_at[slot] = at
        self.draining[slot] = False

    def there(self) -> Flags:
        """The slots with a pod, ready or not, draining too."""
        return np.isinf(self.gone_at) & (self.gone_at > 0)
