"""The command: measure one thing after another on a control plane of its own, and write the report after each."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from loadtests.scale import stage
from loadtests.scale.growth import picture
from loadtests.scale.measures import (
    ARRIVALS_PER_SECOND,
    QUIET_CHANGES_PER_SECOND,
    STORM_PER_SECOND,
    Figures,
    Measure,
    NotReachedError,
    neighbours,
)
from loadtests.scale.program import ProgramError
from loadtests.scale.report import GROWTH_FILE, markdown
from loadtests.scale.targets import outcomes
from localcluster import running
from localcluster.api import ApiError
from localcluster.cli import EXPECTED
from localcluster.interruption import cancellable, first_only, ignore
from localcluster.paths import this_python
from localcluster.progress import Progress

NAMES = ("storm", "arrivals", "neighbours", "growth")
PARTS = (8, 4, 2)
"""Growth is measured at these parts of the services, beside all of them."""
_FAILED = (*EXPECTED, NotReachedError, ProgramError, ApiError)


@dataclass(frozen=True)
class Options:
    """What the command was asked."""

    services: int
    only: tuple[str, ...]
    run_dir: Path
    out: Path


def main(arguments: list[str] | None = None) -> int:
    """Run; exit status 0 if all was measured, 1 if something was not, 130 after SIGINT or SIGTERM. Targets do not count."""
    options = _parsed(arguments)
    progress = Progress()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("localcluster.api").setLevel(logging.ERROR)  # a watch that begins anew is no news here
    options.out.mkdir(parents=True, exist_ok=True)
    summary: Figures = {"services": options.services, "cpus": len(os.sched_getaffinity(0)), "failures": []}
    with first_only():
        try:
            for name in options.only:
                _measured(name, options, progress, summary)
                _write(options.out, summary)
        except (KeyboardInterrupt, asyncio.CancelledError):
            progress.say("interrupted")
            return 130
        finally:
            ignore()
            running.stop(options.run_dir, progress)
    return concluded(summary, options.out, progress)


def concluded(summary: Figures, out: Path, progress: Progress) -> int:
    """Say how the targets were met; return the exit status."""
    for one in summary["targets"]:
        met = "met" if one["met"] else "NOT met"
        progress.say(f"{one['name']}: {one['measured']:g}, wanted {one['wanted']}: {met}")
    progress.say(f"report: {out / 'report.md'}")
    return int(bool(summary["failures"]))


def _parsed(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.scale", description=__doc__)
    parser.add_argument(
        "--services", type=int, default=1000, help="how many, at least 16 (default: %(default)s)"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=NAMES,
        help="one thing to measure, may be repeated (default: all of them, in this order)",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        default=Path("out/scale-cluster"),
        help="the control plane's files (default: %(default)s)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/scale"), help="where the report goes (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    if not 16 <= given.services <= 99_999:
        parser.error(f"--services {given.services}: expected 16 to 99999")
    only = tuple(name for name in NAMES if not given.only or name in given.only)
    return Options(given.services, only, given.run_dir.resolve(), given.out.resolve())


def _measured(name: str, options: Options, progress: Progress, summary: Figures) -> None:
    """Measure one thing and add its figures to the summary, or the reason why there are none."""
    work: dict[str, Callable[[], None]] = {
        "storm": lambda: summary.update(_lived(options, progress, options.services)),
        "arrivals": lambda: summary.update(
            arrivals=_run(options, progress, partial(_arrive, options.services))
        ),
        "neighbours": lambda: summary.update(
            neighbours=_run(options, progress, partial(_neighbour, options.services))
        ),
        "growth": lambda: _grow(options, progress, summary),
    }
    progress.say(f"measuring: {name}")
    try:
        work[name]()
    except* _FAILED as failed:
        summary["failures"] += [f"{name}: {reason}" for reason in said(failed, progress)]


def said(failed: BaseExceptionGroup[BaseException], progress: Progress) -> list[str]:
    """Say and return what failed; an error without a text by its kind."""
    reasons = [str(error) or type(error).__name__ for error in _leaves(failed)]
    progress.say(f"error: {'; '.join(reasons)}")
    return reasons


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Return the errors of a group, and of the groups in it."""
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def _run(
    options: Options, progress: Progress, work: Callable[[Measure], Coroutine[Any, Any, Figures]]
) -> Figures:
    """Do the work on a new control plane, which is gone afterwards."""
    running.stop(options.run_dir, progress)
    cluster = stage.start(options.run_dir, progress)

    async def on_stage() -> Figures:
        async with stage.stage(cluster, options.out / "operator.log") as made:
            return await work(Measure(made, progress))

    found = asyncio.run(cancellable(on_stage()))
    running.stop(options.run_dir, progress)
    return found


def _lived(options: Options, progress: Progress, services: int) -> Figures:
    return _run(options, progress, partial(_live, services))


async def _live(services: int, measure: Measure) -> Figures:
    """A storm of services, a restart of the operator, and rest."""
    storm = await measure.offer("scale", services, STORM_PER_SECOND)
    return {
        "storm": storm,
        "restart": await measure.restart(services),
        "quiet": await measure.quiet(services),
    }


async def _arrive(services: int, measure: Measure) -> Figures:
    return await measure.offer("scale", services, ARRIVALS_PER_SECOND)


async def _neighbour(services: int, measure: Measure) -> Figures:
    few, many = max(8, services // 20), services // 2
    await measure.offer("calm", few, STORM_PER_SECOND)
    await measure.offer("busy", many, STORM_PER_SECOND)
    calm = {"calm": (few, QUIET_CHANGES_PER_SECOND)}
    alone = await measure.changed(calm)
    beside = await measure.changed(calm | {"busy": (many, STORM_PER_SECOND)})
    return neighbours(alone, beside, "calm") | {
        "services": few,
        "changes_per_second": QUIET_CHANGES_PER_SECOND,
        "busy_services": many,
        "busy_changes_per_second": STORM_PER_SECOND,
    }


def _grow(options: Options, progress: Progress, summary: Figures) -> None:
    """Live with fewer services; what was measured with all of them is the last point."""
    summary["growth"] = []
    for part in PARTS:
        services = options.services // part
        summary["growth"].append({"services": services} | _lived(options, progress, services))
    if "storm" not in summary:
        summary.update(_lived(options, progress, options.services))
    whole = {key: summary[key] for key in ("storm", "restart", "quiet")}
    summary["growth"].append({"services": options.services} | whole)


def _write(out: Path, summary: Figures) -> None:
    """Write what is known by now."""
    summary["targets"] = [asdict(outcome) for outcome in outcomes(summary)]
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (out / "report.md").write_text(markdown(summary), encoding="utf-8")
    if summary.get("growth"):
        (out / GROWTH_FILE).write_text(picture(summary["growth"]), encoding="utf-8")
