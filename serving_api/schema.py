"""What every API type has in common: camelCase on the wire, immutable in memory, described field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from serving_api import quantity


class Model(BaseModel):
    """An object of the API. Unknown fields are ignored on read: a newer CRD must not break an older operator."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        use_enum_values=True,
    )

    def wire(self) -> dict[str, Any]:
        """Return the object as the API server sees it, without what was not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def rules(*validations: Mapping[str, Any]) -> dict[str, Any]:
    """Attach CEL rules to the schema of a field or model."""
    return {"x-kubernetes-validations": [dict(validation) for validation in validations]}


def rule(expression: str, message: str, *, path: str | None = None) -> dict[str, Any]:
    """One CEL rule. `path` names the field at fault, relative to where the rule stands."""
    made: dict[str, Any] = {"rule": expression, "message": message}
    return made | {"fieldPath": path} if path else made


DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
LabelKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=317,
        json_schema_extra=rules(
            rule(
                "!format.qualifiedName().validate(self).hasValue()",
                "must be a label key such as team or example.com/team",
            )
        ),
    ),
]
# The keys of a map have no schema of their own: what LabelKey says of a field has to be said of the map.
KEYS_ARE_QUALIFIED = "self.all(k, !format.qualifiedName().validate(k).hasValue())"
KEYS_ARE_LABEL_KEYS = rule(KEYS_ARE_QUALIFIED, "keys must be label keys such as team or example.com/team")
LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]

Quantity = Annotated[
    str,
    BeforeValidator(quantity.canonical),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": quantity.PATTERN,
            "minimum": 0,
            "maxLength": 32,
            "x-kubernetes-int-or-string": True,
        }
    ),
]

PortReference = Annotated[
    int | str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "x-kubernetes-validations": [
                {
                    "rule": "type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self) <= 15",
                    "message": "must be a port number from 1 to 65535 or the name of a port",
                }
            ],
        }
    ),
]
