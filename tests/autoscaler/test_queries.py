"""The questions to Prometheus, and the metrics pages that they are asked of."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoscaler.signals.profiles import BUILT_IN, ENVOY, MLSERVER, Profile, in_use, profile_of
from autoscaler.signals.queries import (
    CLUSTER_OF_BACKEND,
    PER_TICK,
    POD_OF_DEPLOYMENT,
    ROUTE_OF_CLUSTER,
    Windows,
    arrivals_question,
    bounds_question,
    questions,
)
from autoscaler.signals.rules import rules_yaml
from loadtests.simulator.promql import Aggregation, Binary, Call, Number, parse
from serving_api.autoscaler import AutoscalerSignals

PAGES = {
    "mlserver": "mlserver-1.7.1.txt",
    "gateway": "envoy-1.40.0.txt",
    "vllm": "vllm-documented.txt",
    "triton": "triton-documented.txt",
    "sglang": "sglang-documented.txt",
    "tgi": "tgi-documented.txt",
}
"""Recorded with the version of the server, or written from the names that its documentation has."""


def series_of(profile: Profile) -> list[tuple[str, dict[str, str]]]:
    """Names and labels of all series on the recorded page of a profile."""
    text = (Path(__file__).parent / "pages" / PAGES[profile.id]).read_text()
    lines = re.findall(r"^([\w:]+)(?:\{(.*)\})? \S+$", text, flags=re.MULTILINE)
    return [(name, dict(re.findall(r'(\w+)="([^"]*)"', labels))) for name, labels in lines]


@pytest.mark.parametrize("profile", BUILT_IN.values(), ids=lambda profile: profile.id)
def test_every_metric_of_a_profile_is_on_its_recorded_page(profile: Profile) -> None:
    """No profile names a metric that the runtime, as recorded, does not have with the matched labels."""
    series = series_of(profile)
    wanted = [*profile.counters.values(), profile.work.sum, profile.work.count, *profile.in_flight]
    for metric in [*wanted, profile.buckets] if profile.buckets else wanted:
        label, _, pattern = metric.matchers.partition("=")
        expected = pattern.lstrip("~").strip('"')
        matching = [
            labels
            for name, labels in series
            if name == metric.name and (not label or re.fullmatch(expected, labels[label]))
        ]
        assert matching, metric


def test_recorded_latency_of_mlserver_leaves_the_wait_out() -> None:
    """Six requests at once took a client up to 76 ms, and yet none is beyond 25 ms on the server's own page."""
    text = (Path(__file__).parent / "pages" / PAGES["mlserver"]).read_text()
    assert 'le="0.025",method="POST",path="/v2/models/{model_name}/infer",status_code="200"} 12.0' in text
    assert MLSERVER.durations == "service"


def test_the_number_of_questions_does_not_grow() -> None:
    """Six questions at most, with every profile in use."""
    named = AutoscalerSignals.model_validate(
        {"metrics": {"requestsTotal": "r_total", "durationSeconds": "d_seconds"}}
    )
    profiles = in_use([MLSERVER, ENVOY, profile_of(named), profile_of(named)])
    assert len(profiles) == 3
    asked = questions(profiles, Windows.of(5), {})
    assert tuple(asked) == PER_TICK
    assert len(asked) + len([bounds_question(profiles)]) == 6


def test_the_matcher_is_in_every_selector() -> None:
    """A matcher of the administrator's reaches every metric that is read."""
    asked = questions(
        in_use([MLSERVER]), Windows.of(5), {"mlserver": ["0.5"], "gateway": ["500"]}, 'cluster="a"'
    )
    asked["bounds"] = bounds_question(in_use([MLSERVER]), 'cluster="a"')
    for text in asked.values():
        braces = re.findall(
            r"\{[^{}]*\}", re.sub(r"\"[^\"]*\"", lambda m: m[0].replace("{", "").replace("}", ""), text)
        )
        assert braces
        assert all('cluster="a"' in selector for selector in braces)


def test_a_label_is_made_only_of_what_was_summed_by_labels() -> None:
    """Labels that an exporter has besides are gone by then: they could make two elements alike, which is refused."""
    profiles = in_use(BUILT_IN.values())
    asked = questions(profiles, Windows.of(5), {"gateway": ["500"], "mlserver": ["0.5"]})
    texts = [*asked.values(), bounds_question(profiles), arrivals_question(profiles, 60)]
    made = [node.arguments[0] for text in texts for node in nodes(parse(text)) if is_made(node)]
    assert made
    assert not [inner for inner in made if not all(map(is_summed, sources(inner)))]


