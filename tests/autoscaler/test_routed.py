"""A target at a gateway that counts routes as a whole."""

from typing import Any

import pytest

from autoscaler.signals.expected import Expectation
from autoscaler.signals.views import Answers, Gate
from tests.autoscaler.test_observe import FRESH, GATEWAY, UP, answers, seen
from tests.autoscaler.world import Answer, Revision, Sample, World


def on_route(percent: int, **more: Any) -> Expectation:
    """Of one of a route's revisions, with so much of its traffic."""
    return Expectation(2, 600, gateway=True, weight_percent=percent, route="iris", **more)


def merged(found: Answers) -> Answers:
    """The gateway's numbers as those of a whole route."""
    for answer in found.values():
        assert isinstance(answer, Answer)
        for sample in answer.samples:
            if sample.labels["profile"] == "gateway":
                sample.labels["deployment"] = "route/iris"
    return found


ROUTED = {
    "gateway_gauges": GATEWAY | {"in_flight": 8.0},
    "gateway_now": {"requests": 20.0, "failed": 2.0, "work_sum": 1800.0, "work_count": 18.0},
    "gateway_base": {"requests": 20.0},
    "gateway_late": {"responses": 18.0, "500": 17.0, "timed_out": 2.0},
    "up_gauges": UP,
}


@pytest.mark.parametrize("percent", [100, 25, 1])
def test_a_target_has_its_part_of_what_its_route_is_counted(percent: int) -> None:
    """Where no cluster is of a backend: rates and counts by the weight that is meant for it, means and ratios as they are."""
    view, whole = (
        seen(found, on_route(percent), "gateway").gateway
        for found in (merged(answers(**ROUTED)), answers(**ROUTED))
    )
    part = percent / 100
    assert view.gate is Gate.OK
    assert view.part == part
    for number in (
        "arrivals_now",
        "arrivals_base",
        "responses",
        "unanswered",
        "failures_now",
        "completions",
        "in_flight",
    ):
        assert getattr(view, number) == pytest.approx(part * getattr(whole, number)), number
    assert view.within == pytest.approx({0.5: part * 17.0})
    assert (view.work_seconds, view.sampled_at) == (whole.work_seconds, whole.sampled_at)


def test_lateness_of_a_route_is_believed_of_as_many_as_are_meant_for_the_target() -> None:
    """Three in twenty; and nothing is said of a target that hardly any of them are meant for."""
    found = merged(answers(**ROUTED))
    half, hardly_any = (seen(found, on_route(percent), "gateway") for percent in (50, 4))
    assert half.late_ratio == pytest.approx(0.15)
    assert half.late_requests == 600
    assert hardly_any.late_ratio is None


def test_a_target_without_weight_has_no_part_and_misses_nothing() -> None:
    """A canary before its first step: seen, and without demand."""
    observation = seen(merged(answers(**ROUTED)), on_route(0), "gateway")
    assert not observation.blind
    assert observation.usable
    assert observation.arrivals_now == 0


def test_its_own_clusters_tell_more_than_its_routes() -> None:
    """While a gateway is told to count otherwise Prometheus may have both."""
    both = answers(**ROUTED)
    for name, answer in merged(answers(**ROUTED)).items():
        other = both[name]
        assert isinstance(answer, Answer)
        assert isinstance(other, Answer)
        other.samples += answer.samples
    observation = seen(both, on_route(25), "gateway")
    assert observation.gateway.part is None
    assert observation.arrivals_now == 20


def test_what_is_missed_is_named_by_backend_and_route() -> None:
    """Either would do."""
    new = Expectation(2, 600, gateway=False, route="iris")
    for expected in (on_route(100), new):
        view = seen(answers(up_gauges=UP), expected, "gateway").gateway
        assert view.reason == "NoSeries"
        assert "backend digits" in view.message
        assert "route iris" in view.message


