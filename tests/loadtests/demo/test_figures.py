"""The figures of the demo's summary."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.demo.evidence import Tally
from loadtests.demo.figures import (
    Run,
    attribute,
    binomial_bounds,
    late_fraction_settled,
    shortcomings,
    summarise,
)
from loadtests.demo.history import Exposure
from loadtests.demo.observation import Canary, RevisionReplicas, Snapshot
from loadtests.record import Record

V1, V2, V3, V4 = "aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"
WINDOW = Exposure((200, 220), (201, 219), 20)


def answered(number: int, due: float, status: int = 200, revision: str = V2, latency: float = 0.1) -> Record:
    return Record(number, due, due, due + latency, status, "" if status else "timeout", revision)


def traffic(bad_every: int = 5) -> list[Record]:
    """Five requests a second for 300 s; in version 3's window one in `bad_every` is answered badly by it."""
    return [
        answered(number, number / 5, 500, V3)
        if 1000 <= number < 1100 and number % bad_every == 0
        else answered(number, number / 5)
        for number in range(1500)
    ]


def sample(seconds: float, **fields: object) -> tuple[float, Snapshot]:
    return seconds, replace(Snapshot(weights={V2: 100}, acknowledged=True, stable=V2), **fields)


REJECTED = {"rejected": (f"{V3}-3",), "reasons": {f"{V3}-3": "WorseThanStable"}}
LABELLED = {"commands": (("Promote", f"{V4}-4"),)}
SAMPLES = [
    sample(0, stable=V1, weights={V1: 100}, replicas={V1: RevisionReplicas(1, 1)}, start_time_seconds=8),
    sample(30, stable=V1, weights={V1: 100}, replicas={V1: RevisionReplicas(3, 3)}, start_time_seconds=8),
    sample(100, stable=V1, weights={V1: 100}, replicas={V1: RevisionReplicas(1, 1)}, start_time_seconds=8),
    sample(140, stable=V1, canary=Canary(f"{V2}-2", V2, 50, "", promotion="GoodEnough")),
    sample(150, replicas={V2: RevisionReplicas(2, 2)}),
    sample(200, weights={V2: 80, V3: 20}, canary=Canary(f"{V3}-3", V3, 20, "")),
    sample(219.5, weights={V2: 100, V3: 0}, acknowledged=False),
    sample(220, weights={V2: 100, V3: 0}),
    sample(225, **REJECTED, replicas={V2: RevisionReplicas(2, 2)}),
    sample(250, **REJECTED, **LABELLED, canary=Canary(f"{V4}-4", V4, 25, "")),
    sample(270, **REJECTED, **LABELLED, stable=V4, weights={V4: 100}, replicas={V4: RevisionReplicas(2, 2)}),
]
GOOD = Tally(f"{V2}-2", 0, 4, 120, 0, 360, 1, 0.2, 23.26, "Good")
RUN = Run(
    by="evidence",
    records=traffic(),
    requests=1500,
    samples=SAMPLES,
    load_changes=[0, 20],
    objective_seconds=0.5,
    revisions=[V1, V2, V3, V4],
    attempts=[f"{V2}-2", f"{V3}-3", f"{V4}-4"],
    evidence=[(130, GOOD)],
    seconds_setup=60.04,
    seconds_run=280.0,
    panels={"Demand": True, "Replicas": True},
)


def changed(**fields: object) -> list[tuple[float, Snapshot]]:
    """The good run, with these fields from the rejection on."""
    return [*SAMPLES[:-3], *((now, replace(snapshot, **fields)) for now, snapshot in SAMPLES[-3:])]


def replace_last(**fields: object) -> tuple[float, Snapshot]:
    return 275, replace(SAMPLES[-1][1], **fields)


@pytest.mark.parametrize(
    ("trials", "share", "wanted"),
    [(100, 0.2, (8, 34)), (20, 0.5, (3, 17)), (0, 0.2, (0, 0)), (7, 1.0, (7, 7))],
)
def test_binomial_bounds_are_the_distributions_quantiles(
    trials: int, share: float, wanted: tuple[int, int]
) -> None:
    """The bounds are the quantiles at 0.05% and 99.95%, as published tables have them."""
    assert binomial_bounds(trials, trials, share, 0.999) == wanted


