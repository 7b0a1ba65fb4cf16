"""Each source against its metrics page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from serving_operator.evidence import queries
from serving_operator.evidence.reading import spellings
from serving_operator.evidence.sources import SOURCES, Source, source_of
from serving_operator.judge.windows import Missing, Window
from tests.fakes.envoy import ENVOY_TARGET, Backend
from tests.operator.evidence.worlds import CANARY, STABLE, T0, Desk, after, of_source, pod, recorded

ENVOY_PAGE, MLSERVER_PAGE, ISTIO_PAGE = "envoy-1.40.0.txt", "mlserver-1.7.1.txt", "istio-1.30.txt"
VLLM_PAGE = "vllm-documented.txt"
PAGE_OF = {
    "envoy-gateway": ENVOY_PAGE,
    "runtime/mlserver": MLSERVER_PAGE,
    "runtime/vllm": VLLM_PAGE,
    "istio": ISTIO_PAGE,
}
GATEWAY = {"job": "istio", "namespace": "infra", "pod": "gw-istio-7d9f-abcde", "instance": "10.0.0.9:15020"}


def assert_missing(found: object, reason: str, *said: str) -> None:
    """Evidence is missing for this reason until a person changes something, and the message says all this."""
    assert isinstance(found, Missing)
    assert (found.reason, found.needs_person) == (reason, True)
    assert [text for text in said if text not in found.message] == []


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.id)
def test_every_metric_is_on_the_page(source: Source) -> None:
    """No source names a metric that its exporter does not have."""
    names = {dict(labels)["__name__"] for labels in recorded(PAGE_OF[source.id])}
    wanted = {source.buckets.name, source.presence.name, *(metric.name for metric in source.aborted)}
    wanted |= {source.failed.name} if source.failed else set()

    assert wanted <= names


async def test_envoy_counts_what_has_no_entry_in_the_histogram() -> None:
    """Of a good, a failed, a late, a timed-out, an abandoned and a reset request five are bad, and six were made."""
    text = {
        frozenset(
            (label, value.replace("exp/digits", "demo/digits").replace("digits-0257e8de", f"digits-{CANARY}"))
            for label, value in labels
        ): count
        for labels, count in recorded(ENVOY_PAGE).items()
    }
    desk = Desk()
    desk.prometheus.scrape(T0 - 5, Backend(STABLE).exposed, ENVOY_TARGET)
    for at in range(T0, T0 + 61, 15):
        desk.prometheus.scrape(at + 1, text | Backend(STABLE).exposed, ENVOY_TARGET)

    evidence = await desk.read(after(1))

    assert evidence.windows == (Window(6, 5, 0, 0),)
    assert evidence.missing is None


async def test_mlserver_tells_failed_from_late() -> None:
    """Twelve fast answers and a fast failure are thirteen requests, one of them bad."""
    desk = Desk()
    for revision, at in ((STABLE, T0 - 10), (CANARY, T0 - 9)):
        desk.prometheus.scrape(at, {}, pod(revision))
        desk.prometheus.scrape(at + 40, recorded(MLSERVER_PAGE), pod(revision))
    question = of_source("runtime", "mlserver")

    evidence = await desk.read(after(1), replace(question, threshold_milliseconds=250))

    assert evidence.windows == (Window(13, 1, 13, 1),)


async def test_vllm_counts_in_the_engine_and_in_its_http_server() -> None:
    """Late ones are in the engine's histogram, failed and abandoned ones only in what the HTTP server has ended."""
    desk = Desk()
    for revision, at in ((STABLE, T0 - 10), (CANARY, T0 - 9)):
        desk.prometheus.scrape(at, {}, pod(revision))
    desk.prometheus.scrape(T0 + 31, recorded(VLLM_PAGE), pod(CANARY))
    quick = {
        labels: value for labels, value in recorded(VLLM_PAGE).items() if ("status", "5xx") not in labels
    }
    desk.prometheus.scrape(T0 + 30, quick, pod(STABLE))
    question = of_source("runtime", "vllm")

    evidence = await desk.read(after(1), replace(question, threshold_milliseconds=2500))

    late, abandoned, failed, answered = 5, 3, 2, 50
    assert evidence.windows == (
        Window(
            answered + abandoned + failed, late + abandoned + failed, answered + abandoned, late + abandoned
        ),
    )


async def test_istio_counts_at_the_gateway() -> None:
    """Late, failed and abandoned requests are bad, those without an endpoint too; a sidecar's account is not added."""
    desk = Desk()
    desk.prometheus.scrape(T0 - 5, {}, GATEWAY)
    desk.prometheus.scrape(T0 + 30, recorded(ISTIO_PAGE), GATEWAY)
    evidence = await desk.read(after(1), replace(of_source("istio"), threshold_milliseconds=250))

    assert evidence.windows == (Window(20, 20, 100, 8),)


