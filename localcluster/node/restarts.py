"""When a container is started again, and after how long. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

LONGEST_DELAY_SECONDS = 300.0
FORGOTTEN_AFTER_SECONDS = 600.0


def restarts(policy: str, exit_code: int) -> bool:
    """Whether a pod's restartPolicy starts a container again after this exit code."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


@dataclass
class Backoff:
    """A kubelet's delays: none before the first restart, then `base_seconds`, doubling up to five minutes."""

    base_seconds: float
    _next_seconds: float = field(default=0.0, init=False)

    def delay_seconds(self, ran_seconds: float) -> float:
        """How long to wait after a run of `ran_seconds`; a run of ten minutes makes a new start."""
        if ran_seconds >= FORGOTTEN_AFTER_SECONDS:
            self._next_seconds = 0.0
        delay = self._next_seconds
        self._next_seconds = min(LONGEST_DELAY_SECONDS, max(self.base_seconds, 2 * delay))
        return delay
