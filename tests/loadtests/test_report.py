"""The report: one page, well formed, with what it was given and nothing from elsewhere."""

import re
from html.parser import HTMLParser

import pytest

from autoscaler.replay.report.page import Fact, Report, render
from autoscaler.replay.report.plot import (
    Axis,
    Event,
    Plot,
    Series,
    Threshold,
    clock,
    draw,
    event_lanes,
    tick_step,
    ticks,
)
from loadtests.figures import summary
from loadtests.load_report import load_report
from loadtests.record import Record

AXIS = Axis(
    0, 100, (Event(10, "load <up>"), Event(12, "another"), Event(99, "near the right edge of it all"))
)
PLOT = Plot(
    "A & B", "ms", (Series("p99", [(0, 1), (50, None), (60, 4), (90, 2)]),), (Threshold("objective", 5),)
)


class Reader(HTMLParser):
    """Checks that tags close in order, and collects what would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "line", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_loads_nothing() -> None:
    """All tags close, nothing is fetched, and all names are on the page, escaped."""
    report = Report(
        "T <1>", "sub", [Fact("Bad", "0", True, "why")], AXIS, (PLOT,), [(61, "it & that")], "end"
    )
    page = render(report)
    reader = read(page)
    assert reader.loaded == []
    assert "url(" not in page
    assert "@import" not in page
    for text in (
        "T <1>",
        "sub",
        "Bad",
        "0",
        "why",
        "A & B",
        "p99",
        "objective",
        "load <up>",
        "1:01",
        "it & that",
    ):
        assert text in reader.text, text


def test_a_gap_breaks_the_line() -> None:
    """Where nothing is known nothing is drawn: one line per known run."""
    path = re.search(r'class="line".*?d="([^"]*)"', draw(PLOT, AXIS))
    assert path
    assert path[1].count("M") == 2


def test_a_step_holds_its_value_to_the_end() -> None:
    """A step series runs level from each point, the last one to the end of the axis."""
    plot = Plot("R", "", (Series("ready", [(0, 1), (50, 2)], style="step"),))
    path = re.search(r'class="line".*?d="([^"]*)"', draw(plot, AXIS))
    assert path
    assert path[1].startswith("M64.0 ")
    assert path[1].endswith(f"H{AXIS.x(100):.1f}")


def test_labels_never_overlap() -> None:
    """Events close together get rows of their own; later ones return to the first row."""
    axis = Axis(
        0, 100, (Event(10, "one that is long"), Event(11, "two"), Event(12, "three"), Event(60, "four"))
    )
    assert event_lanes(axis) == [0, 1, 2, 0]


@pytest.mark.parametrize(("span", "wanted"), [(10, 5), (1, 0.5), (37, 10), (2600, 1000), (0.03, 0.01)])
def test_steps_are_round(span: float, wanted: float) -> None:
    """Axes count in 1, 2 and 5."""
    assert tick_step(span, 4) == pytest.approx(wanted)


def test_ticks_lie_within() -> None:
    """Ticks are the multiples of the step, both ends included."""
    assert ticks(0, 20, 5) == [0, 5, 10, 15, 20]
    assert ticks(3, 11, 5) == [5, 10]


@pytest.mark.parametrize("count", [0, 1, 500])
def test_a_load_of_any_size_has_a_report(count: int) -> None:
    """Nothing sent, one request, or many: the page is whole."""
    records = [Record(n, n / 10, n / 10, n / 10 + 0.1, 200 if n % 7 else 500, "", "") for n in range(count)]
    seconds = count / 10
    figures = summary(records, count, seconds, 0.3)
    assert f"{count:,}" in read(render(load_report(records, figures, "http://x/?a=1&b=2", seconds))).text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (125, "2:05"), (7140, "119:00"), (7200, "2 h 00"), (90_000, "25 h 00")],
)
def test_times_are_written_as_people_read_them(seconds: float, text: str) -> None:
    """Minutes of a demo, hours of a replay."""
    assert clock(seconds) == text