def nodes(node: Any) -> Iterator[Any]:
    """A tree, all of it."""
    yield node
    for part in (
        *getattr(node, "arguments", ()),
        *(getattr(node, name, None) for name in ("inner", "left", "right")),
    ):
        if part is not None:
            yield from nodes(part)


def sources(node: Any) -> Iterator[Any]:
    """What labels are made of: below labels that were made before, and operators."""
    if is_made(node):
        yield from sources(node.arguments[0])
    elif isinstance(node, Binary):
        yield from (
            one for side in (node.left, node.right) if not isinstance(side, Number) for one in sources(side)
        )
    else:
        yield node


def is_made(node: Any) -> bool:
    return isinstance(node, Call) and node.function == "label_replace"


def is_summed(node: Any) -> bool:
    return isinstance(node, Aggregation) and not node.without


@pytest.mark.parametrize(
    ("pod", "deployment", "why"),
    [
        ("digits-aaaa1111-7d9f8b6c5d-abcde", "digits-aaaa1111", "a revision's pod"),
        ("web-5c9-x7k2p", "web", "a short hash"),
        (f"{'s' * 40}-0123abcd-7d9f8b6" + "zzzzz", f"{'s' * 40}-0123abcd", "a name that the API server cut"),
        ("db-0", None, "a StatefulSet's pod"),
        ("train-abcde", None, "a Job's pod"),
    ],
)
def test_deployment_is_found_in_the_name_of_a_pod(pod: str, deployment: str | None, why: str) -> None:
    """The target needs no label of ours."""
    found = re.fullmatch(POD_OF_DEPLOYMENT, pod)
    assert (found[1] if found else None) == deployment, why


def test_backend_is_found_in_the_name_of_an_envoy_cluster() -> None:
    """Namespace and Service of a backend, as the recorded page names its clusters."""
    names = {
        labels["envoy_cluster_name"]
        for name, labels in series_of(ENVOY)
        if name.startswith("envoy_cluster_upstream_rq_total")
    }
    found = {re.fullmatch(CLUSTER_OF_BACKEND, name) for name in names if name.startswith("httproute/")}
    assert {match.groups() for match in found if match} == {
        ("demo", "digits-aaaa1111"),
        ("demo", "digits-bbbb2222"),
    }


@pytest.mark.parametrize(
    ("cluster", "backend", "route"),
    [
        ("httproute/demo/digits/rule/0/backend/digits-aaaa1111", "digits-aaaa1111", None),
        ("httproute/demo/digits/rule/0/backend/2x", "2x", None),
        ("httproute/demo/digits/rule/0", None, "digits"),
        ("httproute/demo/digits/rule/12/backend/1", None, "digits"),
        ("grpcroute/demo/digits/rule/0", None, None),
        ("prometheus_stats", None, None),
    ],
)
def test_a_cluster_is_of_a_backend_or_of_a_route(
    cluster: str, backend: str | None, route: str | None
) -> None:
    """Envoy Gateway makes one cluster for a rule, or names those of its backends by their position."""
    found = (re.fullmatch(CLUSTER_OF_BACKEND, cluster), re.fullmatch(ROUTE_OF_CLUSTER, cluster))
    assert [match and match.groups() for match in found] == [
        name and ("demo", name) for name in (backend, route)
    ]


@pytest.mark.parametrize(
    ("scrape", "fast", "base"), [(1, 20, 60), (5, 20, 60), (15, 60, 180), (60, 240, 720), (300, 240, 720)]
)
def test_windows_hold_four_scrapes(scrape: float, fast: int, base: int) -> None:
    """Windows follow the scrape interval, within bounds."""
    assert Windows.of(scrape) == Windows(fast, base)


def test_the_shipped_rules_are_those_of_the_code() -> None:
    """manifests/prometheus/rules.yaml is what the module writes."""
    shipped = Path(__file__).parents[2] / "manifests" / "prometheus" / "rules.yaml"
    assert shipped.read_text() == rules_yaml()
