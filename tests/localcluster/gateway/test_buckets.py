"""Edges of the latency histograms."""

import re

from localcluster.gateway.buckets import DEFAULT_BUCKETS_MILLISECONDS, buckets
from localcluster.paths import REPOSITORY


def test_edges_are_the_usual_ones_and_those_of_services() -> None:
    """An objective between two of the usual edges becomes one; one that is there is not doubled."""
    assert buckets({333, 500}) == sorted([*DEFAULT_BUCKETS_MILLISECONDS, 333])


def test_the_usual_edges_are_documented() -> None:
    """The gateway's README names each threshold that can be measured without a restart of Envoy."""
    text = (REPOSITORY / "localcluster/gateway/README.md").read_text(encoding="utf-8")
    listed = text.split("edges in milliseconds: ")[1].split(";")[0]
    assert tuple(map(int, re.findall(r"\d+", listed))) == DEFAULT_BUCKETS_MILLISECONDS