async def test_a_threshold_between_bounds_is_not_approximated() -> None:
    """Without a bucket at the objective nothing is counted, and the nearest bounds and the remedy are named."""
    desk = Desk()
    desk.prometheus.scrape(T0 + 30, recorded(ISTIO_PAGE), GATEWAY)

    evidence = await desk.read(after(1), of_source("istio"))

    assert evidence.windows == (Window(0, 0, 0, 0),)
    assert_missing(
        evidence.missing,
        "ObjectiveNotMeasurable",
        "no bucket at 300 ms",
        "250 ms and 500 ms",
        "statsHistogramBuckets",
    )


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (100, "bounds are 250 ms:"),
        (900, "bounds are 500 ms:"),
        (500, "250 ms, and 500 ms elsewhere but not for digits-aaaa1111:"),
    ],
)
async def test_the_nearest_bounds_are_those_that_there_are(milliseconds: int, said: str) -> None:
    """Below the first and above the last there is one; a bound that another backend has is told apart."""
    desk, page = Desk(), recorded(ISTIO_PAGE)
    whole = {
        labels: value
        for labels, value in page.items()
        if not {("le", "500"), ("destination_service_name", "digits-aaaa1111")} <= labels
    }
    desk.prometheus.scrape(T0 + 30, whole, GATEWAY)

    evidence = await desk.read(after(1), replace(of_source("istio"), threshold_milliseconds=milliseconds))

    assert_missing(evidence.missing, "ObjectiveNotMeasurable", said)


async def test_a_histogram_without_bounds_is_said_to_have_none() -> None:
    """Where only the infinite bucket is, there is no nearest bound."""
    desk, page = Desk(), recorded(ISTIO_PAGE)
    infinite = {labels: value for labels, value in page.items() if dict(labels).get("le", "+Inf") == "+Inf"}
    desk.prometheus.scrape(T0 + 30, infinite, GATEWAY)

    evidence = await desk.read(after(1), of_source("istio"))

    assert_missing(evidence.missing, "ObjectiveNotMeasurable", "nearest bounds are unknown: ")


def test_bounds_are_milliseconds_by_their_shortest_spelling() -> None:
    """What is no number, or has no end, is no bound; of two spellings one is asked for."""
    found = spellings(["le", "1.0", "1", "0.070", "0.07", "+Inf", "0.0005"], SOURCES["runtime/mlserver"])
    assert found == {1000.0: "1", 70.0: "0.07", 0.5: "0.0005"}


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.id)
def test_a_series_without_its_label_is_of_no_backend(source: Source) -> None:
    """What names no backend is nobody's."""
    assert source.naming.backend({}) is None


def test_a_backend_has_the_namespace_that_is_told() -> None:
    """By a label, or by the name of Envoy's cluster; where neither tells it, none."""
    labels = {"destination_service_name": "a-b"}
    assert SOURCES["istio"].naming.backend(labels | {"destination_service_namespace": "demo"}) == (
        "demo",
        "a-b",
    )
    assert SOURCES["istio"].naming.backend(labels) == ("", "a-b")
    cluster = {"envoy_cluster_name": "httproute/demo/digits/rule/0/backend/a-b"}
    assert SOURCES["envoy-gateway"].naming.backend(cluster) == ("demo", "a-b")


def test_a_route_is_counted_as_a_whole_by_envoy_only() -> None:
    """The route of a merged cluster is told; other clusters, other labels and other sources have none."""
    cluster = "httproute/demo/digits/rule/0"
    assert SOURCES["envoy-gateway"].naming.route({"envoy_cluster_name": cluster}) == ("demo", "digits")
    assert SOURCES["envoy-gateway"].naming.route({"envoy_cluster_name": f"{cluster}/backend/a-b"}) is None
    assert SOURCES["envoy-gateway"].naming.route({}) is None
    assert SOURCES["istio"].naming.route({"destination_service_name": cluster}) is None


@pytest.mark.parametrize("prefix", ["httproute/demo/digits/rule/0", "httproute/demo/digits/rule/0/backend/1"])
async def test_merged_clusters_hide_the_split(prefix: str) -> None:
    """Where Envoy counts a route as a whole, or names backends by position, that is said and nothing is counted."""
    desk = Desk()
    whole = Backend("", prefix=prefix, good=50)
    desk.prometheus.scrape(T0, whole.exposed, ENVOY_TARGET)
    desk.prometheus.scrape(T0 + 30, whole.exposed, ENVOY_TARGET)

    evidence = await desk.read(after(1))

    assert evidence.windows == (Window(0, 0, 0, 0),)
    assert_missing(evidence.missing, "SplitNotVisible", "analysis.source to runtime")


def test_what_a_runtime_cannot_tell_is_said() -> None:
    """A container's own metrics are not known, and two kinds of metrics are not compared."""
    for profile in ("mlserver", "vllm"):
        assert isinstance(source_of("runtime", (profile, profile)), Source)
    for profiles in (("gateway", "gateway"), ("mlserver", "gateway"), ("mlserver", "vllm")):
        assert_missing(source_of("runtime", profiles), "SourceNotMeasurable", "envoy-gateway")


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.id)
def test_the_matcher_is_in_every_selector(source: Source) -> None:
    """A matcher of the administrator's reaches every metric; no question names a service."""
    asked = [
        *queries.questions(source, ("0.3",), 'cluster="a"').values(),
        queries.bounds_question(source, 'cluster="a"'),
        queries.pulse_question('cluster="a"'),
        queries.failing_question('cluster="a"'),
    ]
    for promql in asked:
        selectors = re.findall(r"\{([^}]*)\}", promql)
        assert selectors
        assert all('cluster="a"' in selector for selector in selectors), promql
        assert "digits" not in promql
