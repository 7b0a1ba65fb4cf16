"""Each worker of a pytest run has a cluster, or shares one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import clusters


@pytest.mark.parametrize(
    ("worker", "run_dirs", "own"),
    [
        ("gw0", ["a", "b"], "a"),
        ("gw1", ["a", "b"], "b"),
        ("gw2", ["a", "b"], "a"),  # in place of a worker that crashed
        ("gw11", ["a"], "a"),
        (None, ["a"], "a"),
    ],
)
def test_workers_share_the_clusters_out(
    monkeypatch: pytest.MonkeyPatch, worker: str | None, run_dirs: list[str], own: str
) -> None:
    """With as many clusters as workers each has its own; with one they share it; without workers it is the first."""
    named = clusters.environment([Path(run_dir) for run_dir in run_dirs])[clusters.VARIABLE]
    monkeypatch.setenv(clusters.VARIABLE, named)
    if worker is None:
        monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    else:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)

    assert clusters.own_run_dir() == Path(own)


def test_without_a_ladder_it_is_the_cluster_of_make_cluster_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing need be set to run one test on a cluster that is up."""
    monkeypatch.delenv(clusters.VARIABLE, raising=False)

    assert clusters.own_run_dir() == Path("out/cluster")
