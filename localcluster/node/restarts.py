"""When a container is started again, and after how long. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


def restarts(policy: str, exit_code: int) -> bool:
    """Whether a pod's restartPolicy starts a container again after this exit code."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


@dataclass
class Backoff:
    """Delays: none before the first restart, then `base_seconds`, doubling. The limits are a kubelet's unless given."""

    base_seconds: float
    longest_seconds: float = 300.0
    steady_seconds: float = 600.0
    _next_seconds: float = field(default=0.0, init=False)

    def delay_seconds(self, ran_seconds: float) -> float:
        """How long to wait after a run of `ran_seconds`; one of `steady_seconds` makes a new start."""
        if ran_seconds >= self.steady_seconds:
            self._next_seconds = 0.0
        delay = self._next_seconds
        self._next_seconds = min(self.longest_seconds, max(self.base_seconds, 2 * delay))
        return delay
