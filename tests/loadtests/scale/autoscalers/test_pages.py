"""Pages as Prometheus scrapes them: series that the questions read, counters that only grow, demand that is conserved."""

from __future__ import annotations

import re
import threading

import httpx
import pytest

from autoscaler.signals.profiles import BUILT_IN, ENVOY
from loadtests.scale.autoscalers.exporter import PER_PAGE, Demand, pages, server
from loadtests.scale.autoscalers.pages import Backend, page_of_gateway, page_of_pods, within
from loadtests.scale.autoscalers.population import population
from tests.fakes.prometheus import page


def value(text: str, pattern: str) -> float:
    """The sum of the series that a pattern finds."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(pattern, line))


@pytest.mark.parametrize("number", [2, 3], ids=["vllm", "mlserver"])
def test_every_series_of_a_profile_is_there(number: int) -> None:
    """What is asked of the pods and of the gateway, but for counters that appear with the first failure only."""
    backend = Backend(population(20)[number])
    profile = BUILT_IN[backend.member.kind.profile]
    for known, text in ((profile, page_of_pods([backend])), (ENVOY, page_of_gateway([backend]))):
        names = {dict(labels)["__name__"] for labels in page(text)}
        metrics = [*known.counters.values(), known.work.sum, known.work.count, *known.in_flight]
        wanted = {metric.name for metric in (*metrics, *([known.buckets] if known.buckets else []))}
        assert wanted - names <= {"model_infer_request_failure_total"}


def test_pods_share_the_demand_and_the_gateway_has_all_of_it() -> None:
    """Also after a change of their number: what the ended ones counted is gone, what new ones count begins at 0."""
    backend = Backend(population(20)[3])
    backend.scale(2)
    backend.live(10)
    backend.scale(3)
    backend.live(30)
    completed = [pod.requests for pod in backend.pods]

    assert completed == pytest.approx([15 * backend.rate, 15 * backend.rate, 10 * backend.rate])
    assert value(page_of_gateway([backend]), r"envoy_cluster_upstream_rq_total") == pytest.approx(
        40 * backend.rate
    )
    backend.scale(1)
    assert value(page_of_pods([backend]), r"model_infer_request_success_total") == pytest.approx(
        15 * backend.rate
    )


def test_a_pod_is_up_with_a_name_of_its_own() -> None:
    """Also one that comes after another has gone."""
    backend = Backend(population(20)[2])
    seen = set(re.findall(r'^up\{.*pod="([^"]*)"\} 1$', page_of_pods([backend]), re.MULTILINE))
    before = len(backend.pods)
    backend.scale(before - 1 or 1)
    backend.scale(before + 1)
    now = set(re.findall(r'^up\{.*pod="([^"]*)"\} 1$', page_of_pods([backend]), re.MULTILINE))

    assert len(seen) == before
    assert len(now) == before + 1
    assert now - seen


def test_a_histogram_is_cumulative_and_keeps_its_mean() -> None:
    """Log-normal times: more than half below the mean, nearly all below five times it."""
    assert within(1.0, 0.01) < 0.001 < 0.5 < within(1.0, 1.0) < 0.99 < within(1.0, 5.0) <= 1.0


def test_changes_go_round_and_take_themselves_back() -> None:
    """A hundredth at a time: the next ones, and the first ones again at the end, which then have their own rate."""
    now = 0.0
    demand = Demand(100, lambda: now)
    rates = []
    for _ in range(3):
        demand.change(0.5, 2.0)
        rates.append([backend.factor for backend in demand._backends])

    assert [sum(factors) for factors in rates] == [150, 200, 150]
    assert rates[0][:50] == [2.0] * 50
    assert rates[2][:50] == [1.0] * 50


def test_all_drift_and_the_sum_stays() -> None:
    """Half up, half down, and the other way the next time."""
    demand = Demand(100, lambda: 0.0)
    demand.drift(0.2)
    first = [backend.factor for backend in demand._backends]
    demand.drift(0.2)
    second = [backend.factor for backend in demand._backends]

    assert sorted(set(first)) == pytest.approx([0.8, 1.2])
    assert [a + b for a, b in zip(first, second, strict=True)] == pytest.approx([2.0] * 100)


def test_counters_only_grow_whoever_asks() -> None:
    """Time is counted once, also where it passes between a change and a scrape."""
    now = 0.0
    demand = Demand(20, lambda: now)
    seen = []
    for step in range(5):
        now += 15
        if step == 2:
            demand.change(1.0, 3.0)
        seen.append(value(demand.page("gateway", 0), r"envoy_cluster_upstream_rq_total"))

    steps = [after - before for before, after in zip([0.0, *seen], seen, strict=False)]
    assert steps == pytest.approx([steps[0]] * 3 + [3 * steps[0]] * 2)


def test_pages_hold_everybody() -> None:
    """The last one what is left."""
    count = PER_PAGE + 1
    demand = Demand(count, lambda: 0.0)

    assert pages(count) == 2
    assert value(demand.page("gateway", 1), r"envoy_cluster_upstream_rq_active") > 0
    with pytest.raises(IndexError):
        demand.page("pods", 2)


def test_it_is_scraped_and_told() -> None:
    """Over HTTP: pages, replicas, changes; what there is not is said."""

    demand = Demand(20)
    with server(demand, 0) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{serving.server_address[1]}"
        with httpx.Client(base_url=url, trust_env=False) as client:
            client.post("/scale", json={2: 5}).raise_for_status()
            client.post("/change", json={"share": 1.0, "factor": 2.0}).raise_for_status()
            client.post("/drift", json={"ratio": 0.1}).raise_for_status()
            found = client.get("/pods/0")
            missing = [client.get("/pods/7").status_code, client.post("/other", json={}).status_code]
        serving.shutdown()
    name = population(20)[2].name

    assert len(re.findall(rf'^up\{{.*pod="{name}-', found.text, re.MULTILINE)) == 5
    assert missing == [404, 404]
