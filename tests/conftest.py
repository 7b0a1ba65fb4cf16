"""What every test starts from."""

from __future__ import annotations

import asyncio
import os

from hypothesis import HealthCheck, Phase, settings

# Otherwise pytest-asyncio, asking for the loop in force before its first own, makes asyncio create one that
# nobody closes: a ResourceWarning, and warnings are errors.
asyncio.set_event_loop(None)

# The same examples every time, so that a change is judged and not a draw. HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# For who asks only whether a test fails: the first failure is enough, and nobody reads a smaller one.
settings.register_profile(
    "first-failure",
    settings.get_profile("same"),
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
)
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
