"""What must hold while one revision takes over from another: pure functions of what was observed."""

from serving_operator.rollout.first_seen import facts

__all__ = ["facts"]
