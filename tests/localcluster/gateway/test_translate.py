"""What Envoy is told for what the API server holds."""

from __future__ import annotations

from typing import Any

import pytest

from localcluster.gateway.attachment import effective_hostnames
from localcluster.gateway.backends import dialled_ip
from localcluster.gateway.matches import duration_milliseconds, route_timeout
from localcluster.gateway.resources import MISSING_CLUSTER
from localcluster.gateway.translate import ClusterNaming
from tests.localcluster.gateway.objects import (
    PARENT,
    PREFIX,
    dialled,
    endpoint,
    endpoint_slice,
    entries,
    gateway,
    named,
    route,
    rule,
    service,
    shares,
    translated,
)


@pytest.mark.parametrize(
    ("backends", "expected"),
    [
        ([("a", 90), ("b", 10)], {f"{PREFIX}/backend/a": 90, f"{PREFIX}/backend/b": 10}),
        ([("a", 100), ("b", 0)], {f"{PREFIX}/backend/a": 100}),
        ([("a", 3), ("b", 5)], {f"{PREFIX}/backend/a": 3, f"{PREFIX}/backend/b": 5}),
        ([("a", 2), ("a", 3)], {f"{PREFIX}/backend/a": 5}),
        ([("a", 90), ("gone", 10)], {f"{PREFIX}/backend/a": 90, MISSING_CLUSTER: 10}),
        ([("gone", 1)], {MISSING_CLUSTER: 1}),
    ],
)
def test_weights_become_shares(backends: list[tuple[str, int]], expected: dict[str, int]) -> None:
    """Each backend gets its weight, and a Service that does not exist keeps its share for answers of 500."""
    [entry] = entries(translated(route(rule(*backends))))
    assert shares(entry) == expected
    assert entry["route"]["cluster_not_found_response_code"] == "INTERNAL_SERVER_ERROR"


@pytest.mark.parametrize("backends", [[], [("a", 0), ("b", 0)], [("gone", 0)]])
def test_no_weight_at_all_is_answered_with_500(backends: list[tuple[str, int]]) -> None:
    """A rule without a backend that has weight answers 500 by itself."""
    [entry] = entries(translated(route(rule(*backends))))
    assert entry["direct_response"] == {"status": 500}


def test_a_backend_of_weight_zero_keeps_its_cluster() -> None:
    """Raising a weight from zero needs no new cluster, so no request waits for one."""
    assert set(translated(route(rule(("a", 1), ("b", 0)))).clusters) == {
        f"{PREFIX}/backend/a",
        f"{PREFIX}/backend/b",
    }


def test_a_cluster_depends_on_its_name_alone() -> None:
    """Weights, ports and pods never change a cluster: a replaced cluster would lose its connections."""
    before = translated(route(rule(("a", 1), ("b", 0))))
    after = translated(
        route(rule(("a", 1), ("b", 9), timeouts={"request": "3s"})),
        slices=[endpoint_slice("a", endpoint("10.244.0.1", ready=True))],
    )
    assert before.clusters == after.clusters
    assert before.listeners == after.listeners


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        ([endpoint("10.244.1.2", ready=True)], ["127.244.1.2:8080"]),
        ([endpoint("10.244.1.2")], ["127.244.1.2:8080"]),
        ([endpoint("10.244.1.2", ready=False)], []),
        ([endpoint("10.244.1.2", ready=True, serving=False)], []),
        ([endpoint("10.244.1.2", ready=False, serving=False, terminating=True)], []),
        (
            [
                endpoint("10.244.1.2", ready=True, serving=True, terminating=False),
                endpoint("10.244.1.3", ready=False, serving=True, terminating=True),
            ],
            ["127.244.1.2:8080"],
        ),
        ([endpoint("10.244.1.3", ready=False, serving=True, terminating=True)], ["127.244.1.3:8080"]),
        ([endpoint("8.8.8.8", ready=True)], []),
    ],
)
def test_endpoints_that_take_requests(endpoints: list[Any], expected: list[str]) -> None:
    """Ready pods are dialled on loopback; terminating ones only where no other is left; strangers never."""
    result = translated(route(rule(("a", 1))), slices=[endpoint_slice("a", *endpoints)])
    assert dialled(result, f"{PREFIX}/backend/a") == expected


