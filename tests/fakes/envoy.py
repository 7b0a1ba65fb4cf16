"""What an Envoy exposes of the backends of a route, as it was recorded on Envoy 1.40."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes.prometheus import Labels

ENVOY_TARGET = {"job": "envoy", "instance": "127.0.0.1:9901"}


@dataclass
class Backend:
    """What one Envoy has counted for one backend."""

    revision: str
    prefix: str = "httproute/demo/digits/rule/0/backend/"
    good: int = 0
    late: int = 0
    failed: int = 0
    timed_out: int = 0
    aborted: int = 0

    @property
    def exposed(self) -> dict[Labels, float]:
        """Its series."""
        name = self.prefix + (f"digits-{self.revision}" if self.revision else "")
        within, ended = self.good + self.failed, self.good + self.failed + self.late

        def one(metric: str, value: int, **labels: str) -> tuple[Labels, float]:
            named = {"__name__": f"envoy_cluster_upstream_{metric}", "envoy_cluster_name": name, **labels}
            return frozenset(named.items()), float(value)

        series = [
            one("rq_completed", ended + self.timed_out),
            one("rq_xx", self.failed + self.timed_out, envoy_response_code_class="5"),
            one("rq_xx", self.good + self.late, envoy_response_code_class="2"),
            one("cx_destroy_local_with_active_rq", self.timed_out + self.aborted),
            one("rq_timeout", self.timed_out),
        ]
        if ended:
            series += [
                one("rq_time_bucket", within, le="250"),
                one("rq_time_bucket", within, le="300"),
                one("rq_time_bucket", ended, le="+Inf"),
            ]
        return dict(series)
