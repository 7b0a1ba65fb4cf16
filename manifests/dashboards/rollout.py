"""The dashboard *Rollout*: how far a canary is, and what is known of it."""

from __future__ import annotations

from manifests.dashboards.parts import MOVED, REJECTED, SERVICE, Board, Panel, Query, one_service
from serving_operator.judge.comparison import BOUND as ABORTS
from serving_operator.judge.objective import BOUND as ADVANCES

AT_GATEWAY = 'namespace="$namespace", deployment=~"$service-[0-9a-f]{8}|route/$service", source="gateway"'
ARRIVALS = f"serving:arrivals:rate1m{{{AT_GATEWAY}}}"
FAILURES = f"serving:failures:rate1m{{{AT_GATEWAY}}}"
WITHIN = f"serving:responses_within:rate1m{{{AT_GATEWAY}}}"

ROLLOUT = Board(
    uid="serving-rollout",
    title="Rollout",
    description="How far the canary of a service is, what it waits for, and what is known of it.",
    variables=one_service("serving_condition"),
    markers=(MOVED, REJECTED),
    panels=(
        Panel(
            "Weights",
            "Percent of the traffic that the route gives to each revision.",
            "percent",
            (Query(f"max by (revision) (serving_revision_weight_percent{{{SERVICE}}})", "{{revision}}"),),
            kind="steps",
        ),
        Panel(
            "Verdict",
            "What the service waits for, or why it stands still: the reasons of its condition UpToDate, as docs/conditions.md has them.",
            "none",
            (
                Query(
                    f'max by (reason) (serving_condition{{{SERVICE}, condition="UpToDate"}}) * 0 + 1',
                    "{{reason}}",
                ),
            ),
            kind="states",
        ),
        Panel(
            "Evidence of the step",
            "1 says nothing. At its bound worse than stable aborts, and good enough advances unless something speaks for worse.",
            "none",
            (
                Query(f"max(serving_canary_worse_than_stable{{{SERVICE}}})", "worse than stable"),
                Query(f"max(serving_canary_good_enough{{{SERVICE}}})", "good enough"),
                Query(f"vector({ABORTS:g})", "aborts"),
                Query(f"vector({ADVANCES:g})", "advances"),
            ),
            logarithmic=True,
        ),
        Panel(
            "Evidence that is missing",
            "Why the step's requests cannot be counted. The time does not count against the canary, and nobody is rejected for it.",
            "none",
            (Query(f"max by (reason) (serving_canary_evidence_missing{{{SERVICE}}})", "{{reason}}"),),
            kind="states",
            nothing="Nothing is missing",
        ),
        Panel(
            "Bad requests of the step",
            "Late or failed, of those that were counted in the step under way, beside what the objective allows.",
            "percentunit",
            (
                Query(
                    f"max by (side) (serving_canary_bad_requests{{{SERVICE}}} / (serving_canary_requests{{{SERVICE}}} > 0))",
                    "{{side}}",
                ),
                Query(f"max(serving_autoscaler_bad_allowed_ratio{{{SERVICE}}})", "allowed"),
            ),
        ),
        Panel(
            "Requests counted in the step",
            "Of canary and stable: how much the judge has to go by. Few requests take long to tell anything.",
            "none",
            (Query(f"max by (side) (serving_canary_requests{{{SERVICE}}})", "{{side}}"),),
            kind="steps",
        ),
        Panel(
            "Latency by revision",
            "99th percentile of each revision at the gateway, beside the objective's threshold; of route/… where it counts all revisions together.",
            "s",
            (
                Query(
                    f"histogram_quantile(0.99, sum by (deployment, le) ({WITHIN})) / 1000", "{{deployment}}"
                ),
                Query(f"max(serving_autoscaler_objective_seconds{{{SERVICE}}})", "objective"),
            ),
        ),
        Panel(
            "Failed by revision",
            "Share of each revision's requests that the gateway saw fail (5xx); of route/… where it counts all revisions together.",
            "percentunit",
            (
                Query(
                    f"sum by (deployment) ({FAILURES} or 0 * {ARRIVALS}) / (sum by (deployment) ({ARRIVALS}) > 0)",
                    "{{deployment}}",
                ),
            ),
        ),
        Panel(
            "Capacity by revision",
            "Ready replicas, and those that the revision needs before it gets its next weight: rollouts wait for this most often.",
            "none",
            (
                Query(
                    f"sum by (autoscaler) (serving_autoscaler_ready_replicas{{{SERVICE}}})",
                    "ready {{autoscaler}}",
                ),
                Query(
                    f"sum by (autoscaler) (serving_autoscaler_reserve_replicas{{{SERVICE}}})",
                    "need {{autoscaler}}",
                ),
            ),
            kind="steps",
            width=24,
        ),
    ),
)
