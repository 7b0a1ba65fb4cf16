"""Evidence from a Prometheus in memory: what is counted, what is missing, and that a restart counts the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_api.names import ServiceKey
from serving_io.prometheus import RangeAnswer
from serving_operator.evidence.questions import Question
from serving_operator.evidence.reader import EvidenceReader
from serving_operator.evidence.reading import SETTLE_SECONDS, reading
from serving_operator.judge.windows import NOT_YET_READ, Window
from tests.fakes.envoy import ENVOY_TARGET, Backend
from tests.operator.evidence.worlds import (
    CANARY,
    KEY,
    QUESTION,
    STABLE,
    T0,
    Desk,
    after,
    of_source,
    pod,
    recorded,
)

PAIR = ({"prometheus_replica": "a"}, {"prometheus_replica": "b"})
AWAY = (
    "Prometheus does not answer; check that it runs and that prometheus.url names it. "
    "The operator's log has the error."
)
Minute = tuple[int, int, int, int, int]


def scraped(desk: Desk, at: float, *backends: Backend, up: bool = True, **target: str) -> None:
    """One scrape of Envoy."""
    exposed = {labels: value for backend in backends for labels, value in backend.exposed.items()}
    desk.prometheus.scrape(at, exposed, ENVOY_TARGET | target, up)


async def test_windows_follow_each_other() -> None:
    """Each window has what was counted in it, at a scrape interval of 60 s too."""
    desk, stable, canary = Desk(), Backend(STABLE, good=1000), Backend(CANARY)
    for minute in range(4):
        scraped(desk, T0 - 60 + 60 * minute + 13, stable, canary)
        stable.good, canary.good, canary.late = stable.good + 80, canary.good + 18, canary.late + 2

    evidence = await desk.read(after(2))

    assert evidence.windows == (Window(20, 2, 80, 0), Window(20, 2, 80, 0))
    assert (evidence.attempt, evidence.source) == (f"{CANARY}-2", "envoy-gateway")
    assert desk.changed == [KEY]


async def test_the_administrators_matcher_is_in_every_question() -> None:
    """What is scraped of another cluster, by the same Prometheus, is neither counted nor taken for a pulse."""
    desk = Desk(matcher='cluster="a"')
    scraped(desk, T0, Backend(STABLE), Backend(CANARY), cluster="a")
    scraped(desk, T0 + 30, Backend(STABLE, good=9), Backend(CANARY, good=1), cluster="a")
    scraped(desk, T0 + 30, Backend(STABLE, good=70), Backend(CANARY, good=70), cluster="b")

    assert (await desk.read(after(1))).windows == (Window(1, 0, 9, 0),)
    assert [promql for promql in desk.prometheus.asked if 'cluster="a"' not in promql] == []


async def test_a_long_absence_is_made_up_for_in_one_round() -> None:
    """It is read by the half hour; until all is read, what is counted so far is not taken for all that there is."""
    desk, seen = Desk(), []
    for minute in range(32):
        scraped(desk, T0 + 60 * minute, Backend(STABLE, good=4 * minute), Backend(CANARY, good=minute))

    def changed(key: ServiceKey) -> None:
        evidence = desk.reader.evidence(key)
        assert evidence is not None
        seen.append((len(evidence.windows), evidence.missing))

    desk.reader = EvidenceReader(desk.prometheus, changed=changed, now=desk.clock)
    await desk.read(after(31))

    assert seen == [(30, NOT_YET_READ), (31, None)]


async def test_bounds_are_asked_once() -> None:
    """A histogram whose bounds are known, the objective among them, is not asked for them again."""
    desk = Desk()
    for minute in range(3):
        scraped(desk, T0 + 60 * minute, Backend(STABLE, good=4 * minute), Backend(CANARY, good=minute))
    for windows in (1, 2):
        await desk.read(after(windows))

    assert sum(promql.startswith("count by (le)") for promql in desk.prometheus.asked) == 1


async def test_values_that_are_no_numbers_are_told() -> None:
    """Where nothing but NaN is answered, that is what is missing."""
    desk = Desk()
    scraped(desk, T0 + 30)
    answers = desk.prometheus.query_range

    async def not_finite(promql: str, start: float, end: float, step: float) -> RangeAnswer:
        return replace(await answers(promql, start, end, step), not_finite=3)

    desk.prometheus.query_range = not_finite  # type: ignore[method-assign]
    missing = (await desk.read(after(1))).missing

    assert missing is not None
    assert missing.reason == "NotFinite"


async def test_an_empty_prometheus_has_no_series() -> None:
    """One that never scraped anything is told by what is not there, not as an answer of another shape."""
    missing = (await Desk().read(after(1))).missing
    assert missing is not None
    assert missing.reason == "NoSeries"


async def test_a_step_begins_on_the_grid() -> None:
    """The first window begins at the first point of the grid at or after the step's start."""
    for offset, expected in ((0, 0), (1, 5), (5, 5), (5.2, 10)):
        started = datetime.fromtimestamp(T0, UTC) + timedelta(seconds=offset)
        assert replace(QUESTION, started_at=started).window(0)[0] == T0 + expected


