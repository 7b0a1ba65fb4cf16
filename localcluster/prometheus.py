"""Prometheus for one cluster: the recommended scrape configuration, and what this cluster adds to it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from localcluster.cluster import Cluster
from localcluster.paths import MANIFESTS

SCRAPE_CONFIG = MANIFESTS / "prometheus" / "scrape-config.yaml"
RULES = tuple(MANIFESTS / "prometheus" / f"{name}.yaml" for name in ("rules", "objectives", "alerts"))

POD_ADDRESS_RULE = {
    "source_labels": ["__address__"],
    "regex": r"10\.244\.(.+)",
    "target_label": "__address__",
    "replacement": "127.244.$1",
}
"""Pods report 10.244.a.b and listen on 127.244.a.b: the one rule that only this cluster needs."""


def configuration(
    cluster: Cluster, scrape_configs: list[dict[str, Any]], rules: Sequence[Path]
) -> dict[str, Any]:
    """The whole configuration file, from the recommended `scrape_configs` and rule files."""
    jobs = copy.deepcopy(scrape_configs)
    for job in jobs:
        for discovery in job.get("kubernetes_sd_configs", []):
            discovery["kubeconfig_file"] = str(cluster.kubeconfig_of("prometheus"))
        job.setdefault("relabel_configs", []).append(dict(POD_ADDRESS_RULE))
    return {
        "global": {"scrape_interval": "5s", "scrape_timeout": "4s", "evaluation_interval": "5s"},
        "rule_files": [str(file) for file in rules],
        "scrape_configs": jobs,
    }


def prepare(cluster: Cluster) -> None:
    """Write `prometheus.yaml` into the run directory."""
    recommended = yaml.safe_load(SCRAPE_CONFIG.read_text(encoding="utf-8"))["scrape_configs"]
    for job in recommended:
        # Nobody waits here for three scrapes of a cluster's usual interval: that of all jobs is in force.
        job.pop("scrape_interval", None)
    content = configuration(cluster, recommended, RULES)
    target = cluster.run_dir / "prometheus.yaml"
    target.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
