"""Pods of the local cluster: what the node agent runs of them, and how often it has started them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def on_node(run_dir: Path) -> dict[str, dict[str, Any]]:
    """Return what the node agent knows of each pod, by `namespace/name`: where it listens, and its containers' processes."""
    state = json.loads((run_dir / "pods.json").read_text(encoding="utf-8"))
    pods: dict[str, dict[str, Any]] = state["pods"]
    return pods


def restarts(pod: Mapping[str, Any]) -> int:
    """Return how often a pod's containers were started again, by its status."""
    return sum(int(one["restartCount"]) for one in pod["status"].get("containerStatuses") or ())
