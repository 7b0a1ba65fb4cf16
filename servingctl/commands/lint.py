"""`servingctl lint`."""

from __future__ import annotations

import click

from servingctl.exits import FOUND, OK
from servingctl.linting import cel
from servingctl.linting.lint import ONLY_THERE, Finding, lint
from servingctl.linting.service import is_ours, unevaluated
from servingctl.options import files_argument, output_option
from servingctl.output import show, width
from servingctl.reading import read
from servingctl.tables import table


@click.command()
@files_argument
@output_option
def command(files: tuple[str, ...], output: str) -> int:
    """Find what the API server would refuse, and what would surprise, without a cluster.

    FILES are manifests, folders of them, or - for stdin; objects of other kinds are passed over. Errors are what the
    API server refuses: the schema, and the CEL rules beside it. Warnings are accepted, and worth a thought.

    \b
    Examples:
      servingctl lint service.yaml
      kustomize build . | servingctl lint -

    Exits with 1 if there is an error; warnings alone exit with 0.
    """
    documents = read(files)
    ours = [document.value for document in documents if is_ours(document.value)]
    findings = [finding for document in documents for finding in lint(document)]
    left = unevaluated()
    value = {
        "objects": len(ours),
        "findings": [finding.wire() for finding in findings],
        "onlyTheServerChecks": [*ONLY_THERE, *left],
    }
    show(value, output, _text(findings, len(ours), len(left)))
    return FOUND if any(finding.level == "Error" for finding in findings) else OK


def _text(findings: list[Finding], objects: int, left: int) -> str:
    rows = [
        (f"{finding.source}:{finding.line}", finding.object, finding.level, finding.field, finding.message)
        for finding in findings
    ]
    errors = sum(finding.level == "Error" for finding in findings)
    said = (
        table(("WHERE", "OBJECT", "LEVEL", "FIELD", "MESSAGE"), rows, width=width()) + "\n\n" if rows else ""
    )
    counts = f"{objects} objects, {errors} errors, {len(findings) - errors} warnings"
    rules = (
        ""
        if cel.is_available()
        else f"; and {left} rules in CEL, until you pip install '.[lint]' in the clone"
    )
    return f"{said}{counts}\nonly the API server checks: {', '.join(ONLY_THERE)}{rules}"
