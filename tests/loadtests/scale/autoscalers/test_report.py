"""The report: every figure documented, targets beside what was measured, and an end as it should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests.scale.autoscalers import command, stage, statuses, ticks
from loadtests.scale.autoscalers.report import markdown
from loadtests.scale.autoscalers.targets import targets
from loadtests.scale.targets import outcomes
from localcluster.cluster import Cluster
from localcluster.up import StartError
from tests.loadtests.scale.autoscalers.test_reading import LINE, event, written
from tests.loadtests.scale.test_report import keys

README = Path(__file__).parents[4] / "loadtests" / "README.md"


def summary() -> dict[str, Any]:
    """A whole summary, as the command writes it."""
    whole: dict[str, Any] = {"autoscalers": 100, "services": 91, "cpus": 2, "failures": []}
    whole["begin"] = {"first_tick_seconds": 3.0, "first_tick_scalings": 100, "first_tick_statuses": 100}
    whole["ticks"] = ticks.figures(ticks.ticks_in([LINE.format(3, "0.300")])) | {
        "tick_seconds": 5.0,
        "queries_per_tick": 5.0,
        "prometheus_query_seconds": 1.2,
        "prometheus_series": 6000,
        "prometheus_samples_per_second": 400,
        "cores": {"autoscaler": 0.2},
        "resident_mebibytes": 150,
        "resident_mebibytes_most": 160,
        "prometheus_mebibytes": 300,
    }
    whole["page"] = {"seconds": 0.1, "mebibytes": 0.3, "history_bytes_of_one": 3000}
    whole["statuses"] = statuses.figures([], written(event(), event(second=5)), 600.0, 100)
    whole["restart"] = {
        "first_tick_seconds": 4.0,
        "first_tick_scalings": 0,
        "history_cpu_seconds": 0.1,
        "whole_seconds": 9000,
        "whole_is_measured": False,
    }
    whole["targets"] = [
        {"name": one.name, "wanted": one.wanted, "measured": one.measured, "met": one.met}
        for one in outcomes(whole, targets(5.0))
    ]
    return whole


def test_every_key_is_documented() -> None:
    """A figure that nobody explains is of no use."""
    _, _, section = README.read_text(encoding="utf-8").partition("loadtests.scale.autoscalers`")
    assert section, "loadtests/README.md has no section of loadtests.scale.autoscalers"
    section = section.partition("\n## ")[0]

    assert [name for name in dict.fromkeys(keys(summary())) if f"`{name}`" not in section] == []


def test_all_that_was_measured_is_in_the_report() -> None:
    """Targets, and each section with its figures."""
    text = markdown(summary())

    assert text.count("| yes |") == len(targets(5.0)) == 6
    assert text.count("\n## ") == 5
    assert "9000 s, worked out from the pace" in text


def test_what_misses_its_target_is_said() -> None:
    """Also at another interval of ticks."""
    slow = summary()
    slow["ticks"]["cpu_seconds"] = 1.0
    found = {one.name: one.met for one in outcomes(slow, targets(1.0))}

    assert [met for name, met in found.items() if "CPU" in name] == [False]
    assert [met for name, met in found.items() if "last write" in name] == [False]


def test_a_report_says_what_is_missing() -> None:
    """What failed is named, and what was not measured has no section."""
    part = {"autoscalers": 20, "services": 18, "cpus": 2, "failures": ["no tick has ended"], "targets": []}

    assert "no tick has ended" in markdown(part)
    assert "##" not in markdown(part)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--autoscalers", "3"], "expected 20"),
        (["--tick-seconds", "0"], "expected 1"),
        (["--only", "x"], "restart"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the flag and what is expected instead."""
    with pytest.raises(SystemExit):
        command.main([*arguments, "--out", str(tmp_path)])

    assert says in capsys.readouterr().err


@pytest.mark.parametrize(("error", "status"), [(StartError("no ports"), 1), (KeyboardInterrupt(), 130)])
def test_it_tidies_up_whatever_happens(
    error: BaseException, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster is stopped at the end, and the report says what was not measured."""
    stopped: list[Path] = []

    def fail(*_: Any) -> None:
        raise error

    def stop(run_dir: Path, _: Any) -> bool:
        stopped.append(run_dir)
        return True

    monkeypatch.setattr(stage, "start", fail)
    monkeypatch.setattr(command.running, "stop", stop)
    monkeypatch.setattr(command, "ignore", lambda: None)

    assert command.main(["--run-dir", str(tmp_path / "c"), "--out", str(tmp_path / "out")]) == status
    assert stopped == [tmp_path / "c", tmp_path / "c"]
    told = json.loads((tmp_path / "out" / "summary.json").read_text())["failures"]
    assert told == (["no ports"] if status == 1 else [])


def test_prometheus_scrapes_every_page_by_the_shipped_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pods under the labels of their page, the gateway under its own; each page an instance of its own."""
    monkeypatch.setattr(Cluster, "kubeconfig_of", lambda *_: tmp_path)
    found = stage.configuration(object.__new__(Cluster), 1000, 9000)
    jobs = {job["job_name"]: job for job in yaml.safe_load(yaml.safe_dump(found))["scrape_configs"]}
    paths = [config["labels"]["__metrics_path__"] for config in jobs["serving-pods"]["static_configs"]]

    assert [name.rpartition("/")[2] for name in found["rule_files"]] == [
        "rules.yaml",
        "objectives.yaml",
        "alerts.yaml",
    ]
    assert (jobs["serving-pods"]["honor_labels"], jobs["gateway"]["honor_labels"]) == (True, False)
    assert paths == ["/pods/0", "/pods/1", "/pods/2", "/pods/3"]
    instances = [c["labels"]["instance"] for job in jobs.values() for c in job["static_configs"]]
    assert len(set(instances)) == len(instances) == 8
