"""The preview draws what was answered: each kind of panel, and says so where nothing was."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from autoscaler.replay.report.plot import Axis
from loadtests.preview.answers import Line, Range, UnansweredError, answered, filled
from loadtests.preview.command import main, preview
from loadtests.preview.panels import drawn, in_words, named
from manifests.dashboards.build import BOARDS
from manifests.dashboards.parts import Board, Marker, Panel, Query

OVER = Range(1000.0, 1100.0)
AXIS = Axis(0.0, 100.0, width=640)
VARIABLES = {"namespace": "vision", "service": "digits"}


def panel(kind: str, *queries: Query, **more: object) -> Panel:
    """A panel with a title."""
    return Panel("Title", "What for.", "none", queries or (Query("up", "{{pod}}"),), kind=kind, **more)  # type: ignore[arg-type]


def line(*points: tuple[float, float], **labels: str) -> Line:
    """A series."""
    return Line(labels, points)


@pytest.mark.parametrize("kind", ["lines", "steps", "states", "numbers", "table"])
def test_says_that_there_is_nothing(kind: str) -> None:
    """An empty answer is told in the panel's words, or as missing data."""
    assert "No data" in drawn(panel(kind), [[]], AXIS, OVER)
    assert "All is well" in drawn(panel(kind, nothing="All is well"), [[]], AXIS, OVER)


def test_a_line_breaks_where_nothing_was_known() -> None:
    """A gap longer than a step is none that is drawn over."""
    text = drawn(panel("lines"), [[line((0, 1), (5, 1), (50, 1), (55, 1), pod="a")]], AXIS, OVER)

    (path,) = (part for part in text.split("<path")[1:])
    assert path.count("M") == 2
    assert ">a</span>" in text


def test_states_are_bars_for_as_long_as_they_were() -> None:
    """One bar for what went on, another one after a gap or a change."""
    found = [line((0, 1), (5, 1), (10, 0), (15, 0), (60, 0), pod="a")]

    text = drawn(panel("states"), [found], AXIS, OVER)

    assert (text.count('class="on"'), text.count('class="off"')) == (1, 2)


def test_numbers_say_when_they_are_alarming() -> None:
    """The last value, red from the alarm on."""
    queries = (Query("a", "calm", alarm=1), Query("b", "alarming", alarm=1))

    text = drawn(panel("numbers", *queries), [[line((100, 0))], [line((100, 3))]], AXIS, OVER)

    assert "<div class='fact'><span>calm</span><b>0</b>" in text
    assert "<div class='fact bad'><span>alarming</span><b>3</b>" in text


def test_a_table_puts_queries_side_by_side_the_worst_first() -> None:
    """A row for each set of labels; what a query does not know stays empty."""
    queries = (Query("a", "ready", unit="bool_yes_no"), Query("b", "bad", unit="percentunit"))
    ready = [line((100, 1), service="x"), line((100, 0), service="y")]
    bad = [line((100, 0.25), service="y")]

    text = drawn(panel("table", *queries, first="bad"), [ready, bad], AXIS, OVER)

    assert "<tr><td>y</td><td>No</td><td>25 %</td></tr><tr><td>x</td><td>Yes</td><td></td></tr>" in text


def test_labels_are_no_markup() -> None:
    """What somebody called a pod is text."""
    text = drawn(panel("table", Query("a", "n")), [[line((100, 1), pod="<script>")]], AXIS, OVER)

    assert "<script>" not in text


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [(0.054, "percentunit", "5.4 %"), (3.0, None, "3"), (0.12345, "s", "0.123 s"), (12345.6, "reqps", "12346 requests/s")],
)  # fmt: skip
def test_numbers_are_read_by_persons(value: float, unit: str | None, words: str) -> None:
    """With the unit that the dashboard states, and no more digits than help."""
    assert in_words(value, unit) == words


def test_names_and_variables_are_filled_in() -> None:
    """As Grafana does, the longer names first."""
    assert named("ready {{pod}}", {"pod": "a"}) == "ready a"
    assert (
        filled("a[$__rate_interval] $__range_s $__range $service", VARIABLES, OVER)
        == "a[60s] 100 100s digits"
    )


class Answers:
    """A Prometheus that answers everything with one series, or refuses."""

    def __init__(self) -> None:
        self.refuses = False
        self.asked: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """One series of 1, at the begin and at the end."""
        self.asked.append({key: str(value) for key, value in (await request.post()).items()})
        if self.refuses:
            return web.json_response({"status": "error", "error": "too much"}, status=422)
        metric = {"__name__": "m", "pod": "a"}
        if request.path.endswith("range"):
            result = [{"metric": metric, "values": [[1000, "1"], [1005, "NaN"], [1100, "1"]]}]
        else:
            result = [{"metric": metric, "value": [1100, "1"]}]
        return web.Response(text=json.dumps({"status": "success", "data": {"result": result}}))


@pytest.fixture
async def prometheus() -> AsyncIterator[tuple[str, Answers]]:
    """Its address, and what it was asked."""
    answers = Answers()
    application = web.Application()
    application.router.add_post("/api/v1/{path}", answers.answer)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", answers
    await runner.cleanup()


async def test_every_panel_of_every_dashboard_is_drawn(prometheus: tuple[str, Answers]) -> None:
    """Each title is on the page, and no variable is left in what was asked."""
    url, answers = prometheus

    text = await preview(url, VARIABLES, OVER)

    for board in BOARDS.values():
        for one in board.panels:
            assert f"<h2>{one.title}" in text
    assert "No data" not in text
    assert not [asked["query"] for asked in answers.asked if "$" in asked["query"]]


async def test_a_marker_fires_once_a_run(prometheus: tuple[str, Answers]) -> None:
    """Two runs of points are two marks; what is no number is no point."""
    url, _ = prometheus
    board = Board("u", "t", "d", (), markers=(Marker("Moved", "m", "{{pod}}", "blue"),))

    (found,) = await answered(url, [board], {}, OVER)

    assert [seconds for seconds, _ in found.marks] == [0.0, 100.0]


async def test_a_refusal_names_the_query(prometheus: tuple[str, Answers]) -> None:
    """And what Prometheus said of it."""
    url, answers = prometheus
    answers.refuses = True

    with pytest.raises(UnansweredError, match=r"refuses .*: too much"):
        await preview(url, VARIABLES, OVER)


def test_the_command_says_who_does_not_answer(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    """No page is written, and the exit status says so."""
    status = main(
        [
            "--prometheus",
            "http://127.0.0.1:9",
            "--namespace",
            "a",
            "--service",
            "b",
            "--out",
            f"{tmp_path}/page.html",
        ]
    )

    assert status == 1
    assert "http://127.0.0.1:9 does not answer" in capsys.readouterr().err
