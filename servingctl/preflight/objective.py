"""Whether an objective can be measured by the histograms that there are."""

from __future__ import annotations

from autoscaler.signals.observe import bounds_around, exact_bound
from autoscaler.signals.profiles import Profile
from servingctl.preflight.finding import Finding, Unasked, ok, warning
from servingctl.preflight.signals import Reading


def bucket(profile: Profile, reading: Reading, threshold_milliseconds: int) -> Finding | None:
    """Say whether late requests can be counted: whether the histogram has a bucket at the objective."""
    if profile.buckets is None or isinstance(reading.own, Unasked) or not reading.own:
        return None
    bounds = {
        float(series.labels["le"]) * profile.buckets.seconds
        for series in reading.own
        if "le" in series.labels
    }
    check, threshold = (
        f"bucket at {threshold_milliseconds} ms ({profile.buckets.name})",
        threshold_milliseconds / 1000,
    )
    if exact_bound(bounds, threshold) is not None:
        return ok(check, "late requests are counted exactly")
    near = [f"{bound * 1000:g}" for bound in bounds_around(bounds, threshold) if bound is not None]
    return warning(
        check,
        "there is none, so late requests cannot be counted there and sizing uses the model",
        f"set objective.thresholdMilliseconds to {' or '.join(near) or 'a bound of the histogram'}, or give the histogram this bucket",
    )