async def test_the_end_of_a_window_settles_first() -> None:
    """A window is not read before what was scraped in it must have arrived."""
    desk = Desk()
    scraped(desk, T0, Backend(STABLE), Backend(CANARY))
    scraped(desk, T0 + 59, Backend(STABLE, good=9), Backend(CANARY, good=1))

    assert (await desk.read(after(1) - 1)).windows == ()
    assert (await desk.read(after(1))).windows == (Window(1, 0, 9, 0),)


async def test_an_envoy_that_restarts_counts_on() -> None:
    """Counters that begin anew at 0 add what they have; another Envoy's beside them are untouched by it."""
    desk = Desk()
    for at, first, second in ((T0 - 3, 500, 70), (T0 + 20, 510, 75), (T0 + 40, 4, 80)):
        scraped(desk, at, Backend(STABLE, good=first), instance="a:9901")
        scraped(desk, at, Backend(STABLE, good=second), instance="b:9901")

    assert (await desk.read(after(1))).windows == (Window(0, 0, 10 + 4 + 10, 0),)


async def test_a_new_pod_counts_from_zero_and_a_gone_one_keeps_what_was_seen() -> None:
    """Pods that come within a window count whole, pods that go lose what they counted after their last scrape."""
    desk, question = Desk(), replace(of_source("runtime", "mlserver"), threshold_milliseconds=250)
    page = recorded("mlserver-1.7.1.txt")
    half = {labels: value // 2 for labels, value in page.items()}
    desk.prometheus.scrape(T0 - 10, half, pod(STABLE))
    desk.prometheus.scrape(T0 + 20, page, pod(STABLE))
    desk.prometheus.scrape(T0 + 25, {}, pod(STABLE))
    desk.prometheus.scrape(T0 + 30, page, pod(CANARY))

    evidence = await desk.read(after(1), question)

    assert evidence.windows == (Window(13, 1, 13 - 6, 1),)


async def test_what_could_not_be_scraped_is_not_new() -> None:
    """An exporter whose scrapes failed for long begins at its first value: it counted long before this window."""
    desk = Desk()
    scraped(desk, T0 - 1000, Backend(STABLE, good=100), Backend(CANARY))
    for at in range(T0 - 900, T0, 60):
        scraped(desk, at, up=False)
    scraped(desk, T0 + 10, Backend(STABLE, good=5000, failed=9), Backend(CANARY))
    scraped(desk, T0 + 40, Backend(STABLE, good=5010, failed=9), Backend(CANARY))

    assert (await desk.read(after(1))).windows == (Window(0, 0, 10, 0),)


async def test_nothing_is_new_after_prometheus_was_away() -> None:
    """Where Prometheus itself saw nothing for long, nobody can say what is new: counting begins at the first value."""
    desk = Desk()
    scraped(desk, T0 - 5000, Backend(STABLE, good=100), Backend(CANARY))
    scraped(desk, T0 + 10, Backend(STABLE, good=5000), Backend(CANARY, failed=70))
    scraped(desk, T0 + 40, Backend(STABLE, good=5010), Backend(CANARY, failed=73))

    assert (await desk.read(after(1))).windows == (Window(3, 3, 10, 0),)


async def test_a_pair_of_prometheus_counts_once() -> None:
    """Of two copies the fuller one counts, whole: not the sum, and not the most of each number."""
    desk = Desk()
    for at, good, failed in ((T0 - 3, 0, 0), (T0 + 30, 40, 2), (T0 + 58, 90, 5)):
        for lag, labels in zip((0, 1), PAIR, strict=True):
            if not (labels == PAIR[1] and at == T0 + 58):  # the second one has missed a scrape
                scraped(desk, at + lag, Backend(STABLE, good=good), Backend(CANARY, failed=failed), **labels)

    assert (await desk.read(after(1))).windows == (Window(5, 5, 90, 0),)


async def test_two_jobs_of_one_target_count_once() -> None:
    """A target that two jobs scrape is one."""
    desk = Desk()
    for job in ("envoy", "everything"):
        scraped(desk, T0, Backend(STABLE), Backend(CANARY), job=job)
        scraped(desk, T0 + 30, Backend(STABLE, good=9), Backend(CANARY, good=3), job=job)

    assert (await desk.read(after(1))).windows == (Window(3, 0, 9, 0),)


async def test_a_canary_without_a_request_is_no_gap() -> None:
    """Where stable is counted, a canary without series got nothing: zero requests, and nothing is missing."""
    desk = Desk()
    scraped(desk, T0, Backend(STABLE))
    scraped(desk, T0 + 30, Backend(STABLE, good=9))

    evidence = await desk.read(after(1))

    assert (evidence.windows, evidence.missing) == ((Window(0, 0, 9, 0),), None)


async def test_no_series_is_no_zero() -> None:
    """Where neither is counted that is said, with the metric and what to check."""
    desk = Desk()
    scraped(desk, T0)
    scraped(desk, T0 + 59)

    evidence = await desk.read(after(1))

    assert evidence.missing is not None
    assert evidence.missing.reason == "NoSeries"
    assert "envoy_cluster_upstream_rq_completed of digits-aaaa1111" in evidence.missing.message


async def test_a_prometheus_that_sees_nothing_is_waited_for() -> None:
    """While Prometheus answers and scrapes nothing, no window is read; they are once it does again."""
    desk = Desk()
    scraped(desk, T0, Backend(STABLE), Backend(CANARY))

    blind = await desk.read(T0 + 130)
    assert blind.windows == ()
    assert blind.missing is not None
    assert blind.missing.reason == "Stale"

    scraped(desk, T0 + 131, Backend(STABLE, good=9), Backend(CANARY, good=1))
    seeing = await desk.read(T0 + 145)
    assert seeing.windows == (Window(0, 0, 0, 0), Window(0, 0, 0, 0))
    assert seeing.missing is None


@pytest.mark.parametrize("seconds", [*range(10, 21), 33, 61])
@pytest.mark.parametrize("phase", [0, 1, 3.3])
async def test_only_where_nothing_was_scraped_a_window_is_blind(seconds: int, phase: float) -> None:
    """Windows of any length, most of whose ends lie between two points of the grid, see what is scraped every ten seconds."""
    question, last = replace(QUESTION, window_seconds=seconds), T0 + 600
    seamless, gap = Desk(), Desk()
    for at in range(T0 - 60, last, 10):
        scraped(seamless, at + phase, Backend(STABLE), Backend(CANARY))
        if not T0 + 200 < at < T0 + 400:
            scraped(gap, at + phase, Backend(STABLE), Backend(CANARY))

    assert (await seamless.read(last, question)).blind_windows == 0
    blind = (await gap.read(last, question)).blind_windows
    assert 200 // seconds - 1 <= blind <= 200 // seconds + 1


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        ("Unreachable", "PrometheusUnreachable", AWAY),
        ("Timeout", "PrometheusUnreachable", AWAY),
        (
            "QueryRefused",
            "QueryRefused",
            "Prometheus gives no usable answer; the operator's log has the query and the error.",
        ),
        (
            "PartialAnswer",
            "PartialAnswer",
            "Prometheus warns that its answer lacks what a store or a remote read holds; bring that back. The "
            "operator's log has the warning.",
        ),
    ],
)
async def test_an_outage_is_told_and_made_up_for(error: str, reason: str, message: str) -> None:
    """What Prometheus does not answer is missing with a reason, and is counted when it answers."""
    desk = Desk()
    scraped(desk, T0, Backend(STABLE), Backend(CANARY))
    scraped(desk, T0 + 59, Backend(STABLE, good=9), Backend(CANARY, good=1))
    desk.prometheus.down = error

    away = await desk.read(after(1))
    assert away.windows == ()
    assert away.missing is not None
    assert (away.missing.reason, away.missing.message) == (reason, message)

    await desk.read(after(1) + 5)
    assert desk.changed == [KEY]

    desk.prometheus.down = ""
    back = await desk.read(after(1) + 10)
    assert (back.windows, back.missing) == ((Window(1, 0, 9, 0),), None)
    assert desk.changed == [KEY, KEY]


