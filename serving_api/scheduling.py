"""Where pods may run: affinity and spreading, typed like the core API's fields of the same names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from serving_api.schema import KEYS_ARE_LABEL_KEYS, LabelKey, LabelValue, Model, rule, rules

Weight = Annotated[int, Field(ge=1, le=100)]


class NodeRequirement(Model):
    """A condition on one label of a node."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 "
                ": has(self.values) && size(self.values) > 0",
                "In, NotIn, Gt and Lt need values; Exists and DoesNotExist take none",
                path=".values",
            ),
            rule(
                "!(self.operator in ['Gt', 'Lt']) || !has(self.values) || "
                "(size(self.values) == 1 && self.values[0].matches('^[0-9]{1,18}$'))",
                "Gt and Lt compare with exactly one value, a whole number of at most 18 digits",
                path=".values",
            ),
        )
    }

    key: LabelKey
    """Label of the node."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """How the label is compared."""
    values: Annotated[list[LabelValue], Field(max_length=64)] | None = None
    """Values to compare with."""


class NodeTerm(Model):
    """Conditions that must all hold."""

    match_expressions: Annotated[list[NodeRequirement], Field(min_length=1, max_length=16)]
    """Conditions on the node's labels."""


class NodeTerms(Model):
    """Terms of which one must hold."""

    node_selector_terms: Annotated[list[NodeTerm], Field(min_length=1, max_length=16)]
    """Alternatives."""


class PreferredNode(Model):
    """A preference among nodes."""

    weight: Weight
    """How much it counts, from 1 to 100."""
    preference: NodeTerm
    """What is preferred."""


class NodeAffinity(Model):
    """Attraction to nodes."""

    required_during_scheduling_ignored_during_execution: NodeTerms | None = None
    """Pods run only there."""
    preferred_during_scheduling_ignored_during_execution: (
        Annotated[list[PreferredNode], Field(max_length=16)] | None
    ) = None
    """Pods run there if they can."""


class LabelRequirement(Model):
    """A condition on one label of a pod."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "self.operator in ['Exists', 'DoesNotExist'] ? !has(self.values) || size(self.values) == 0 "
                ": has(self.values) && size(self.values) > 0",
                "In and NotIn need values; Exists and DoesNotExist take none",
                path=".values",
            )
        )
    }

    key: LabelKey
    """Label of the pod."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label is compared."""
    values: Annotated[list[LabelValue], Field(max_length=64)] | None = None
    """Values to compare with."""


class LabelSelector(Model):
    """A choice of pods by their labels."""

    match_labels: (
        Annotated[
            dict[LabelKey, LabelValue], Field(max_length=32, json_schema_extra=rules(KEYS_ARE_LABEL_KEYS))
        ]
        | None
    ) = None
    """Labels that must have these values."""
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=16)] | None = None
    """Further conditions."""


class PodTerm(Model):
    """Pods to be near to, or far from."""

    label_selector: LabelSelector | None = None
    """Which pods of the service's namespace."""
    topology_key: LabelKey
    """Label of nodes whose value defines nearness, such as kubernetes.io/hostname."""


class PreferredPod(Model):
    """A preference among pods' neighbourhoods."""

    weight: Weight
    """How much it counts, from 1 to 100."""
    pod_affinity_term: PodTerm
    """Which pods."""


class PodAffinity(Model):
    """Attraction to, or repulsion from, pods."""

    required_during_scheduling_ignored_during_execution: (
        Annotated[list[PodTerm], Field(max_length=16)] | None
    ) = None
    """Must hold."""
    preferred_during_scheduling_ignored_during_execution: (
        Annotated[list[PreferredPod], Field(max_length=16)] | None
    ) = None
    """Holds if it can."""


class Affinity(Model):
    """Scheduling constraints of the pods."""

    node_affinity: NodeAffinity | None = None
    """Attraction to nodes."""
    pod_affinity: PodAffinity | None = None
    """Attraction to pods."""
    pod_anti_affinity: PodAffinity | None = None
    """Repulsion from pods."""


class TopologySpread(Model):
    """How evenly the pods of a revision are spread; the selector is the revision's own."""

    max_skew: Annotated[int, Field(ge=1, le=1000)]
    """Largest difference in pods between two domains."""
    topology_key: LabelKey
    """Label of nodes whose value names the domain."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    """What happens to a pod that would break the rule."""


TopologySpreads = Annotated[
    list[TopologySpread],
    Field(
        max_length=8,
        json_schema_extra=rules(
            rule(
                "self.all(a, self.exists_one(b, a.topologyKey == b.topologyKey && "
                "a.whenUnsatisfiable == b.whenUnsatisfiable))",
                "entries must differ in topologyKey or whenUnsatisfiable",
            )
        ),
    ),
]
