"""The dashboard *Operator*: whether the operator and the autoscaler themselves work."""

from __future__ import annotations

from manifests.dashboards.parts import Board, Panel, Query

PODS = 'pod=~"serving-operator-.+"'
"""Other controllers count under the same names."""
QUEUE, CONTROLLER = f'name="inferenceservice", {PODS}', f'controller="inferenceservice", {PODS}'


def _quantile(share: float, histogram: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}[$__rate_interval])))"


PROGRAMS = Board(
    uid="serving-operator",
    title="Operator",
    description="Whether the operator and the autoscaler themselves work.",
    panels=(
        Panel(
            "Who leads",
            "One pod of each program leads; the others stand by. With nobody, nothing is decided.",
            "none",
            (Query('max by (pod) (leader_election_master_status{name=~"serving-.+"})', "{{pod}}"),),
            kind="states",
        ),
        Panel(
            "Queue",
            "Services that wait to be looked at, and workers that are at work. Workers that stay at their number are too few.",
            "none",
            (
                Query(f"max(workqueue_depth{{{QUEUE}}})", "waiting"),
                Query(f"max(controller_runtime_active_workers{{{CONTROLLER}}})", "at work"),
                Query(f"max(controller_runtime_max_concurrent_reconciles{{{CONTROLLER}}})", "workers"),
            ),
        ),
        Panel(
            "Time",
            "How long a service waits, and how long the operator then works on it.",
            "s",
            (
                Query(_quantile(0.99, f"workqueue_queue_duration_seconds_bucket{{{QUEUE}}}"), "waited p99"),
                Query(
                    _quantile(0.99, f"controller_runtime_reconcile_time_seconds_bucket{{{CONTROLLER}}}"),
                    "worked p99",
                ),
                Query(f"max(workqueue_longest_running_processor_seconds{{{QUEUE}}})", "longest now"),
            ),
        ),
        Panel(
            "Reconciles",
            "Looks at services, by how they ended. Errors are tried again, up to once a minute; the log says which service.",
            "ops",
            (
                Query(
                    f"sum by (result) (rate(controller_runtime_reconcile_total{{{CONTROLLER}}}[$__rate_interval]))",
                    "{{result}}",
                ),
            ),
        ),
        Panel(
            "Requests to the API server",
            "The operator's own, by method and status. Few and even while nothing happens; 409 is the price of caution, 403 a missing right.",
            "reqps",
            (
                Query(
                    f"sum by (method, code) (rate(rest_client_requests_total{{{PODS}}}[$__rate_interval]))",
                    "{{method}} {{code}}",
                ),
            ),
        ),
        Panel(
            "Time of the API server",
            "99th percentile of the operator's requests, by method: a slow API server slows everything here.",
            "s",
            (
                Query(
                    _quantile(0.99, f"rest_client_request_duration_seconds_bucket{{{PODS}}}", "method"),
                    "{{method}}",
                ),
            ),
        ),
        Panel(
            "Ticks of the autoscaler",
            "Time of a tick with its queries and writes; at more than the tick's interval (5 s) decisions come late.",
            "s",
            (
                Query(_quantile(0.5, "serving_autoscaler_tick_seconds_bucket"), "p50"),
                Query(_quantile(0.99, "serving_autoscaler_tick_seconds_bucket"), "p99"),
            ),
        ),
        Panel(
            "Queries of the autoscaler",
            "Queries to Prometheus by what came of them. Anything but Answered makes it blind for all services.",
            "reqps",
            (
                Query(
                    "sum by (result) (rate(serving_autoscaler_queries_total[$__rate_interval]))", "{{result}}"
                ),
            ),
        ),
    ),
)