async def test_a_restart_is_not_taken_for_no_evidence() -> None:
    """A reader that starts in the middle of a step says that it has not read what was due yet."""
    desk = Desk()
    desk.clock.seconds = after(3)
    desk.reader.track(KEY, QUESTION)
    evidence = desk.reader.evidence(KEY)
    assert evidence is not None
    assert evidence.missing is not None
    assert evidence.missing.reason == "NotYetRead"


async def test_questions_do_not_grow_with_canaries() -> None:
    """Forty canaries whose windows end together are asked for at once, however many they are."""
    asked = []
    for canaries in (1, 40):
        desk = Desk()
        for index in range(canaries):
            name = f"s{index}"
            key = ServiceKey("demo", name)
            for at, good in ((T0, 0), (T0 + 59, 9)):
                prefix = f"httproute/demo/{name}/rule/0/backend/"
                backend = Backend(STABLE, prefix=prefix, good=good).exposed
                renamed = {
                    frozenset((k, v.replace("digits", name)) for k, v in labels): value
                    for labels, value in backend.items()
                }
                desk.prometheus.scrape(at, renamed, ENVOY_TARGET | {"instance": f"{name}:9901"})
            desk.clock.seconds = after(1)
            desk.reader.track(key, replace(QUESTION, key=key))
        await desk.reader.round()
        for index in range(canaries):
            evidence = desk.reader.evidence(ServiceKey("demo", f"s{index}"))
            assert evidence is not None
            assert evidence.windows == (Window(0, 0, 9, 0),)
        asked.append(len(set(desk.prometheus.asked)))

    assert asked[0] == asked[1] == 11


