"""The files that Envoy follows, and what its statistics say of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localcluster.files import replace_file
from localcluster.gateway.admin import EnvoyAdmin, in_force
from localcluster.gateway.buckets import buckets
from localcluster.gateway.resources import discovery_response
from localcluster.gateway.translate import Layout
from localcluster.gateway.xds_files import LINGER_SECONDS, Versions, XdsFiles, version_of
from tests.localcluster.gateway.objects import PREFIX, route, rule, translated

A, B = f"{PREFIX}/backend/a", f"{PREFIX}/backend/b"


@pytest.fixture
def files(tmp_path: Path) -> XdsFiles:
    """An empty directory of files."""
    made = XdsFiles(Layout(tmp_path, tmp_path / "access.log"))
    made.create_if_absent()
    return made


def clusters_in(files: XdsFiles) -> set[str]:
    """Names in the clusters' file."""
    return {item["name"] for item in json.loads(files.clusters_file.read_text())["resources"]}


def test_a_first_envoy_starts_from_empty_files(files: XdsFiles) -> None:
    """Files exist before any controller has run, and what a controller wrote is never emptied."""
    assert clusters_in(files) == set()
    files.write_clusters(translated(route(rule(("a", 1))), layout=files.layout), 0)
    files.create_if_absent()
    assert clusters_in(files) == {A}


def test_a_cluster_outlives_the_last_route_that_names_it(files: XdsFiles) -> None:
    """It stays until Envoy has served other routes for a while, then goes with its file."""
    files.write_endpoints(both := translated(route(rule(("a", 1), ("b", 1))), layout=files.layout))
    files.write_clusters(both, 0)
    files.write_routes(both)
    only_a = translated(route(rule(("a", 1))), layout=files.layout)
    for now in (100.0, 200.0):
        assert not files.write_clusters(only_a, now)
    assert clusters_in(files) == {A, B}
    files.write_routes(only_a)
    files.routes_settled(300.0)
    assert files.lingering()
    assert not files.write_clusters(only_a, 300.0 + LINGER_SECONDS - 1)
    assert files.write_clusters(only_a, 300.0 + LINGER_SECONDS)
    assert clusters_in(files) == {A}
    assert not files.lingering()
    files.remove_orphans(only_a)
    assert not files.layout.endpoints_file(B).exists()
    assert files.layout.endpoints_file(A).exists()


def test_a_restarted_controller_lets_unknown_clusters_linger(files: XdsFiles) -> None:
    """What a killed predecessor left in force is not torn away."""
    files.write_clusters(translated(route(rule(("a", 1), ("b", 1))), layout=files.layout), 0)
    successor = XdsFiles(files.layout)
    assert not successor.write_clusters(translated(route(rule(("a", 1))), layout=files.layout), 1_000_000)
    assert clusters_in(successor) == {A, B}


def test_a_cluster_that_is_named_again_stays(files: XdsFiles) -> None:
    """Its removal is forgotten."""
    both = translated(route(rule(("a", 1), ("b", 1))), layout=files.layout)
    only_a = translated(route(rule(("a", 1))), layout=files.layout)
    files.write_clusters(both, 0)
    files.write_clusters(only_a, 1)
    files.routes_settled(1)
    files.write_clusters(both, 2)
    files.write_clusters(only_a, 3)
    files.routes_settled(LINGER_SECONDS + 2)
    files.write_clusters(only_a, LINGER_SECONDS + 2)
    assert clusters_in(files) == {A, B}


def test_routes_differ_only_by_content(files: XdsFiles) -> None:
    """Writing the same translation again changes no version."""
    translation = translated(route(rule(("a", 1))), layout=files.layout)
    assert files.routes_differ(translation)
    files.write_routes(translation)
    assert not files.routes_differ(translation)
    assert files.routes_differ(translated(route(rule(("a", 2))), layout=files.layout))


def test_the_version_is_a_hash_of_the_content(tmp_path: Path) -> None:
    """Equal content has an equal version, whoever writes it."""
    version, text = discovery_response([{"name": "x"}])
    replace_file(tmp_path / "x.json", text)
    assert version_of(tmp_path / "x.json") == version == discovery_response([{"name": "x"}])[0]
    assert version != discovery_response([{"name": "y"}])[0]