@pytest.mark.parametrize(
    ("percent", "pods", "arrivals", "why"),
    [
        (50, 20.0, 10.0, "traffic has not followed the weight yet: the other has the other half"),
        (50, 0.0, 10.0, "nor has it come here"),
        (50, 30.0, 20.0, "more than the gateway passed on to all revisions"),
        (100, 30.0, 30.0, "the same of the only one"),
        (0, 20.0, 0.0, "its last requests, or those of a route that has not moved"),
    ],
)
def test_what_passes_a_merged_gateway_by_is_what_the_route_cannot_have_had(
    percent: int, pods: float, arrivals: float, why: str
) -> None:
    """Weights are those that are prepared for: demand is counted once, whichever revision it still reaches."""
    found = answers(
        gateway_gauges=GATEWAY,
        gateway_now={"requests": 20.0},
        gateway_base={"requests": 20.0},
        gateway_late={"responses": 20.0},
        up_gauges=UP,
        mlserver_gauges=FRESH,
        mlserver_now={"requests": pods},
        mlserver_base={"requests": pods},
    )
    assert seen(merged(found), on_route(percent)).arrivals_now == pytest.approx(arrivals), why


@pytest.mark.parametrize(("percent", "late"), [(50, 0.0), (100, 0.15)])
def test_pods_tell_what_a_merged_cluster_hides(percent: int, late: float) -> None:
    """Of several revisions a model server's own histogram says which is late; of the only one the gateway sees more."""
    at_pods = {"vllm_gauges": FRESH, "vllm_now": {"requests": 10.0}, "vllm_base": {"requests": 10.0}}
    found = answers(**ROUTED, **at_pods, vllm_late={"responses": 10.0, "0.5": 10.0})
    assert seen(merged(found), on_route(percent), "vllm").late_ratio == pytest.approx(late)


class Merging(World):
    """Its gateway counts the route of all revisions as a whole."""

    def answers(self) -> Answers:
        """With the gateway's numbers added up."""
        found = super().answers()
        for answer in found.values():
            assert isinstance(answer, Answer)
            kept, added = [], dict[tuple[str, str], Sample]()
            for sample in answer.samples:
                labels = sample.labels
                if labels["profile"] != "gateway" or "deployment" not in labels:
                    kept.append(sample)
                    continue
                whole = Sample(labels | {"deployment": "route/digits"}, 0.0)
                whole = added.setdefault((labels["signal"], labels.get("le", "")), whole)
                whole.value = sample.value if labels["signal"] == "sampled_at" else whole.value + sample.value
            answer.samples = [*kept, *added.values()]
        return found


CONTAINER = {"signals": {"profile": "gateway"}}


def said(revision: Revision) -> dict[str, tuple[str, str]]:
    """Status and reason of a revision's conditions."""
    return {c["type"]: (c["status"], c["reason"]) for c in revision.status["conditions"]}


def test_a_container_behind_a_merged_cluster_follows_its_load() -> None:
    """As behind one of its own: nothing of its pods is needed."""
    service = Revision("digits-aaaa1111", service_seconds=0.1, spec=CONTAINER)
    world = Merging(service, rate=lambda _: 24.0)
    world.run(600)
    assert said(service)["SignalsAvailable"] == ("True", "Fresh")
    assert service.replicas == 4
    assert service.status["learned"]["serviceTimeMilliseconds"] == pytest.approx(100, abs=15)


@pytest.mark.parametrize("spec", [CONTAINER, {}], ids=["container", "mlserver"])
def test_the_demand_of_all_revisions_is_that_of_their_route(spec: dict[str, Any]) -> None:
    """Whatever their weights, also those that traffic does not have yet: each gets its part of one demand."""
    names = ["digits-aaaa1111", "digits-bbbb2222"]
    stable, canary = (
        Revision(name, service_seconds=0.1, replicas=4, ready=4, share=share(names, weight), spec=spec)
        for name, weight in zip(names, (100, 0), strict=True)
    )
    world = Merging(stable, canary, rate=lambda _: 24.0)
    world.run(300)
    for weight in (0, 20, 60, 100):
        stable.share, canary.share = share(names, 100 - weight), share(names, weight)
        world.run(120)
        reports = {report.target.autoscaler.name: report for report in world.tick().reports}
        assert sum(report.arrivals for report in reports.values()) == pytest.approx(24.0, rel=0.02)
        assert reports[canary.name].arrivals == pytest.approx(24.0 * weight / 100, rel=0.02)
        assert not any(report.observation.blind for report in reports.values())


def share(names: list[str], weight: int) -> dict[str, Any]:
    """A part of what these are asked together."""
    return {"of": names, "weightPercent": weight, "reservePercent": 100}
