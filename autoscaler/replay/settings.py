"""What a user states for a replay: the peers' settings, and InferenceAutoscalers in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from autoscaler.peers import PEERS, Policy
from autoscaler.replay.compare import MakePolicy
from autoscaler.targets import Target
from serving_api.autoscaler import InferenceAutoscaler

KEDA_SHARE: Final = 0.8
"""Of what one replica can do at most: who states no threshold gets a good one."""
REPLAYED: Final = sorted(PEERS.keys() - {"keda-latency", "dynamo-load", "faro"})
"""All but those that read quantiles of latency, which the model does not have."""


def peers(
    hpa_utilization_percent: float,
    keda_requests_per_second: float | None,
    others: Sequence[str],
    hold_seconds: float,
) -> dict[str, MakePolicy]:
    """The peers to compare with; `others` as NAME=KNOB. Raises ValueError with the option and the remedy."""
    if not 1 <= hpa_utilization_percent <= 100:
        raise ValueError(f"--hpa-utilization-percent {hpa_utilization_percent:g}: must be from 1 to 100")
    if keda_requests_per_second is not None and keda_requests_per_second <= 0:
        raise ValueError(f"--keda-requests-per-second {keda_requests_per_second:g}: must be above 0")
    share = hpa_utilization_percent / 100
    found: dict[str, MakePolicy] = {
        f"hpa at {share:.0%}": partial(_policy, "hpa-utilization", share, hold_seconds)
    }
    if keda_requests_per_second is None:
        found[f"keda at {KEDA_SHARE:.0%}"] = partial(_policy, "keda-rate", KEDA_SHARE, hold_seconds)
    else:
        threshold = keda_requests_per_second
        found[f"keda at {threshold:g}/s"] = lambda target, work: _policy(
            "keda-rate", threshold * work, hold_seconds, target, work
        )
    for stated in others:
        name, _, knob = stated.partition("=")
        if name not in REPLAYED:
            raise ValueError(f"--peer {stated}: must be one of {', '.join(REPLAYED)}")
        try:
            found[f"{name} at {float(knob):g}"] = partial(_policy, name, float(knob), hold_seconds)
        except ValueError:
            raise ValueError(f"--peer {stated}: must be NAME=NUMBER") from None
    return found


def autoscalers(path: Path) -> Iterator[Mapping[str, Any]]:
    """The InferenceAutoscalers of a YAML file. Raises ValueError with the file and what is wrong, and OSError."""
    try:
        documents = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
    except yaml.YAMLError as error:
        raise ValueError(f"--autoscaler {path}: not YAML: {error}") from error
    if not documents:
        raise ValueError(f"--autoscaler {path}: has no object")
    for document in documents:
        if not isinstance(document, dict) or document.get("kind") != "InferenceAutoscaler":
            raise ValueError(f"--autoscaler {path}: every object must be an InferenceAutoscaler")
        try:
            metadata = {"namespace": "default", "uid": "", **document["metadata"]}
            InferenceAutoscaler.parse({**document, "metadata": metadata})
        except (ValidationError, KeyError, TypeError) as error:
            raise ValueError(f"--autoscaler {path}: {error}") from error
        yield document


def _policy(name: str, knob: float, hold_seconds: float, target: Target, work_seconds: float) -> Policy:
    spec = target.spec
    return PEERS[name](knob, hold_seconds, spec.min_replicas, spec.max_replicas, work_seconds)
