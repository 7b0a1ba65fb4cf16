"""The dashboards: what they ask for exists, they say what they show, and they are what their code makes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from loadtests.demo.dashboard import DASHBOARDS, dashboard
from manifests.dashboards.build import BOARDS
from manifests.dashboards.grafana import dashboard_json
from tests.manifests.metrics import known, names_in

NAMES = ("fleet", "scaling", "rollout", "operator")
WIDTH = 24


def asked(name: str) -> Iterator[tuple[str, str]]:
    """Everything that a dashboard asks Prometheus for: what for, and the query."""
    loaded = dashboard(name)
    for panel in loaded["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for marker in loaded["annotations"].get("list", ()):
        yield marker["name"], marker["expr"]
    for variable in loaded["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"].removeprefix("label_values(").rsplit(",", 1)[0]


@pytest.mark.parametrize(
    ("promql", "names"),
    [
        ('sum by (pod) (rate(a_total{b="c d"}[5m])) > 0', {"a_total"}),
        ('max(a:b:rate1m) / on (x, y) group_left (z) c unless d{e=~"f|g"} == 1', {"a:b:rate1m", "c", "d"}),
        ('label_replace(a, "b", "$1", "c", "(.+)") or 14.4 * vector(1) offset 5m', {"a"}),
        ('1 - avg_over_time(sum(a{b="$c"})[$__range:1m]) and $__range_s', {"a"}),
    ],
)
def test_names_are_found_in_a_query(promql: str, names: set[str]) -> None:
    """Labels, text, functions, operators and durations are no metrics."""
    assert names_in(promql) == names


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_asks_only_for_what_there_is(name: str) -> None:
    """Every metric is exported by one of our programs, scraped by the shipped configuration, or recorded by a rule."""
    there = known()
    unknown = {(what, metric) for what, promql in asked(name) for metric in names_in(promql) - there}
    assert not unknown


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_is_what_its_code_makes(name: str) -> None:
    """Nobody edits the JSON by hand."""
    assert (DASHBOARDS / f"{name}.json").read_text() == dashboard_json(BOARDS[f"{name}.json"])


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_shows(name: str) -> None:
    """A title of its own, a sentence that ends, a unit, and a name for each line."""
    panels = dashboard(name)["panels"]
    assert len({panel["title"] for panel in panels}) == len(panels) <= 9
    for panel in panels:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        assert panel["datasource"]["uid"] == "$datasource", panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_panels_fill_their_rows(name: str) -> None:
    """Side by side, none over another, no hole: each cell of the grid from the top to the end belongs to one panel."""
    cells: list[tuple[int, int]] = []
    for panel in dashboard(name)["panels"]:
        at = panel["gridPos"]
        cells += itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
    assert len(cells) == len(set(cells)) == WIDTH * (1 + max(y for _, y in cells))


def test_a_row_of_the_fleet_leads_to_its_service() -> None:
    """The name of a service is a link to dashboards that exist, with their variables set to it."""
    tables = [panel for panel in dashboard("fleet")["panels"] if panel["type"] == "table"]
    overrides = [
        rule for rule in tables[0]["fieldConfig"]["overrides"] if rule["matcher"]["options"] == "service"
    ]
    (links,) = (
        change["value"] for rule in overrides for change in rule["properties"] if change["id"] == "links"
    )
    assert [link["url"].split("?")[0] for link in links] == [
        f"/d/{dashboard(name)['uid']}" for name in ("scaling", "rollout")
    ]
    for link in links:
        assert "var-namespace=${__data.fields.namespace}" in link["url"]
        assert "var-service=${__data.fields.service}" in link["url"]
    for name in NAMES:
        (link,) = dashboard(name)["links"]
        assert (link["type"], link["keepTime"]) == ("dashboards", True)
        assert set(link["tags"]) <= set(dashboard(name)["tags"])


def test_every_dashboard_is_loaded_by_the_sidecar() -> None:
    """The ConfigMap that carries the sidecar's label holds all of them."""
    (made,) = yaml.safe_load((DASHBOARDS / "kustomization.yaml").read_text())["configMapGenerator"]
    labels: dict[str, Any] = made["options"]["labels"]
    assert labels == {"grafana_dashboard": "1"}
    assert set(made["files"]) == {path.name for path in DASHBOARDS.glob("*.json")} == set(BOARDS)
