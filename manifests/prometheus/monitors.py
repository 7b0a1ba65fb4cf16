"""Write rules.yaml from code, and say the scrape configuration and all rules in kinds of the Prometheus operator.

`.venv/bin/python manifests/prometheus/monitors.py [--check]` writes them, the latter to manifests/components/prometheus-operator.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

from autoscaler.signals.rules import rules_yaml
from serving_api.names import AUTOSCALER, OPERATOR, SYSTEM_NAMESPACE

HERE = Path(__file__).parent
TARGET = HERE.parent / "components" / "prometheus-operator"
HEAD = "# Written by `make manifests` from manifests/prometheus/{}; `make lint` compares.\n"
RULES = ("rules.yaml", "objectives.yaml", "alerts.yaml")

Manifest = dict[str, Any]
SELECTED: dict[str, Manifest] = {
    # By no label: the pods of Deployments that are not ours, and gateways' proxies, opt in by annotation too.
    "serving-pods": {"namespaceSelector": {"any": True}, "selector": {}},
    "serving-system": {
        "selector": {
            "matchExpressions": [
                {"key": "app.kubernetes.io/name", "operator": "In", "values": [OPERATOR, AUTOSCALER]}
            ]
        },
    },
}
"""Which pods each job of the scrape configuration is for."""


def monitor(job: Manifest) -> Manifest:
    """Return the PodMonitor of a scrape job. It names no port: the relabelings keep the annotated one."""
    relabelings = [{to_camel(key): value for key, value in step.items()} for step in job["relabel_configs"]]
    endpoint: Manifest = {"interval": job["scrape_interval"], "relabelings": relabelings}
    if job.get("honor_labels"):
        endpoint["honorLabels"] = True
    spec = SELECTED[job["job_name"]] | {"podMetricsEndpoints": [endpoint]}
    return _object("PodMonitor", job["job_name"], spec)


def _object(kind: str, name: str, spec: Manifest) -> Manifest:
    labels = {"app.kubernetes.io/name": OPERATOR, "app.kubernetes.io/component": "monitoring"}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": labels},
        "spec": spec,
    }


def files() -> dict[Path, str]:
    """Return what is to be written, by path."""
    jobs = yaml.safe_load((HERE / "scrape-config.yaml").read_text())["scrape_configs"]
    recorded = rules_yaml()
    texts = [recorded, *((HERE / name).read_text() for name in RULES[1:])]
    groups = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    rules = _object("PrometheusRule", "serving-rules", {"groups": groups})
    made = {
        "monitors.yaml": ("scrape-config.yaml", [monitor(job) for job in jobs]),
        "rules.yaml": (", ".join(RULES), [rules]),
    }
    return {HERE / RULES[0]: recorded} | {
        TARGET / name: HEAD.format(source) + yaml.safe_dump_all(objects, sort_keys=False, width=120)
        for name, (source, objects) in made.items()
    }


def main() -> None:
    """Write or check the files."""
    parser = argparse.ArgumentParser(prog="python manifests/prometheus/monitors.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a file differs instead of writing it")
    check = parser.parse_args().check
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    if check and stale:
        names = ", ".join(path.name for path in stale)
        sys.exit(f"{names} differ from their source: run `make manifests`")
    for path in stale:
        path.write_text(files()[path])


if __name__ == "__main__":
    main()