minutes = st.tuples(*[st.integers(0, 30)] * 5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(minutes, minutes), min_size=4, max_size=14),
    st.integers(0, 14),
    st.integers(0, 14),
    st.integers(0, 4),
)
def test_a_restart_counts_the_same_integers(
    steps: list[tuple[Minute, Minute]], restart: int, gap: int, offset: int
) -> None:
    """Whatever happened (Envoy restarted, scrapes failed), a reader that followed and one that starts at the end agree."""
    question = replace(QUESTION, window_seconds=20, started_at=datetime.fromtimestamp(T0 + offset, UTC))
    followed, end = Desk(), T0
    stable, canary = Backend(STABLE, good=40), Backend(CANARY)

    async def follow() -> None:
        nonlocal stable, canary, end
        for index, changes in enumerate(steps):
            at = end = T0 - 10 + 10 * index
            if index == restart:
                stable, canary = Backend(STABLE), Backend(CANARY)
            for backend, change in zip((stable, canary), changes, strict=True):
                for name, more in zip(
                    ("good", "late", "failed", "timed_out", "aborted"), change, strict=True
                ):
                    setattr(backend, name, getattr(backend, name) + more)
            scraped(followed, at + 3.3, stable, canary, up=index != gap)
            await followed.read(at + 5, question)
        live = await followed.read(end + 60, question)
        followed.restart()
        again = await followed.read(end + 77, question)
        assert again.windows[: len(live.windows)] == live.windows
        assert all(0 <= w.bad <= w.requests and 0 <= w.stable_bad <= w.stable_requests for w in live.windows)

    asyncio.run(follow())


def test_a_long_step_is_read_in_pieces() -> None:
    """After a restart no question covers more than a bounded time, and every window is read once, in order."""
    old: Question = replace(QUESTION, window_seconds=50)
    young = replace(QUESTION, attempt="x", started_at=QUESTION.started_at + timedelta(hours=5))
    read, now = {old: 0, young: 0}, T0 + 6 * 3600.0
    covered = []
    while (piece := reading(read, now)) is not None:
        covered.append(piece.end - piece.start)
        for question, indices in piece.windows.items():
            assert indices == tuple(range(read[question], read[question] + len(indices)))
            read[question] += len(indices)

    assert max(covered) <= 1800 + 300 + 5
    assert read == {
        old: int((6 * 3600 - SETTLE_SECONDS) // 50),
        young: int((3600 - SETTLE_SECONDS) // 60),
    }
