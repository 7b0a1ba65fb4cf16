"""What is made of what there was before and after a change of the release."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.upgrade.course import Course, Seen, markdown, seen, shortcomings

README = Path(__file__).parents[3] / "loadtests" / "README.md"
BEFORE = Seen(
    pods=frozenset({"a", "b"}),
    revisions=frozenset({"steady-1", "steady-2"}),
    weights=(("steady-1", 50), ("steady-2", 50)),
    attempt="2-2",
    weight=50,
)
GOOD = Course("present", BEFORE, BEFORE, 4.04, promoted=True)


def summary(course: Course = GOOD, not_2xx: int = 0) -> dict[str, Any]:
    """A summary of one course."""
    made: dict[str, Any] = {
        "from": "v0.1.0",
        "present": "v0.2.0",
        "courses": [course.figures()],
        "requests": 900,
        "not_2xx": not_2xx,
    }
    return made | {"shortcomings": shortcomings(made)}


def test_a_service_is_seen_by_its_pods_revisions_weights_and_attempt() -> None:
    """Pods by uid, for one of the same name may be another; a service without a canary has no attempt."""
    pods = {"items": [{"metadata": {"uid": "a"}}]}
    revisions = {"items": [{"metadata": {"name": "steady-1"}}]}
    route = {"spec": {"rules": [{"backendRefs": [{"name": "steady-1", "weight": 100}]}]}}
    service = {"status": {"canary": {"id": "2-2", "weight": 50}}}
    expected = Seen(frozenset({"a"}), frozenset({"steady-1"}), (("steady-1", 100),), "2-2", 50)

    assert seen(pods, revisions, route, service) == expected
    assert seen(pods, revisions, route, {}) == replace(expected, attempt="", weight=0)


def test_nothing_noticed_is_no_shortcoming() -> None:
    """New pods of a scaling autoscaler are none, either."""
    more = replace(GOOD, after=replace(BEFORE, pods=BEFORE.pods | {"c"}))

    assert summary()["shortcomings"] == summary(more)["shortcomings"] == []
    assert more.figures()["pods_added"] == 1


@pytest.mark.parametrize(
    ("course", "not_2xx", "says"),
    [
        (replace(GOOD, after=replace(BEFORE, pods=frozenset({"a", "c"}))), 0, "1 pods were replaced"),
        (replace(GOOD, after=replace(BEFORE, revisions=BEFORE.revisions | {"x"})), 0, "1 revisions"),
        (replace(GOOD, after=replace(BEFORE, weight=0)), 0, "the attempt or its weight"),
        (replace(GOOD, after=replace(BEFORE, weights=())), 0, "the attempt or its weight"),
        (replace(GOOD, promoted=False), 0, "not promoted"),
        (GOOD, 3, "3 of 900 requests"),
    ],
)
def test_each_thing_noticed_is_a_shortcoming(course: Course, not_2xx: int, says: str) -> None:
    """It is named, and the report has it."""
    found = summary(course, not_2xx)

    (only,) = found["shortcomings"]
    assert says in only
    assert only in markdown(found)


def test_every_key_of_the_summary_is_documented() -> None:
    """The README's table has them all."""
    section = README.read_text().partition("-m loadtests.upgrade`")[2]
    found = summary()
    keys = [*found, *found["courses"][0]]

    assert [key for key in keys if f"`{key}`" not in section] == []
