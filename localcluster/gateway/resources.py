"""Envoy's resources as JSON: listener, route configuration, cluster, endpoints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from localcluster.gateway.backends import Address

Resource = dict[str, Any]

UPSTREAM_IDLE_TIMEOUT_SECONDS = 3
"""Below the keep-alive time of common model servers (uvicorn: 5 s), so that Envoy closes first."""
MISSING_CLUSTER = "unresolved-backend"
"""A cluster that is never defined: requests sent to it are answered with 500."""

_TYPE = "type.googleapis.com/envoy."
_UNLIMITED = 1_000_000
_ACCESS_LOG_FIELDS = {
    "time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "authority": "%REQ(:AUTHORITY)%",
    "code": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "upstream": "%UPSTREAM_HOST%",
    "duration_milliseconds": "%DURATION%",
}


def file_source(path: Path) -> Resource:
    """A configuration source that follows a file replaced by rename."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def discovery_response(resources: Iterable[Resource]) -> tuple[str, str]:
    """Version and text of a file with these resources; the version is a hash of the content."""
    items = json.dumps(list(resources), sort_keys=True)
    version = hashlib.sha256(items.encode()).hexdigest()[:16]
    return version, f'{{"version_info": "{version}", "resources": {items}}}'


def stat_name(cluster: str) -> str:
    """The cluster's name in statistics. Envoy ends the name at a dot there, so dots become `_`."""
    return cluster.replace(".", "_")


def cluster(name: str, endpoints_file: Path, locality_weights: bool) -> Resource:
    """A cluster whose endpoints come from a file of its own.

    It depends on its name alone, so that no change of a route or of pods ever replaces it.
    The gateway never retries: a retry would hide a bad response.
    """
    least_request: Resource = {
        "@type": _TYPE + "extensions.load_balancing_policies.least_request.v3.LeastRequest",
        "selection_method": "FULL_SCAN",
    }
    if locality_weights:
        least_request["locality_lb_config"] = {"locality_weighted_lb_config": {}}
    policy = {"name": "envoy.load_balancing_policies.least_request", "typed_config": least_request}
    return {
        "@type": _TYPE + "config.cluster.v3.Cluster",
        "name": name,
        "alt_stat_name": stat_name(name),
        "type": "EDS",
        "eds_cluster_config": {"eds_config": file_source(endpoints_file)},
        "connect_timeout": "5s",
        "load_balancing_policy": {"policies": [{"typed_extension_config": policy}]},
        # By default Envoy may delay a change of weights by a second.
        "common_lb_config": {"update_merge_window": "0s"},
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": _UNLIMITED,
                    "max_pending_requests": _UNLIMITED,
                    "max_requests": _UNLIMITED,
                }
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": f"{UPSTREAM_IDLE_TIMEOUT_SECONDS}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def load_assignment(name: str, localities: Iterable[tuple[str, int, Iterable[Address]]]) -> Resource:
    """The endpoints of a cluster, grouped as (locality, weight, addresses); empty groups are left out."""
    groups = []
    for region, weight, addresses in localities:
        hosts = [
            {"endpoint": {"address": {"socket_address": {"address": item.ip, "port_value": item.port}}}}
            for item in addresses
        ]
        if hosts:
            locality = {"region": region}
            groups.append({"locality": locality, "load_balancing_weight": weight, "lb_endpoints": hosts})
    return {
        "@type": _TYPE + "config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name,
        "endpoints": groups,
    }


def route(match: Resource, shares: Iterable[tuple[str, int]], timeout: str) -> Resource:
    """One route entry. Shares are (cluster, weight); without any weight every request is answered with 500."""
    weighted = [{"name": name, "weight": weight} for name, weight in shares if weight > 0]
    if not weighted:
        return {"match": match, "direct_response": {"status": 500}}
    return {
        "match": match,
        "route": {
            "weighted_clusters": {"clusters": weighted},
            "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
            "timeout": timeout,
        },
    }


def route_configuration(name: str, virtual_hosts: dict[str, list[Resource]]) -> Resource:
    """The routes of one port, by host name."""
    return {
        "@type": _TYPE + "config.route.v3.RouteConfiguration",
        "name": name,
        "ignore_port_in_host_matching": True,
        "virtual_hosts": [
            {"name": host, "domains": [host], "routes": routes}
            for host, routes in sorted(virtual_hosts.items())
        ],
    }


def listener(name: str, port: int, routes_file: Path, access_log: Path) -> Resource:
    """A listener on loopback. Its content depends on the port alone: replacing it would drain connections."""
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": _TYPE + "extensions.filters.http.router.v3.Router"},
    }
    log = {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": _TYPE + "extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(access_log),
            "log_format": {"json_format": _ACCESS_LOG_FIELDS},
        },
    }
    connections = {
        "@type": _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "use_remote_address": True,
        "normalize_path": True,
        "stream_idle_timeout": "3600s",
        "rds": {"route_config_name": name, "config_source": file_source(routes_file)},
        "access_log": [log],
        "http_filters": [router],
    }
    chain = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": connections}]
    }
    return {
        "@type": _TYPE + "config.listener.v3.Listener",
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [chain],
    }
