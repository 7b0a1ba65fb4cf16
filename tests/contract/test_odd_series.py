"""What one exporter adds to its series refuses no question: the autoscaler asks once for all services.

Prometheus refuses a question as a whole where two elements of any part of it come to have the same labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from autoscaler.signals.profiles import BUILT_IN, ENVOY
from autoscaler.signals.queries import Windows, arrivals_question, bounds_question, questions
from tests.autoscaler.test_queries import PAGES
from tests.contract.prometheus import queried
from tests.contract.remote_write import Series, write
from tests.fakes.prometheus import page

pytestmark = pytest.mark.real_api

NOW, STEP_SECONDS, SAMPLES = 1_750_000_000.0, 15, 40
PROFILES = tuple(BUILT_IN.values())
NOT_ADDED = ("sampled_at", "scraped", "samples_per_minute", "bound")


def scraped(
    namespace: str, *more: dict[str, str], renamed: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Series]:
    """All recorded pages, of a service in a namespace; each series as often as there are labels to add to it."""
    pod = {"namespace": namespace, "pod": "digits-aaaa1111-7d9f8b6c5d-abcde", "job": "serving-pods"}
    readings = [({"__name__": "up"}, 0.0, pod)]
    for profile in PROFILES:
        text = (Path("tests/autoscaler/pages") / PAGES[profile.id]).read_text()
        for name, other in renamed.items():
            text = text.replace(name, other)
        target = pod if profile.source == "pods" else {"job": "envoy", "instance": f"gateway-of-{namespace}"}
        readings += [
            (dict(labels), value, target)
            for labels, value in page(text.replace("/demo/", f"/{namespace}/")).items()
        ]
    for labels, value, target in readings:
        points = [
            (NOW - STEP_SECONDS * (SAMPLES - 1 - at), 1.0 if labels["__name__"] == "up" else (value + 1) * at)
            for at in range(SAMPLES)
        ]
        for added in more or ({},):
            yield {**labels, **target, **added}, points


@pytest.mark.parametrize("label", ["deployment", "part", "profile", "signal"])
def test_series_that_differ_in_a_label_of_their_own_are_added_up(prometheus: str, label: str) -> None:
    """And what others have is answered to every question."""
    write(prometheus, [*scraped("demo"), *scraped("odd", {label: "a"}, {label: "b"})])
    asked = questions(PROFILES, Windows(60, 180), {"gateway": ["500"], "mlserver": ["0.5"], "vllm": ["0.5"]})
    asked |= {"bounds": bounds_question(PROFILES), "arrivals": arrivals_question(PROFILES, 60)}
    answers = {name: queried(prometheus, text, NOW) for name, text in asked.items()}

    for name in ("now", "base", "late", "gauges", "arrivals"):
        fair, odd = (told(answers[name], namespace) for namespace in ("demo", "odd"))
        assert fair
        assert {profile for profile, _, _, _ in fair} >= {profile.id for profile in PROFILES}
        assert odd == pytest.approx(
            {key: value * (1 if key[1] in NOT_ADDED else 2) for key, value in fair.items()}
        )
    assert answers["bounds"]


def test_clusters_of_a_rule_count_for_its_route(prometheus: str) -> None:
    """Whether it has one for all backends or one for each by position: as much as by the names of the backends."""
    names = {"/backend/digits-aaaa1111": "", "/backend/digits-bbbb2222": "/backend/1"}
    write(prometheus, [*scraped("demo"), *scraped("merged", renamed=names)])
    asked = questions((ENVOY,), Windows(60, 180), {"gateway": ["500"]})
    asked["arrivals"] = arrivals_question((ENVOY,), 60)
    for name in ("now", "base", "late", "gauges", "arrivals"):
        answer = queried(prometheus, asked[name], NOW)
        backends, routes = (told(answer, namespace) for namespace in ("demo", "merged"))
        added: dict[tuple[str, ...], float] = {}
        for (profile, signal, _, le), value in backends.items():
            if profile == "gateway":
                of_route = (profile, signal, "route/digits", le)
                added[of_route] = value if signal in NOT_ADDED else added.get(of_route, 0.0) + value
        assert added
        assert {key: value for key, value in routes.items() if key[0] == "gateway"} == pytest.approx(added)


def test_an_exporter_of_accelerators_that_was_replaced_counts_with_its_successor(prometheus: str) -> None:
    """On the host's network both have one address, and what they tell of is a pod of somebody else's."""
    digits = {"exported_namespace": "demo", "exported_pod": "digits-aaaa1111-7d9f8b6c5d-abcde"}
    other = {"namespace": "demo", "pod": "other-aaaa1111-7d9f8b6c5d-abcde"}
    exporter = {
        "__name__": "DCGM_FI_DEV_GPU_UTIL",
        "instance": "10.0.0.1:9400",
        "namespace": "gpu",
        "gpu": "0",
    }
    points = [(NOW - STEP_SECONDS * at, 50.0) for at in (3, 2, 1, 0)]
    series = [({**exporter, **digits, "pod": f"dcgm-{name}"}, points) for name in ("a", "b")]
    write(prometheus, [*series, ({**exporter, **other}, points)])
    answer = queried(prometheus, questions(PROFILES, Windows(60, 180), {})["gpu"], NOW)
    assert told(answer, "demo") == {
        ("gpu", "utilization", f"{name}-aaaa1111", ""): 0.5 for name in ("digits", "other")
    }


def told(answer: list[dict[str, Any]], namespace: str) -> dict[tuple[str, ...], float]:
    """By profile, signal, Deployment and bound: the numbers of a namespace."""
    names = ("profile", "signal", "deployment", "le")
    return {
        tuple(one["metric"].get(name, "") for name in names): float(one["value"][1])
        for one in answer
        if one["metric"].get("namespace") == namespace
    }
