"""Prometheus' own checker on our rules, alerts and dashboards: they parse, and alerts fire when they should."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests.demo.dashboard import filled
from localcluster import binaries
from localcluster.paths import cache_dir
from localcluster.progress import Progress
from tests.manifests.metrics import RULES
from tests.manifests.test_dashboards import NAMES, asked

pytestmark = pytest.mark.real_api  # of the rung that has Go

ALERT_TESTS = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The checker, built once where there is none."""
    return binaries.promtool(cache_dir(), Progress())


def run(promtool: Path, *arguments: object) -> None:
    """Run promtool; what it says is the failure's message."""
    done = subprocess.run([str(promtool), *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should(promtool: Path) -> None:
    """And only then, with the labels and words that the one on call reads."""
    run(promtool, "test", "rules", *ALERT_TESTS)


def test_rules_are_valid(promtool: Path, tmp_path: Path) -> None:
    """Every file that Prometheus loads, and what prometheus-operator makes of its form of them."""
    wrapped = yaml.safe_load((RULES.parent / "components" / "prometheus-operator" / "rules.yaml").read_text())
    unwrapped = tmp_path / "unwrapped.yaml"
    unwrapped.write_text(yaml.safe_dump(wrapped["spec"]))
    for checked in (*(RULES / f"{name}.yaml" for name in ("rules", "objectives", "alerts")), unwrapped):
        run(promtool, "check", "rules", "--lint=all", "--lint-fatal", checked)


def test_every_query_of_the_dashboards_parses(promtool: Path, tmp_path: Path) -> None:
    """Panels, markers and variables, as Grafana sends them."""
    promql = [filled(text, "demo", "digits") for name in NAMES for _, text in asked(name)]
    rules: list[dict[str, Any]] = [
        {"record": f"panel:{number}", "expr": text} for number, text in enumerate(promql)
    ]
    checked = tmp_path / "dashboards.yaml"
    checked.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    run(promtool, "check", "rules", "--lint=none", checked)
    assert len(promql) > 70
