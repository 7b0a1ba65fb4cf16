"""Input and output: the only package that talks to the API server and to Prometheus."""

from serving_io.cluster import Cluster, Listing, Manifest, WatchEvent
from serving_io.connection import ConfigurationError
from serving_io.endpoint import endpoint, listen_address
from serving_io.errors import (
    AlreadyExists,
    ApiError,
    Cause,
    Conflict,
    Denied,
    Expired,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
    NotLeader,
    ServingIOError,
    SignalUnavailable,
    TooManyRequests,
    Unavailable,
)
from serving_io.events import post_event
from serving_io.kinds import Kind, kind_of
from serving_io.lease import Lease
from serving_io.prometheus import Answer, Prometheus, PrometheusAccess, RangeAnswer, Sample, Series

__all__ = [
    "AlreadyExists",
    "Answer",
    "ApiError",
    "Cause",
    "Cluster",
    "ConfigurationError",
    "Conflict",
    "Denied",
    "Expired",
    "Forbidden",
    "Invalid",
    "Kind",
    "Lease",
    "Listing",
    "Manifest",
    "NamespaceTerminating",
    "NotFound",
    "NotLeader",
    "Prometheus",
    "PrometheusAccess",
    "RangeAnswer",
    "Sample",
    "Series",
    "ServingIOError",
    "SignalUnavailable",
    "TooManyRequests",
    "Unavailable",
    "WatchEvent",
    "endpoint",
    "kind_of",
    "listen_address",
    "post_event",
]
