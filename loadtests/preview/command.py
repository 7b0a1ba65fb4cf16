"""Draws the shipped dashboards as one page from what a Prometheus has, for whom has no Grafana at hand."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from loadtests.preview.answers import Range, UnansweredError, answered
from loadtests.preview.page import page
from localcluster.paths import this_python
from manifests.dashboards.build import BOARDS


async def preview(prometheus_url: str, variables: Mapping[str, str], over: Range) -> str:
    """Return the page of all dashboards. Raises `UnansweredError`."""
    answers = await answered(prometheus_url, BOARDS.values(), variables, over)
    minutes = (over.end - over.begin) / 60
    subtitle = (
        f"The shipped Grafana dashboards for {variables['namespace']}/{variables['service']} over {minutes:.0f} minutes, "
        "drawn from the answers to their own queries."
    )
    return page("Dashboards", subtitle, answers, over)


def main(argv: list[str] | None = None) -> int:
    """Write the page; exit status 1 if Prometheus did not answer."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.preview", description=__doc__)
    add = parser.add_argument
    add("--prometheus", required=True, metavar="URL", help="where queries are answered")
    add("--namespace", required=True, help="namespace of the service whose scaling and rollout are drawn")
    add("--service", required=True, help="name of the InferenceService")
    add("--minutes", type=float, default=30.0, help="how far back (default: %(default)s)")
    add("--out", type=Path, default=Path("out/preview/dashboards.html"), help="default: %(default)s")
    options = parser.parse_args(argv)
    if options.minutes <= 0:
        parser.error("--minutes must be more than 0")
    end = time.time()
    over = Range(end - 60 * options.minutes, end)
    variables = {"namespace": options.namespace, "service": options.service}
    try:
        text = asyncio.run(preview(options.prometheus, variables, over))
    except UnansweredError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(options.out)
    return 0
