"""The alerts: what they rest on exists, each has a page and a test, and prometheus-operator gets the same."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests.prometheus.monitors import RULES as FILES
from tests.manifests.metrics import ROOT, RULES, known, names_in, rules

RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES_URL = "https://github.com/serving-operator/serving-operator/blob/main/docs/runbooks"
ALERT_TESTS = ROOT / "tests" / "contract" / "alerts"
ALERTS: list[Any] = [rule for rule in rules() if "alert" in rule]
NAMES = sorted({alert["alert"] for alert in ALERTS})
PARTS = ("# ", "## Meaning", "## Impact", "## Diagnosis", "## Mitigation")


@functools.cache
def checks() -> list[Any]:
    """Every moment at which promtool's tests look at an alert."""
    return [
        check
        for path in ALERT_TESTS.glob("*.yaml")
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for check in test.get("alert_rule_test", ())
    ]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_to_do(alert: Any) -> None:
    """How urgent it is, what is the matter, and where its page is."""
    assert alert["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert alert["for"]
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["description"].endswith(".")
    assert alert["annotations"]["runbook_url"] == f"{PAGES_URL}/{alert['alert']}.md"


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    """Nobody is woken up without a way on, and no page describes what is not there any more."""
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_all_its_parts(name: str) -> None:
    """What it means, whom it hurts, how to look, what helps; with commands to paste."""
    text = Path(RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[0] == f"# {name}"
    assert headings[1:] == list(PARTS[1:])
    assert "```\nkubectl " in text


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_tested(name: str) -> None:
    """There is a moment at which it must fire, and one at which it must not."""
    fires = [bool(check.get("exp_alerts")) for check in checks() if check["alertname"] == name]
    assert any(fires)
    assert not all(fires)


def test_rules_rest_only_on_what_there_is() -> None:
    """Every metric is exported by one of our programs, scraped by the shipped configuration, or recorded by a rule."""
    there = known()
    unknown = {
        (rule.get("alert") or rule["record"], name)
        for rule in rules()
        for name in names_in(rule["expr"]) - there
    }
    assert not unknown


def test_no_two_groups_have_a_name() -> None:
    """prometheus-operator gets the groups of all files in one object, where a name may be there once."""
    names = [
        group["name"] for name in FILES for group in yaml.safe_load((RULES / name).read_text())["groups"]
    ]
    assert len(set(names)) == len(names)
