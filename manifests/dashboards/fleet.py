"""The dashboard *Fleet*: all services, and who of them needs somebody."""

from __future__ import annotations

from manifests.dashboards.parts import Board, Panel, Query

OF_A_SERVICE = 'service!=""'
ANSWERS = 'condition="Servable", reason!="NoRevisionServes"'
LIMITS = "ScalingLimited|ReserveLimited|ObjectiveInfeasible|ObjectiveNotMeasurable|NotCapacityBound|Conflict"
TROUBLES = "Stalled|NameConflict|ReserveLimited|CommandIgnored"


def _count(promql: str) -> str:
    """How many series; 0, not nothing, where there are none."""
    return f"count({promql}) or vector(0)"


FLEET = Board(
    uid="serving-fleet",
    title="Fleet",
    description="All services: who does not answer, who misses its objective, and who is limited by what.",
    panels=(
        Panel(
            "At a glance",
            "Services by what is wrong with them now; red is for the one who is on call.",
            "none",
            (
                Query(_count("serving_inferenceservice_ready"), "services"),
                Query(_count(f"serving_condition{{{ANSWERS}}} == 0"), "answer nothing", alarm=1),
                Query(_count("serving:bad:ratio_5m > on (namespace, service) serving:bad_allowed:ratio"), "miss the objective", alarm=1),
                Query(_count('serving_condition{condition="Stalled"} == 1'), "stalled", alarm=1),
                Query(_count('serving_autoscaler_condition{condition="ScalingLimited"} == 1'), "limited", alarm=1),
                Query(_count('serving_autoscaler_condition{condition="SignalsAvailable"} == 0'), "blind", alarm=1),
                Query(_count("serving_canary_weight_percent"), "in a rollout"),
            ),
            kind="numbers",
            width=24,
            height=4,
        ),
        Panel(
            "Services",
            "A row for each; its name leads to its scaling and to its rollout.",
            "none",
            (
                Query("max by (namespace, service) (serving_inferenceservice_ready)", "ready", unit="bool_yes_no"),
                Query("max by (namespace, service) (serving:demand:per_second)", "requests", unit="reqps"),
                Query("max by (namespace, service) (serving:bad:ratio_5m)", "late or failed", unit="percentunit"),
                Query("max by (namespace, service) (serving:bad_allowed:ratio)", "allowed", unit="percentunit"),
                Query(f"sum by (namespace, service) (serving_autoscaler_ready_replicas{{{OF_A_SERVICE}}})", "replicas ready"),
                Query(f"sum by (namespace, service) (serving_autoscaler_desired_replicas{{{OF_A_SERVICE}}})", "desired"),
                Query(
                    f"max by (namespace, service) (serving_autoscaler_gpu_utilization_ratio{{{OF_A_SERVICE}}})",
                    "GPU utilisation",
                    unit="percentunit",
                ),
                Query("max by (namespace, service) (serving_canary_weight_percent)", "canary's weight", unit="percent"),
            ),
            kind="table",
            width=24,
            height=10,
            first="late or failed",
        ),
        Panel(
            "Limited by what",
            "Conditions that keep a service from what it asks for; docs/conditions.md and the object's own message have the remedy.",
            "none",
            (
                Query(
                    f'max by (namespace, service, autoscaler, condition, reason) (serving_autoscaler_condition{{condition=~"{LIMITS}"}} == 1)'
                    ' or max by (namespace, service, autoscaler, condition, reason) (serving_autoscaler_condition{condition="SignalsAvailable"} == 0)'
                    f' or max by (namespace, service, condition, reason) (serving_condition{{condition=~"{TROUBLES}"}} == 1)',
                    "is so",
                    unit="bool_yes_no",
                ),
            ),
            kind="table",
            nothing="Nothing limits any service",
        ),
        Panel(
            "Alerts",
            "Those of this project that fire now; each has its page in docs/runbooks.",
            "none",
            (
                Query(
                    'max by (alertname, severity, namespace, service) (ALERTS{alertname=~"Serving.+", alertstate="firing"})',
                    "fires",
                    unit="bool_yes_no",
                ),
            ),
            kind="table",
            nothing="No alert fires",
        ),
        Panel(
            "Replicas",
            "Ready replicas by namespace, and those that were decided: a gap that stays is a cluster without room.",
            "none",
            (
                Query("sum by (namespace) (serving_autoscaler_ready_replicas)", "ready {{namespace}}"),
                Query("sum by (namespace) (serving_autoscaler_desired_replicas)", "desired {{namespace}}"),
            ),
            kind="steps",
        ),
        Panel(
            "Accelerators",
            "Ready replicas that hold accelerators, by namespace, and how many of them the work would keep busy all the time.",
            "none",
            (
                Query(
                    "sum by (namespace) (serving_autoscaler_ready_replicas and serving_autoscaler_gpu_utilization_ratio)",
                    "held {{namespace}}",
                ),
                Query(
                    "sum by (namespace) (serving_autoscaler_ready_replicas * serving_autoscaler_gpu_utilization_ratio)",
                    "busy {{namespace}}",
                ),
            ),
        ),
    ),
)  # fmt: skip
