"""All that is wrong with a document, and all that is worth a thought, with lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from serving_api.names import API_VERSION, AUTOSCALER_KIND, SERVICE_KIND
from servingctl.documents import Document
from servingctl.linting.advice import advice
from servingctl.linting.schema import Violation
from servingctl.linting.service import KINDS, is_ours, problems
from servingctl.paths import spelled

Level = Literal["Error", "Warning"]
ONLY_THERE = (
    "names that are taken by other objects",
    "that the PersistentVolumeClaim, Secrets, ConfigMaps, ServiceAccount and Gateway are there",
    "quotas and admission policies of the cluster",
)
"""What no file tells."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to change, or to think over."""

    source: str
    line: int
    object: str
    level: Level
    field: str
    message: str

    def wire(self) -> dict[str, Any]:
        """Return it for JSON and YAML."""
        return {"file": self.source, "line": self.line, "object": self.object, "level": self.level,
                "field": self.field, "message": self.message}  # fmt: skip


def lint(document: Document) -> list[Finding]:
    """Return the findings of one document; none of one that is not ours."""
    manifest = document.value
    found = [
        Finding(
            document.source,
            line,
            _named(manifest),
            "Error",
            spelled(path),
            "is there twice; the first one is lost",
        )
        for path, line in document.duplicates
    ]
    if not is_ours(manifest):
        return found + ([_nearly(document)] if _is_meant(manifest) else [])
    errors = problems(manifest)
    found += [_finding(document, "Error", violation) for violation in errors]
    if errors:
        return found
    try:
        return found + [_finding(document, "Warning", violation) for violation in advice(manifest)]
    except ValidationError as error:
        first = error.errors()[0]
        path = ("spec", *(part for part in first["loc"]))
        return [*found, _finding(document, "Error", Violation(path, first["msg"]))]


def _finding(document: Document, level: Level, violation: Violation) -> Finding:
    line = document.line(violation.path)
    return Finding(
        document.source, line, _named(document.value), level, spelled(violation.path), violation.message
    )


def _is_meant(manifest: Any) -> bool:
    return isinstance(manifest, dict) and (
        manifest.get("kind") == AUTOSCALER_KIND
        or str(manifest.get("apiVersion", "")).startswith(API_VERSION.partition("/")[0])
        or (manifest.get("kind") == SERVICE_KIND and "/" not in str(manifest.get("apiVersion", "")))
    )


def _nearly(document: Document) -> Finding:
    stated = f"{document.value.get('apiVersion')} {document.value.get('kind')}"
    *others, last = KINDS
    message = f"{stated} is no kind of ours; write {API_VERSION} and {', '.join(others)} or {last}"
    return _finding(document, "Error", Violation(("apiVersion",), message))


def _named(manifest: Any) -> str:
    if not isinstance(manifest, dict):
        return "-"
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{manifest.get('kind', '-')}/{name or '-'}"
