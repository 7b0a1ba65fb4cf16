"""The reference of the API, docs/api.md, made from the CRDs. `make crds` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

Schema = dict[str, Any]

OF_A_POD = {"affinity", "livenessProbe", "readinessProbe", "startupProbe", "valueFrom"}
"""Fields that are a Pod's own: what is in them is told by `kubectl explain`."""

HEADER = """# API reference

Made from the types by `make crds`; `kubectl explain infsvc.spec` says the same on a cluster. Group and version: `serving-operator.dev/v1alpha1`.
A field without a default may be left out unless it is required. Fields of affinity, probes and `valueFrom` are a Pod's, as far as the schema goes.
[Conditions](conditions.md) has what `status.conditions` say.
"""


class Row(NamedTuple):
    """One field."""

    path: str
    type: str
    default: str
    description: str


def document(crds: list[Schema]) -> str:
    """Return the whole page."""
    return HEADER + "".join(_kind(crd) for crd in crds)


def _kind(crd: Schema) -> str:
    names, version = crd["spec"]["names"], crd["spec"]["versions"][0]
    root = version["schema"]["openAPIV3Schema"]
    short = f" (`{names['shortNames'][0]}`)" if "shortNames" in names else ""
    scope = "of the cluster" if crd["spec"]["scope"] == "Cluster" else "of a namespace"
    text = f"\n## {names['kind']}{short}\n\n{root['description']} It is {scope}.\n"
    for part in ("spec", "status"):
        if part in root["properties"]:
            text += f"\n### {names['kind']}.{part}\n\n" + _table(root["properties"][part])
    return text


def _table(schema: Schema) -> str:
    lines = ["| field | type | default | what it says |", "|---|---|---|---|"]
    lines += [
        f"| `{row.path}` | {row.type} | {row.default} | {row.description} |" for row in rows(schema, "")
    ]
    table = "\n".join(lines) + "\n"
    if said := list(dict.fromkeys(rules(schema, ""))):
        table += "\nRules beyond the types:\n\n" + "\n".join(f"* {rule}" for rule in said) + "\n"
    return table


def rows(schema: Schema, prefix: str) -> Iterator[Row]:
    """Every field below a schema, parents before their children."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        default = "required" if name in required else _default(field)
        yield Row(path, _cell(_type(field)), default, _cell(field.get("description", "")))
        if name not in OF_A_POD:
            yield from rows(_inner(field), f"{path}{'[]' if 'items' in field else ''}.")


def rules(schema: Schema, path: str) -> Iterator[str]:
    """What must hold between fields, in the words of the API server's refusal."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "message" in rule:
            yield f"`{path or 'spec'}`: {rule['message']}"
    if "items" in schema:
        yield from rules(schema["items"], path)
    for name, field in schema.get("properties", {}).items():
        if name not in OF_A_POD:
            yield from rules(field, f"{path}.{name}" if path else name)


def _inner(field: Schema) -> Schema:
    inner: Schema = field.get("items", field)
    return inner


def _type(field: Schema) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "items" in field:
        return f"list of {_type(field['items'])}"
    if isinstance(field.get("additionalProperties"), dict):
        return f"map of {_type(field['additionalProperties'])}"
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    kind = str(field.get("type", "any"))
    least, most = field.get("minimum"), field.get("maximum")
    if least is not None and most is not None:
        return f"{kind}, {least} to {most}"
    return f"{kind}, at least {least}" if least is not None else kind


def _default(field: Schema) -> str:
    if "default" not in field or isinstance(field["default"], dict | list):
        return ""
    value = field["default"]
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