def test_a_bad_answer_is_version_3s_by_header_and_window() -> None:
    """Neither the header alone nor the window alone makes a bad answer version 3's."""
    strangers = [
        answered(2001, 210, 500, V2),
        answered(2002, 210, 0, ""),
        answered(2003, 100, 500, V3),
        answered(2004, 222, 500, V3),
    ]
    found = attribute([*traffic(), *strangers], V3, WINDOW)
    assert found.fits
    assert len(found.own) == found.candidates == 20
    assert not found.own & {one.number for one in strangers}


def test_a_number_that_does_not_fit_excuses_nothing() -> None:
    """If version 3 answered more badly than its weight allows, all bad answers are ours."""
    found = attribute(traffic(bad_every=1), V3, WINDOW)
    assert (found.candidates, found.fits, found.own) == (100, False, frozenset())


def test_without_a_window_nothing_is_version_3s() -> None:
    """A revision that never had weight cannot have answered."""
    assert attribute(traffic(), V3, None).own == frozenset()


def test_settled_leaves_out_one_start_time_after_each_change() -> None:
    """Late requests directly after a change of load, and version 3's own, are left out; others are not."""
    records = [
        answered(1, 5, latency=2),
        answered(2, 31, latency=2),
        answered(3, 40),
        answered(4, 50, 500, V3),
    ]
    assert late_fraction_settled(records, 0.5, [0, 30], 10, frozenset({4})) == 0
    assert late_fraction_settled(records, 0.5, [0], 10, frozenset({4})) == 0.5
    assert late_fraction_settled(records, 0.5, [0, 30], 10, frozenset()) == 0.5


def test_a_good_run_shows_everything() -> None:
    """The summary of a run in which all went well has no shortcoming."""
    summary = summarise(RUN)
    assert shortcomings(summary, "evidence") == []
    assert summary == {
        "by": "evidence",
        "requests": 1500,
        "not_2xx": 20,
        "not_2xx_by_revision": {V3: 20},
        "not_2xx_ours": 0,
        "not_2xx_version_3": 20,
        "not_2xx_version_3_bounds": [7, 37],
        "late_fraction": 20 / 1500,
        "late_fraction_settled": 0.0,
        "replicas_max": 3,
        "seconds_at_3_or_more": 70.0,
        "replicas_end": 2,
        "scaled_up": True,
        "scaled_down": True,
        "promoted": True,
        "promoted_by_evidence": True,
        "aborted": True,
        "aborted_by_judge": True,
        "aborted_by_label": False,
        "promoted_by_label": True,
        "evidence": {
            "version_2": [
                {
                    "step": 0,
                    "verdict": "Good",
                    "windows": 4,
                    "requests": 120,
                    "bad_requests": 0,
                    "stable_requests": 360,
                    "stable_bad_requests": 1,
                    "worse_than_stable": 0.2,
                    "good_enough": 23.3,
                }
            ],
            "version_3": [],
            "version_4": [],
        },
        "start_time_seconds": 8.0,
        "seconds_setup": 60.0,
        "seconds_run": 280.0,
        "panels": 2,
        "panels_without_data": 0,
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"records": [*traffic(), answered(9999, 50, 0, "")]}, "no bad response is ours"),
        ({"records": traffic(bad_every=1)}, "no bad response is ours"),
        ({"records": [answered(n, n / 5, latency=0.1 + n % 10) for n in range(1500)]}, "at most 5% are late once settled"),
        ({"samples": SAMPLES[:1] + SAMPLES[2:]}, "scaled up"),
        ({"samples": SAMPLES[:2]}, "scaled down"),
        ({"samples": SAMPLES[:4]}, "version 2 promoted"),
        ({"samples": SAMPLES[:3] + SAMPLES[4:]}, "version 2 promoted by the evidence"),
        ({"samples": changed(commands=(("Promote", f"{V2}-2"),))}, "version 2 promoted by the evidence"),
        ({"samples": SAMPLES[:8]}, "version 3 aborted"),
        ({"samples": changed(reasons={f"{V3}-3": "AbortedByLabel"})}, "version 3 aborted by the judge"),
        ({"samples": changed(reasons={f"{V3}-3": "CannotStart"})}, "version 3 aborted"),
        ({"samples": [*SAMPLES, replace_last(weights={V4: 80, V3: 20})]}, "version 3 aborted"),
        ({"samples": changed(commands=(("Abort", f"{V3}-3"),))}, "version 3 aborted by the judge"),
        ({"samples": changed(commands=())}, "version 4 promoted by its label"),
        ({"samples": SAMPLES[:-1]}, "version 4 promoted by its label"),
        ({"samples": [SAMPLES[0], sample(60, replicas={V1: RevisionReplicas(3, 3)}), *SAMPLES[2:]]}, "3 replicas or more for 60 s"),
        ({"requests": 900}, "at least 1,000 requests are sent"),
        ({"seconds_setup": 721.0}, "the set-up takes at most 720 s"),
        ({"seconds_run": 481.0}, "the run takes at most 480 s"),
        ({"panels": {"Demand": True, "GPU utilisation": False}}, "every panel of the dashboard has data"),
        ({"panels": {}}, "every panel of the dashboard has data"),
    ],
)  # fmt: skip
def test_what_was_not_shown_is_named(change: dict[str, object], sentence: str) -> None:
    """Each thing that a run must show is missed by name when it is not there."""
    assert sentence in shortcomings(summarise(replace(RUN, **change)), "evidence")