VERSIONS = Versions("c2", "l2", {"http-1": "r2"}, {"httproute/ns/a.b/rule/0": "e2"})
STATS: dict[str, Any] = {
    "cluster_manager.cds.version_text": "c2",
    "cluster_manager.cds.update_rejected": 0,
    "cluster_manager.warming_clusters": 0,
    "listener_manager.lds.version_text": "l2",
    "listener_manager.lds.update_rejected": 3,
    "http.http-1.rds.http-1.version_text": "r2",
    "http.http-1.rds.http-1.update_rejected": 1,
    "cluster.httproute/ns/a_b/rule/0.version_text": "e2",
}


@pytest.mark.parametrize(
    ("changed", "serves", "refused"),
    [
        ({}, True, set()),
        ({"cluster_manager.cds.version_text": "c1"}, False, set()),
        (
            {"cluster_manager.cds.version_text": "c1", "cluster_manager.cds.update_rejected": 1},
            False,
            {"cds"},
        ),
        ({"cluster_manager.warming_clusters": 1}, False, set()),
        ({"listener_manager.lds.version_text": "l1"}, False, set()),
        (
            {"listener_manager.lds.version_text": "l1", "listener_manager.lds.update_rejected": 4},
            True,
            {"lds"},
        ),
        ({"http.http-1.rds.http-1.version_text": "r1"}, False, set()),
        (
            {"http.http-1.rds.http-1.version_text": "r1", "http.http-1.rds.http-1.update_rejected": 2},
            False,
            {"http-1"},
        ),
    ],
)
def test_what_is_in_force(changed: dict[str, Any], serves: bool, refused: set[str]) -> None:
    """In force is the version written; refused is one that is not, if the refusals have grown since its write.

    A refused set of listeners does not say that this listener was: Envoy takes the others.
    """
    force, refusals = in_force(STATS | changed, VERSIONS, {"lds": 3, "http-1": 1}, {})
    assert force.serves("http-1") is serves
    assert refusals == refused
    assert force.endpoints == {"httproute/ns/a.b/rule/0"}


def test_a_listener_that_envoy_refused_is_not_in_force() -> None:
    """Envoy names each listener that it could not open."""
    stats = STATS | {"listener_manager.lds.version_text": "l1", "listener_manager.lds.update_rejected": 4}
    force, _ = in_force(stats, VERSIONS, {"lds": 3}, {"http-1": "cannot bind"})
    assert force.listeners == frozenset()


def test_the_reason_of_a_refusal_is_found_in_the_log(tmp_path: Path) -> None:
    """The last refusal's last line, without the dump of the configuration before it."""
    log = tmp_path / "envoy.log"
    log.write_text(
        "[2026-01-01 00:00:00.000][1][warning][config] Filesystem config update rejected: older\n"
        "[2026-01-01 00:00:01.000][1][warning][config] Filesystem config update rejected: dump {\n"
        "  name: x\n}\n: value does not match regex\n"
        "[2026-01-01 00:00:02.000][1][warning][main] something else\n"
    )
    assert EnvoyAdmin("127.0.0.1", 1, log).last_refusal() == "value does not match regex"


def test_why_envoy_gave_up_is_found_in_the_log(tmp_path: Path) -> None:
    """Not the trace after it, and nothing where it has not."""
    log = tmp_path / "envoy.log"
    log.write_text("[2026-01-01 00:00:00.000][1][info][main] starting\n")
    assert EnvoyAdmin("127.0.0.1", 1, log).last_crash() == ""
    log.write_text(
        "[2026-01-01 00:00:00.000][1][critical][assert] [a.cc:25] assert failure: fd_ >= 0. Details: raise the limit\n"
        "[2026-01-01 00:00:00.000][1][critical][backtrace] [b.h:173] Caught Aborted\n"
    )
    assert (
        EnvoyAdmin("127.0.0.1", 1, log).last_crash() == "assert failure: fd_ >= 0. Details: raise the limit"
    )


def test_objectives_become_edges_of_the_histograms() -> None:
    """Edges are in order, without doubles, and hold what is added to the usual ones."""
    edges = buckets([35, 300])
    assert edges == sorted(set(edges))
    assert {35, 300, 250, 60_000} <= set(edges)
