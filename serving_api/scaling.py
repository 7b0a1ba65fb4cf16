"""How many replicas a service has: what is to be held, and who sees to it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from serving_api.schema import Model


class Objective(Model):
    """The service level objective: so many percent of the requests within so many milliseconds."""

    indicator: Literal["RequestLatency"] = "RequestLatency"
    """What is measured: the time from a request's arrival at the server to its last byte."""
    threshold_milliseconds: Annotated[int, Field(ge=1, le=600000)]
    """A request that takes longer is late. Best equal to an upper bound of the latency histogram's buckets."""
    percent: Annotated[int, Field(ge=50, le=99)] = 99
    """Share of the requests that must be neither late nor failed."""


class Gpu(Model):
    """How GPU utilisation bounds the replicas."""

    target_utilization_percent: Annotated[int, Field(ge=1, le=100)]
    """Utilisation per replica above which a replica is added: one more lower bound beside the objective."""


class ExternalScaling(Model):
    """Replicas set by somebody else: a person, an HPA or a ScaledObject through the scale subresource."""

    replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    """Replicas of the service."""


SignalProfile = Literal["mlserver", "vllm", "triton", "sglang", "tgi", "gateway"]


class Signals(Model):
    """Where the autoscaler reads load and latency."""

    profile: SignalProfile
    """Names of the metrics: those of a runtime, or gateway for any container behind a gateway."""


class Scaling(Model):
    """Who sets the number of replicas, and how."""

    class_: Annotated[Literal["Auto", "External"], Field(alias="class")] = "Auto"
    """Auto: our autoscaler. External: the scale subresource of this object."""
    mode: Literal["Auto", "Advise"] | None = None
    """Auto (if absent): the autoscaler scales. Advise: it only says what it would do."""
    external: ExternalScaling | None = None
    """Replicas of class External."""
    gpu: Gpu | None = None
    """How GPU utilisation bounds the replicas."""
    scale_down_hold_seconds: Annotated[int, Field(ge=10, le=3600)] | None = None
    """Seconds for which a higher need is held before replicas are removed; if absent the measured start time, within 180 to 600."""
    signals: Signals | None = None
    """Where load and latency are read; if absent the runtime's own profile, and gateway for a container."""
