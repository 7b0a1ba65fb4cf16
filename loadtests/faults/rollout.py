"""A rollout as the operator leads it: the reserve is asked for, traffic follows when it is answered and ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtests.faults.world import CANARY, STABLE, WORK_SECONDS, FaultyWorld, service, shaped
from loadtests.simulator.pods import Pods

SOAK_SECONDS = 180.0
"""Between a step's traffic and the next step."""
NEVER = 1e9


@dataclass
class Rollout:
    """Stable and canary of one service, with surge Full: stable keeps what all of the traffic takes."""

    seed: int
    of: Callable[[float], float]
    steps: Sequence[int]
    """Percent of the traffic, step by step."""
    canary_work: float = 1.0
    """How many times longer the canary's work takes."""
    canary_starts: bool = True
    weight: int = 0
    """Percent of the traffic that goes to the canary."""
    waited_seconds: float = 0.0
    """For reserves, so far."""
    world: FaultyWorld = field(init=False)

    def __post_init__(self) -> None:
        self._left = list(self.steps)
        self._asked: int | None = None
        self._routed_at = 0.0
        stable = service("stable", shaped(self.of, percent=lambda: 100.0 - self.weight), self.seed)
        canary = service(
            "canary",
            shaped(self.of, WORK_SECONDS * self.canary_work, percent=lambda: float(self.weight)),
            self.seed + 1000,
            replicas=0,
        )
        if not self.canary_starts:
            canary.pods = Pods(canary.requests, lambda random, starting: NEVER, canary.pods.random)
        self.world = FaultyWorld([stable, canary], absent={CANARY})
        for number in (STABLE, CANARY):
            self.world.belongs_to(number, "web")

    def begin(self) -> None:
        """A new revision is applied."""
        world = self.world
        world.scale(CANARY, 1)
        world.absent.discard(CANARY)
        world.edit(STABLE, scaleDown="Frozen", share=_share(100))
        self._ask(self._left.pop(0))

    def each_second(self) -> None:
        """Route what is answered, and go on to the next step."""
        world = self.world
        if self._asked is not None:
            reserve = world.status(CANARY).get("reserve") or {}
            answered = (
                reserve.get("observedGeneration") == world.generation(CANARY)
                and reserve.get("reservePercent") == self._asked
            )
            if answered and world.services[CANARY].pods.ready >= reserve["replicas"]:
                self.weight, self._asked, self._routed_at = self._asked, None, world.now
                world.edit(CANARY, share=_share(self.weight, self.weight))
            else:
                self.waited_seconds += 1
        elif self._left and self.weight and world.now - self._routed_at >= SOAK_SECONDS:
            self._ask(self._left.pop(0))

    def abort(self) -> None:
        """All traffic goes back to stable, and the canary goes."""
        self._asked, self._left, self.weight = None, [], 0
        self.world.scale(CANARY, 0)
        self.world.absent.add(CANARY)
        self.world.edit(STABLE, scaleDown="Allowed", share={"of": ["stable"], "reservePercent": 100})

    def _ask(self, percent: int) -> None:
        self._asked = percent
        self.world.edit(CANARY, share=_share(percent, percent if self.weight else 0))


def _share(reserve: int, weight: int | None = None) -> dict[str, Any]:
    stated = {} if weight is None else {"weightPercent": weight}
    return {"of": ["stable", "canary"], "reservePercent": reserve, **stated}
