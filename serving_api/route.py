"""How requests reach a service from outside."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from serving_api.schema import DNS_SUBDOMAIN, Model, Name, ObjectName, rule, rules


class ParentReference(Model):
    """A Gateway that the route attaches to."""

    name: ObjectName
    """Name of the Gateway."""
    namespace: Name | None = None
    """Namespace of the Gateway; the service's own if absent."""
    section_name: Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)] | None = None
    """Listener of the Gateway; all if absent."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port of the Gateway; all if absent."""


Hostname = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]


class Route(Model):
    """How requests reach the service from outside."""

    parent_refs: (
        Annotated[
            list[ParentReference],
            Field(
                min_length=1,
                max_length=8,
                json_schema_extra=rules(
                    rule(
                        "self.all(a, self.exists_one(b, a.name == b.name && "
                        "(has(a.__namespace__) ? a.__namespace__ : '') == (has(b.__namespace__) ? b.__namespace__ : '') && "
                        "(has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '') && "
                        "(has(a.port) ? a.port : 0) == (has(b.port) ? b.port : 0)))",
                        "entries must differ in name, namespace, sectionName or port",
                    ),
                    rule(
                        "self.all(a, self.all(b, a.name != b.name || "
                        "(has(a.__namespace__) ? a.__namespace__ : '') != (has(b.__namespace__) ? b.__namespace__ : '') || "
                        "(has(a.sectionName) == has(b.sectionName) && has(a.port) == has(b.port))))",
                        "entries for one Gateway must all set sectionName, or port, or neither",
                    ),
                ),
            ),
        ]
        | None
    ) = None
    """Gateways that the route attaches to; if absent those of the administrator's configuration."""
    hostnames: (
        Annotated[
            list[Hostname],
            Field(
                min_length=1,
                max_length=16,
                json_schema_extra=rules(
                    rule("self.all(h, self.exists_one(o, o == h))", "hostnames must be unique"),
                    rule(
                        r"self.all(h, !h.matches('^[0-9]+(\\.[0-9]+){3}$'))",
                        "an IP address is no hostname",
                    ),
                ),
            ),
        ]
        | None
    ) = None
    """Host names that requests carry; if absent one by the template of the administrator's configuration."""