def test_endpoints_come_from_every_slice_by_the_name_of_the_port() -> None:
    """Slices of one Service may differ in the number behind a named target port."""
    metrics = endpoint_slice("a", endpoint("10.244.0.9"), name="3")
    metrics["ports"] = [{"name": "metrics", "port": 8082}]
    slices = [
        endpoint_slice("a", endpoint("10.244.0.1"), port=8080, name="1"),
        endpoint_slice("a", endpoint("10.244.0.2"), port=9090, name="2"),
        metrics,
        endpoint_slice("b", endpoint("10.244.0.3")),
    ]
    result = translated(route(rule(("a", 1))), slices=slices)
    assert dialled(result, f"{PREFIX}/backend/a") == ["127.244.0.1:8080", "127.244.0.2:9090"]


def test_two_ports_of_one_service_are_two_clusters() -> None:
    """Only then does the port stand in the cluster's name."""
    both = service("a")
    both["spec"]["ports"].append({"name": "grpc", "port": 81})
    refs = [{"name": "a", "port": 80}, {"name": "a", "port": 81}]
    result = translated(route({"backendRefs": refs}), services=[both])
    assert set(result.clusters) == {f"{PREFIX}/backend/a/port/80", f"{PREFIX}/backend/a/port/81"}


def test_merged_naming_puts_weights_on_localities() -> None:
    """One cluster holds the rule; the weights are its localities', and the missing share stays apart."""
    merged = [named(gateway(), ClusterNaming.MERGED)]
    slices = [endpoint_slice("a", endpoint("10.244.0.1")), endpoint_slice("b", endpoint("10.244.0.2"))]
    result = translated(route(rule(("a", 90), ("b", 10), ("gone", 25))), gateways=merged, slices=slices)
    assert shares(entries(result)[0]) == {PREFIX: 100, MISSING_CLUSTER: 25}
    assert [
        (group["locality"]["region"], group["load_balancing_weight"])
        for group in result.endpoints[PREFIX]["endpoints"]
    ] == [(f"{PREFIX}/backend/a", 90), (f"{PREFIX}/backend/b", 10)]


def test_each_gateway_has_its_own_naming() -> None:
    """Of two Gateways on one port one merges the clusters of its routes; the other's are as ever."""
    other = named(gateway("other"), ClusterNaming.MERGED)
    elsewhere = route(rule(("a", 1)), name="elsewhere", parentRefs=[PARENT | {"name": "other"}])
    result = translated(route(rule(("a", 1))), elsewhere, gateways=[gateway(), other])
    assert set(result.clusters) == {f"{PREFIX}/backend/a", "httproute/shop/elsewhere/rule/0"}


