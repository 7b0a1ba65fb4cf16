"""How the parts of a dashboard look in Grafana: its JSON model, by the SDK of its makers."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

from grafana_foundation_sdk.builders import common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    ScaleDistribution,
    VisibilityMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from manifests.dashboards.parts import Board, Marker, Panel, Query, Variable

SOURCE = models.DataSourceRef(type_val="prometheus", uid="$datasource")
TAG = "serving-operator"
ROW_LINKS = ("scaling", "rollout")
"""Dashboards that a row of a service leads to."""

AnyPanel = timeseries.Panel | statetimeline.Panel | stat.Panel | table.Panel


def dashboard_json(board: Board) -> str:
    """Return the JSON that Grafana loads."""
    made = (
        dashboards.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .refresh("15s")
        .time("now-30m", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_to_the_others())
        .with_variable(dashboards.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for variable in board.variables:
        made = made.with_variable(_variable(variable))
    for marker in board.markers:
        made = made.annotation(_Annotation(marker))
    for panel in board.panels:
        made = made.with_panel(_panel(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _to_the_others() -> dashboards.DashboardLink:
    return (
        dashboards.DashboardLink("Serving")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


def _variable(variable: Variable) -> dashboards.QueryVariable:
    return (
        dashboards.QueryVariable(variable.name)
        .label(variable.title)
        .datasource(SOURCE)
        .query(variable.query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(models.VariableHide.DONT_HIDE)
    )


class _AnnotationQuery(models.AnnotationQuery):
    """With what Prometheus' annotations have and the SDK's model lacks."""

    title_format = ""

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"titleFormat": self.title_format}


class _Annotation(dashboards.AnnotationQuery):
    def __init__(self, marker: Marker) -> None:
        self._internal = _AnnotationQuery(
            name=marker.name,
            datasource=SOURCE,
            icon_color=marker.color,
            expr=marker.promql,
        )
        self._internal.title_format = marker.text


def _panel(panel: Panel) -> AnyPanel:
    shapes: dict[str, Callable[[Panel], AnyPanel]] = {
        "states": _states,
        "numbers": _numbers,
        "table": _table,
    }
    made = shapes.get(panel.kind, _lines)(panel)
    made = made.title(panel.title).description(panel.description).datasource(SOURCE).unit(panel.unit)
    made = made.height(panel.height).span(panel.width)
    if panel.nothing is not None:
        made = made.no_value(panel.nothing)
    for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False):
        asked = prometheus.Dataquery().expr(query.promql).legend_format(query.legend).ref_id(letter)
        if panel.kind == "table":
            asked = asked.instant().format(PromQueryFormat.TABLE)
        elif panel.kind == "numbers":
            asked = asked.instant()
        else:
            asked = asked.range()
        made = made.with_target(asked)
    return made


def _lines(panel: Panel) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    made = timeseries.Panel().line_width(2).fill_opacity(8).legend(legend)
    if panel.kind == "steps":
        made = made.line_interpolation(LineInterpolation.STEP_AFTER)
    if panel.logarithmic:
        return made.scale_distribution(common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10))
    return made.min(0)


def _states(panel: Panel) -> statetimeline.Panel:
    named = {
        "0": models.ValueMappingResult(text="False", color="semi-dark-blue"),
        "1": models.ValueMappingResult(text="True", color="semi-dark-orange"),
    }
    hidden = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.HIDDEN)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(False)
    )
    return (
        statetimeline.Panel()
        .mappings([models.ValueMap(named)])
        .show_value(VisibilityMode.NEVER)
        .row_height(0.8)
        .legend(hidden)
    )


def _numbers(panel: Panel) -> stat.Panel:
    made = (
        stat.Panel()
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False):
        steps = [models.Threshold(color="text")]
        if query.alarm is not None:
            steps = [models.Threshold(color="green"), models.Threshold(query.alarm, "red")]
        thresholds = models.ThresholdsConfig(models.ThresholdsMode.ABSOLUTE, steps)
        shown = [models.DynamicConfigValue("thresholds", thresholds), *_unit(query)]
        made = made.override_by_query(letter, shown)
    return made


def _table(panel: Panel) -> table.Panel:
    """A row for each set of labels: what several queries say of it side by side."""
    alone = len(panel.queries) == 1
    fields = {
        "Value" if alone else f"Value #{letter}": query.legend
        for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False)
    }
    made = table.Panel().show_header(True)
    if panel.first is not None:
        made = made.sort_by([common.TableSortByFieldState().display_name(panel.first).desc(True)])
    for id_, options in _columns(fields, alone=alone):
        made = made.with_transformation(models.DataTransformerConfig(id_, options=options))
    for query in panel.queries:
        if query.unit is not None:
            made = made.override_by_name(query.legend, _unit(query))
    links = [
        {
            "title": f"{name.capitalize()} of ${{__data.fields.service}}",
            "url": f"/d/serving-{name}?var-namespace=${{__data.fields.namespace}}&var-service=${{__data.fields.service}}"
            "&${datasource:queryparam}&${__url_time_range}",
        }
        for name in ROW_LINKS
    ]
    return made.override_by_name("service", [models.DynamicConfigValue("links", links)])


def _columns(fields: dict[str, str], *, alone: bool) -> Sequence[tuple[str, dict[str, Any]]]:
    organize = {"excludeByName": {"Time": True}, "renameByName": fields}
    return [("organize", organize)] if alone else [("merge", {}), ("organize", organize)]


def _unit(query: Query) -> list[models.DynamicConfigValue]:
    return [models.DynamicConfigValue("unit", query.unit)] if query.unit else []
