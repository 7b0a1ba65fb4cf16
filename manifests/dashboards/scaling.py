"""The dashboard *Scaling*: why a service has the replicas that it has."""

from __future__ import annotations

from manifests.dashboards.parts import MOVED, SCALED, SERVICE, Board, Panel, Query, one_service

AT_GATEWAY = 'envoy_cluster_name=~"httproute/$namespace/$service/.*"'
READY = f"sum(serving_autoscaler_ready_replicas{{{SERVICE}}})"
MEAN, MOST = f"avg_over_time({READY}[$__range:1m])", f"max_over_time({READY}[$__range:1m])"


def _quantile(share: float) -> str:
    buckets = f"rate(envoy_cluster_upstream_rq_time_bucket{{{AT_GATEWAY}}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le) ({buckets})) / 1000"


SCALING = Board(
    uid="serving-scaling",
    title="Scaling",
    description="Why a service has the replicas that it has.",
    variables=one_service("serving_autoscaler_desired_replicas"),
    markers=(SCALED, MOVED),
    panels=(
        Panel(
            "Demand",
            "Requests that arrive per second, and how many are expected by the time that a pod started now is ready.",
            "reqps",
            (
                Query(f"sum by (autoscaler) (serving_autoscaler_arrivals_per_second{{{SERVICE}}})", "arrivals {{autoscaler}}"),
                Query(f"sum by (autoscaler) (serving_autoscaler_forecast_per_second{{{SERVICE}}})", "forecast {{autoscaler}}"),
            ),
        ),
        Panel(
            "Replicas",
            "Replicas that were decided, that are ready, and that the revision needs for its share of the demand.",
            "none",
            (
                Query(f"sum by (autoscaler) (serving_autoscaler_desired_replicas{{{SERVICE}}})", "desired {{autoscaler}}"),
                Query(f"sum by (autoscaler) (serving_autoscaler_ready_replicas{{{SERVICE}}})", "ready {{autoscaler}}"),
                Query(f"sum by (autoscaler) (serving_autoscaler_reserve_replicas{{{SERVICE}}})", "need {{autoscaler}}"),
            ),
            kind="steps",
        ),
        Panel(
            "Late or failed",
            "Shares of the requests that were not answered within the objective, and that failed, beside what the objective allows.",
            "percentunit",
            (
                Query(f"max by (autoscaler) (serving_autoscaler_late_ratio{{{SERVICE}}})", "late {{autoscaler}}"),
                Query(f"max by (autoscaler) (serving_autoscaler_failed_ratio{{{SERVICE}}})", "failed {{autoscaler}}"),
                Query(f"max(serving_autoscaler_bad_allowed_ratio{{{SERVICE}}})", "allowed"),
            ),
        ),
        Panel(
            "Latency against the objective",
            "Latency at the gateway; the 99th percentile is for the eye, decisions count requests at the objective's bucket.",
            "s",
            (
                Query(_quantile(0.5), "p50"),
                Query(_quantile(0.99), "p99"),
                Query(f"max(serving_autoscaler_objective_seconds{{{SERVICE}}})", "objective"),
            ),
        ),
        Panel(
            "What limits it",
            "Conditions of the InferenceAutoscalers: a bound that is too low, a second autoscaler, signals that are missing.",
            "none",
            (Query(f"max by (condition, reason) (serving_autoscaler_condition{{{SERVICE}}})", "{{condition}}: {{reason}}"),),
            kind="states",
        ),
        Panel(
            "Decisions",
            "Reasons of the decisions in force, counted per minute: what raised the replicas, or what keeps them.",
            "none",
            (Query(f"60 * sum by (reason) (rate(serving_autoscaler_decisions_total{{{SERVICE}}}[$__rate_interval]))", "{{reason}}"),),
        ),
        Panel(
            "Start time",
            "Measured time from the scale write to a ready pod: how far ahead the autoscaler must look.",
            "s",
            (Query(f"max by (autoscaler) (serving_autoscaler_start_time_seconds{{{SERVICE}}})", "{{autoscaler}}"),),
            width=8,
        ),
        Panel(
            "GPU utilisation",
            "Mean over the replicas. It vetoes a scale-down and tells slow from busy; it never multiplies replicas.",
            "percentunit",
            (Query(f"max by (autoscaler) (serving_autoscaler_gpu_utilization_ratio{{{SERVICE}}})", "{{autoscaler}}"),),
            width=8,
        ),
        Panel(
            "Saved",
            "Replica time saved in the range shown, against keeping as many replicas for all of it as its busiest moment had.",
            "percentunit",
            (
                Query(f"1 - {MEAN} / ({MOST} > 0)", "of the replica time"),
                Query(f"($__range_s / 3600) * ({MOST} - {MEAN})", "replica hours", unit="none"),
            ),
            kind="numbers",
            width=8,
        ),
    ),
)  # fmt: skip
