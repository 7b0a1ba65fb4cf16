"""Edges of Envoy's latency histograms: the usual objectives, and those of the cluster's own services."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from localcluster.api import ApiError, connect

logger = logging.getLogger(__name__)

DEFAULT_BUCKETS_MILLISECONDS = (
    *(1, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 80, 100, 120, 125, 150, 200, 250, 300, 350, 400, 450),
    *(500, 600, 700, 750, 800, 900, 1_000, 1_200, 1_250, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 7_500),
    *(10_000, 15_000, 20_000, 30_000, 60_000),
)


def buckets(added: Iterable[int]) -> list[int]:
    """All edges in milliseconds, in order."""
    return sorted({*DEFAULT_BUCKETS_MILLISECONDS, *added})


async def objectives_milliseconds(kubeconfig: Path) -> set[int]:
    """Thresholds of the InferenceServices that exist now; none if the API server cannot say."""
    try:
        async with connect(kubeconfig) as api:
            found = await api.get_or_none("/apis/serving-operator.dev/v1alpha1/inferenceservices")
    except ApiError as error:
        logger.warning("objectives unknown, the usual latency buckets have to do: %r", error)
        return set()
    services = found["items"] if found else ()  # there is nothing to list before the resource is installed
    objectives = [item.get("spec", {}).get("objective") or {} for item in services]
    return {int(item["thresholdMilliseconds"]) for item in objectives if item.get("thresholdMilliseconds")}