def test_matches_are_tried_in_the_order_of_the_specification() -> None:
    """Exact path, longest prefix, method, number of headers, age, name, order of writing."""
    wanted = [
        {"path": {"type": "Exact", "value": "/v2/infer"}},
        {"path": {"type": "PathPrefix", "value": "/v2/infer"}},
        {"path": {"type": "PathPrefix", "value": "/v2"}, "method": "POST"},
        {"path": {"type": "PathPrefix", "value": "/v2"}, "headers": [{"name": "x", "value": "1"}]},
        {"path": {"type": "PathPrefix", "value": "/v2"}, "queryParams": [{"name": "q", "value": "1"}]},
        {"path": {"type": "PathPrefix", "value": "/v2"}},
        {},
    ]
    younger = route(rule(("a", 1), matches=wanted[::-1]))
    younger["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    older = route(rule(("b", 1)), name="older")
    older["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    tried = entries(translated(younger, older))
    assert [entry["match"] for entry in tried[:-2]] == [
        {"path": "/v2/infer"},
        {"path_separated_prefix": "/v2/infer"},
        {"path_separated_prefix": "/v2", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]},
        {"path_separated_prefix": "/v2", "headers": [{"name": "x", "string_match": {"exact": "1"}}]},
        {"path_separated_prefix": "/v2", "query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]},
        {"path_separated_prefix": "/v2"},
    ]
    assert [entry["match"] for entry in tried[-2:]] == [{"prefix": "/"}, {"prefix": "/"}]
    assert list(shares(tried[-2])) == ["httproute/shop/older/rule/0/backend/b"]


@pytest.mark.parametrize(
    ("listener", "names", "expected"),
    [
        (None, [], {"*"}),
        (None, ["a.org", "*.b.org"], {"a.org", "*.b.org"}),
        ("a.org", [], {"a.org"}),
        ("*.a.org", ["x.a.org", "a.org", "y.b.org"], {"x.a.org"}),
        ("x.a.org", ["*.a.org"], {"x.a.org"}),
        ("*.a.org", ["*.x.a.org", "*.org"], {"*.x.a.org", "*.a.org"}),
        ("a.org", ["b.org"], set()),
    ],
)
def test_host_names_are_intersected(listener: str | None, names: list[str], expected: set[str]) -> None:
    """A route answers under the names that both it and the listener admit."""
    assert effective_hostnames(listener, names) == expected


def test_one_route_through_two_parents_is_listed_once() -> None:
    """Two parentRefs that lead to one port do not double its matches."""
    twice = route(rule(("a", 1)), parentRefs=[PARENT, PARENT | {"sectionName": "http"}])
    assert len(entries(translated(twice))) == 1


@pytest.mark.parametrize(
    ("timeouts", "expected"),
    [
        ({}, "0s"),
        ({"request": "0s"}, "0s"),
        ({"request": "10s"}, "10.000s"),
        ({"request": "10s", "backendRequest": "250ms"}, "0.250s"),
        ({"request": "0s", "backendRequest": "1m30s"}, "90.000s"),
    ],
)
def test_timeouts(timeouts: dict[str, str], expected: str) -> None:
    """The shorter of both decides, and zero or nothing is no limit (Envoy's own default would be 15 s)."""
    assert route_timeout({"timeouts": timeouts}) == expected


def test_durations_are_read_with_all_their_units() -> None:
    """Hours, minutes, seconds and milliseconds add up."""
    assert duration_milliseconds("1h2m3s4ms") == 3_723_004


def test_ports_of_every_gateway_are_served_on_loopback_only() -> None:
    """Each port gets one listener, on 127.0.0.1."""
    second = gateway("other", port=18081)
    result = translated(route(rule(("a", 1))), gateways=[gateway(), second])
    assert {
        (item["address"]["socket_address"]["address"], item["address"]["socket_address"]["port_value"])
        for item in result.listeners.values()
    } == {("127.0.0.1", 18080), ("127.0.0.1", 18081)}
    assert result.routes["http-18081"]["virtual_hosts"] == []


def test_routes_and_gateways_of_other_classes_are_ignored() -> None:
    """Nothing is programmed, and nothing is answered, for a class that names another controller."""
    foreign = gateway("foreign", port=18082)
    foreign["spec"]["gatewayClassName"] = "somebody-else"
    stranger = route(rule(("a", 1)), parentRefs=[PARENT | {"name": "foreign"}])
    result = translated(stranger, gateways=[foreign])
    assert (result.listeners, result.clusters, result.route_answers) == ({}, {}, ())


@pytest.mark.parametrize(
    ("ip", "expected"),
    [("10.244.3.4", "127.244.3.4"), ("127.0.0.1", "127.0.0.1"), ("10.96.0.1", None), ("192.0.2.1", None)],
)
def test_only_loopback_is_dialled(ip: str, expected: str | None) -> None:
    """A pod's address is dialled on loopback; any other address is not dialled at all."""
    assert dialled_ip(ip) == expected


def test_endpoints_and_routes_have_files_of_their_own() -> None:
    """Envoy takes one assignment per file, and names with slashes are no file names."""
    result = translated(route(rule(("a", 1), ("b", 1))))
    files = {
        item["eds_cluster_config"]["eds_config"]["path_config_source"]["path"]
        for item in result.clusters.values()
    }
    assert len(files) == 2
    assert all(path.startswith("/xds/endpoints/") and path.count("/") == 3 for path in files)
