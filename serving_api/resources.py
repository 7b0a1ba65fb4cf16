"""Compute resources of a replica: cpu, memory, and accelerators."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from serving_api.schema import Model, Quantity, rule, rules

Amounts = Annotated[
    dict[Annotated[str, Field(max_length=100)], Quantity],
    Field(
        max_length=8,
        json_schema_extra=rules(
            rule(
                "self.all(k, k in ['cpu', 'memory', 'ephemeral-storage'] || (k.contains('/') && "
                "!k.startsWith('requests.') && !format.qualifiedName().validate(k).hasValue()))",
                "keys are cpu, memory, ephemeral-storage or an extended resource such as nvidia.com/gpu",
            ),
            rule(
                "self.all(k, !k.contains('/') || quantity(string(self[k])).isInteger())",
                "extended resources such as nvidia.com/gpu are counted in whole numbers such as 1",
            ),
        ),
    ),
]


class Resources(Model):
    """Compute resources of one replica."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "!has(self.limits) || !has(self.requests) || self.requests.all(k, !(k in self.limits) || "
                "quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) <= 0)",
                "each request must be at most its limit",
                path=".requests",
            ),
            rule(
                "!has(self.requests) || self.requests.all(k, !k.contains('/') || (has(self.limits) && k in self.limits))",
                "an accelerator is set in limits; its request follows",
                path=".requests",
            ),
            rule(
                "!has(self.limits) || !has(self.requests) || self.requests.all(k, !k.contains('/') || "
                "!(k in self.limits) || "
                "quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) >= 0)",
                "the request of an accelerator must equal its limit; leave it out",
                path=".requests",
            ),
        )
    }

    limits: Amounts | None = None
    """Most that a replica may use: cpu, memory, ephemeral-storage, and accelerators such as nvidia.com/gpu."""
    requests: Amounts | None = None
    """What is reserved for a replica; a limit without a request reserves the limit."""
