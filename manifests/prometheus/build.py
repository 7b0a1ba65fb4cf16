"""Write rules.yaml from code, and all rules in the form of prometheus-operator.

`.venv/bin/python -m manifests.prometheus.build [--check]`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from autoscaler.signals.rules import rules_yaml

HERE = Path(__file__).parent
SOURCES = ("rules.yaml", "objectives.yaml", "alerts.yaml")
OPERATOR_FORM = "prometheus-operator.yaml"
HEADER = """\
# The rules of {sources} for prometheus-operator; `make rules` writes this file.
# Its Prometheus takes only what its ruleSelector matches: kube-prometheus-stack wants the label `release: <its name>`.
"""


class _Dumper(yaml.SafeDumper):
    """Shows text of several lines as it is."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def prometheus_rule(texts: list[str]) -> str:
    """Return a PrometheusRule with the groups of all these rule files."""
    groups = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    made: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "serving", "labels": {"app.kubernetes.io/name": "serving-operator"}},
        "spec": {"groups": groups},
    }
    header = HEADER.format(sources=", ".join(SOURCES))
    return header + yaml.dump(made, Dumper=_Dumper, sort_keys=False, width=100_000, allow_unicode=True)


def files() -> dict[str, str]:
    """Return the generated files, text by name."""
    made = {"rules.yaml": rules_yaml()}
    texts = [made.get(name) or (HERE / name).read_text(encoding="utf-8") for name in SOURCES]
    return made | {OPERATOR_FORM: prometheus_rule(texts)}


def main() -> None:
    """Write or check the generated files."""
    parser = argparse.ArgumentParser(prog="python -m manifests.prometheus.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a file differs instead of writing it")
    check = parser.parse_args().check
    for name, text in files().items():
        path = HERE / name
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{name} differs from its source: run `make rules`")


if __name__ == "__main__":
    main()
