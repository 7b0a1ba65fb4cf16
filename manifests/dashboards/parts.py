"""What a dashboard is made of, as values: what is asked, how the answer is shown, and why somebody would look."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["lines", "steps", "states", "numbers", "table"]
"""Lines over time; steps, for what jumps; one bar for each state over time; single numbers; a row for each series."""

SERVICE = 'namespace="$namespace", service="$service"'
"""Selects the service that the variables name."""


class Query(NamedTuple):
    """One line, state, number or column of a panel."""

    promql: str
    legend: str
    unit: str | None = None
    """Where it is another than the panel's."""
    alarm: float | None = None
    """The value from which a single number is shown in red."""


class Panel(NamedTuple):
    """One panel: a question that somebody asks at three in the morning, and its answer."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "lines"
    width: int = 12
    """Of 24."""
    height: int = 8
    logarithmic: bool = False
    first: str | None = None
    """The column of a table by which its rows are sorted, the highest first."""
    nothing: str | None = None
    """What an answer without series means; such a panel is empty while all is well."""


class Marker(NamedTuple):
    """Something that happened, drawn across all panels at its time."""

    name: str
    promql: str
    text: str
    color: str


class Variable(NamedTuple):
    """A choice at the top of the dashboard."""

    name: str
    title: str
    query: str


class Board(NamedTuple):
    """One dashboard."""

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    markers: tuple[Marker, ...] = ()


SCALED = Marker(
    "Decisions",
    f"max by (autoscaler) (changes(serving_autoscaler_desired_replicas{{{SERVICE}}}[$__rate_interval])) > 0",
    "{{autoscaler}}: another number of replicas",
    "blue",
)
MOVED = Marker(
    "Rollout",
    f"max by (revision) (changes(serving_revision_weight_percent{{{SERVICE}}}[$__rate_interval])) > 0",
    "{{revision}}: another weight",
    "purple",
)
REJECTED = Marker(
    "Rejected",
    f'max by (reason) (serving_condition{{{SERVICE}, condition="UpToDate", reason="Rejected"}} == 0) + 1',
    "the canary is rejected",
    "red",
)


def one_service(metric: str) -> tuple[Variable, ...]:
    """Return the variables that choose a service, of those that a metric tells of."""
    return (
        Variable("namespace", "Namespace", f"label_values({metric}, namespace)"),
        Variable("service", "Service", f'label_values({metric}{{namespace="$namespace"}}, service)'),
    )