PROMOTE, ABORT = ("Promote", f"{V2}-2"), ("Abort", f"{V3}-3")
BY_LABEL = {"rejected": (f"{V3}-3",), "reasons": {f"{V3}-3": "AbortedByLabel"}}
LABELS = replace(
    RUN,
    by="labels",
    samples=[
        *SAMPLES[:3],
        sample(140, stable=V1, canary=Canary(f"{V2}-2", V2, 25, ""), commands=(PROMOTE,)),
        *SAMPLES[4:8],
        sample(225, **BY_LABEL, commands=(PROMOTE, ABORT)),
    ],
    revisions=[V1, V2, V3],
    attempts=[f"{V2}-2", f"{V3}-3"],
)


def test_labels_decide_a_run_of_their_own() -> None:
    """Where a person decides, what is wanted is that the labels did it, in less time and with two versions."""
    summary = summarise(LABELS)
    assert shortcomings(summary, "labels") == []
    assert [summary[key] for key in ("promoted", "promoted_by_label", "aborted", "aborted_by_label")] == [
        True
    ] * 4
    assert not summary["promoted_by_evidence"]
    assert not summary["aborted_by_judge"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"samples": LABELS.samples[:3] + LABELS.samples[4:-1]}, "version 2 promoted by its label"),
        ({"samples": [*LABELS.samples[:-1], sample(225, **BY_LABEL)]}, "version 3 aborted by its label"),
        ({"samples": [*LABELS.samples[:-1], sample(225, **REJECTED)]}, "version 3 aborted by its label"),
        ({"seconds_run": 301.0}, "the run takes at most 300 s"),
    ],
)
def test_what_labels_did_not_do_is_named(change: dict[str, object], sentence: str) -> None:
    """A label that was not accepted decides nothing, whatever became of its version."""
    assert sentence in shortcomings(summarise(replace(LABELS, **change)), "labels")


def test_a_run_that_broke_off_is_summed_up() -> None:
    """Without samples, records or revisions the summary still has every key, and nothing is claimed."""
    empty = replace(
        RUN, records=[], requests=0, samples=[], load_changes=[], revisions=[], attempts=[], evidence=[]
    )
    summary = summarise(empty)
    assert summary.keys() == summarise(RUN).keys() == summarise(LABELS).keys()
    assert not any(
        value for key, value in summary.items() if key.startswith(("scaled", "promoted", "aborted"))
    )


def test_every_key_of_the_summary_is_documented() -> None:
    """loadtests/README.md names each key of the demo's summary.json."""
    text = (
        (Path(__file__).parents[3] / "loadtests/README.md")
        .read_text()
        .split("## `.venv/bin/python -m loadtests.demo`")[1]
    )
    summary = summarise(RUN)
    for name in (*summary, *summary["evidence"]["version_2"][0]):  # type: ignore[index]
        assert f"`{name}`" in text, name
