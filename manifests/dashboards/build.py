"""Build the Grafana dashboards. `.venv/bin/python manifests/dashboards/build.py [--check]` writes scaling.json beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from grafana_foundation_sdk.builders import common, prometheus, timeseries
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, LineInterpolation
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableHide, VariableRefresh

HERE = Path(__file__).parent
SOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")
WHERE = 'namespace="$namespace", service="$service"'
AT_GATEWAY = 'envoy_cluster_name=~"httproute/$namespace/$service/.*"'


class Query(NamedTuple):
    """One line of a panel: what is asked, and how the answer is called."""

    promql: str
    legend: str


class Panel(NamedTuple):
    """One panel: a question that somebody asks at three in the morning, and its answer over time."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    step: bool = False
    minimum: float | None = 0


SCALING = (
    Panel(
        "Demand",
        "Requests that arrive per second, and how many are expected by the time that a pod started now is ready.",
        "reqps",
        (
            Query(f"sum by (autoscaler) (serving_autoscaler_arrivals_per_second{{{WHERE}}})", "arrivals {{autoscaler}}"),
            Query(f"sum by (autoscaler) (serving_autoscaler_forecast_per_second{{{WHERE}}})", "forecast {{autoscaler}}"),
        ),
    ),
    Panel(
        "Replicas",
        "Replicas that were decided and replicas that are ready, for each revision.",
        "none",
        (
            Query(f"sum by (autoscaler) (serving_autoscaler_desired_replicas{{{WHERE}}})", "desired {{autoscaler}}"),
            Query(f"sum by (autoscaler) (serving_autoscaler_ready_replicas{{{WHERE}}})", "ready {{autoscaler}}"),
        ),
        step=True,
    ),
    Panel(
        "Latency against the objective",
        "Latency at the gateway; the 99th percentile is for the eye, decisions count requests at the objective's bucket.",
        "s",
        (
            Query(f"histogram_quantile(0.50, sum by (le) (rate(envoy_cluster_upstream_rq_time_bucket{{{AT_GATEWAY}}}[1m]))) / 1000", "p50"),
            Query(f"histogram_quantile(0.99, sum by (le) (rate(envoy_cluster_upstream_rq_time_bucket{{{AT_GATEWAY}}}[1m]))) / 1000", "p99"),
            Query(f"max(serving_autoscaler_objective_seconds{{{WHERE}}})", "objective"),
        ),
    ),
    Panel(
        "Late or failed",
        "Share of the arrivals that were not answered within the objective.",
        "percentunit",
        (Query(f"max by (autoscaler) (serving_autoscaler_late_ratio{{{WHERE}}})", "{{autoscaler}}"),),
    ),
    Panel(
        "GPU utilisation",
        "Mean over the replicas. It vetoes a scale-down and tells slow from busy; it never multiplies replicas.",
        "percentunit",
        (Query(f"max by (autoscaler) (serving_autoscaler_gpu_utilization_ratio{{{WHERE}}})", "{{autoscaler}}"),),
    ),
    Panel(
        "Weights",
        "Percent of the traffic that the acknowledged route gives to each revision.",
        "percent",
        (Query(f"max by (revision) (serving_revision_weight_percent{{{WHERE}}})", "{{revision}}"),),
        step=True,
    ),
    Panel(
        "Decisions",
        "Reasons of the decisions in force, counted per minute.",
        "none",
        (Query(f"sum by (reason) (increase(serving_autoscaler_decisions_total{{{WHERE}}}[1m]))", "{{reason}}"),),
    ),
    Panel(
        "Start time",
        "Measured time from the scale write to a ready pod: how far ahead the autoscaler must look.",
        "s",
        (Query(f"max by (autoscaler) (serving_autoscaler_start_time_seconds{{{WHERE}}})", "{{autoscaler}}"),),
    ),
)  # fmt: skip


def _panel(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .unit(panel.unit)
        .line_width(2)
        .fill_opacity(8)
        .height(8)
        .span(12)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if panel.minimum is not None:
        made = made.min(panel.minimum)
    if panel.step:
        made = made.line_interpolation(LineInterpolation.STEP_AFTER)
    for query in panel.queries:
        made = made.with_target(prometheus.Dataquery().expr(query.promql).legend_format(query.legend))
    return made


def _variable(name: str, label: str, query: str) -> dashboards.QueryVariable:
    return (
        dashboards.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(VariableHide.DONT_HIDE)
    )


def scaling() -> str:
    """Return the dashboard *Scaling* as JSON."""
    made = (
        dashboards.Dashboard("Scaling")
        .uid("serving-scaling")
        .description("Why a service has the replicas that it has.")
        .tags(["serving-operator"])
        .refresh("15s")
        .time("now-30m", "now")
        .timezone("browser")
        .with_variable(dashboards.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            _variable(
                "namespace", "Namespace", "label_values(serving_autoscaler_desired_replicas, namespace)"
            )
        )
        .with_variable(
            _variable(
                "service",
                "Service",
                'label_values(serving_autoscaler_desired_replicas{namespace="$namespace"}, service)',
            )
        )
    )
    for panel in SCALING:
        made = made.with_panel(_panel(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def main() -> None:
    """Write or check the dashboard files."""
    parser = argparse.ArgumentParser(prog="python manifests/dashboards/build.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a file differs instead of writing it")
    check = parser.parse_args().check
    path, text = HERE / "scaling.json", scaling()
    if check and (not path.exists() or path.read_text() != text):
        sys.exit(f"{path.name} differs from its code: run `make dashboards`")
    path.write_text(text)


if __name__ == "__main__":
    main()
