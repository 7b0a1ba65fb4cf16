"""The command: one control plane, one thing after another on it, and the report after each."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from autoscaler.__main__ import DEFAULT_TICK_SECONDS
from loadtests.scale.autoscalers import stage
from loadtests.scale.autoscalers.measures import Figures, Measure, NotReachedError
from loadtests.scale.autoscalers.population import population
from loadtests.scale.autoscalers.report import markdown
from loadtests.scale.autoscalers.targets import targets
from loadtests.scale.command import concluded, said
from loadtests.scale.program import ProgramError
from loadtests.scale.targets import outcomes
from localcluster import running
from localcluster.api import ApiError
from localcluster.cli import EXPECTED
from localcluster.interruption import cancellable, first_only, ignore
from localcluster.paths import this_python
from localcluster.progress import Progress

NAMES: Final = ("ticks", "statuses", "restart")
_FAILED = (*EXPECTED, NotReachedError, ProgramError, stage.ExporterError, ApiError, httpx.HTTPError)


@dataclass(frozen=True)
class Options:
    """What the command was asked."""

    autoscalers: int
    tick_seconds: float
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
    members = population(options.autoscalers)
    summary: Figures = {
        "autoscalers": options.autoscalers,
        "services": len({member.service for member in members}),
        "cpus": len(os.sched_getaffinity(0)),
        "failures": [],
    }
    with first_only():
        try:
            _measured(options, progress, summary)
        except (KeyboardInterrupt, asyncio.CancelledError):
            progress.say("interrupted")
            return 130
        finally:
            ignore()
            running.stop(options.run_dir, progress)
    return concluded(summary, options.out, progress)


def _parsed(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(
        prog=f"{this_python()} -m loadtests.scale.autoscalers", description=__doc__
    )
    parser.add_argument(
        "--autoscalers", type=int, default=10_000, help="how many, at least 20 (default: %(default)s)"
    )
    parser.add_argument(
        "--tick-seconds",
        type=float,
        default=DEFAULT_TICK_SECONDS,
        help="the autoscaler's time between decisions (default: its own, %(default)g)",
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
        default=Path("out/scale-autoscaler-cluster"),
        help="the control plane's files (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/scale-autoscaler"),
        help="where the report goes (default: %(default)s)",
    )
    given = parser.parse_args(arguments)
    if not 20 <= given.autoscalers <= 50_000:
        parser.error(f"--autoscalers {given.autoscalers}: expected 20 to 50000")
    if not 1 <= given.tick_seconds <= 60:
        parser.error(f"--tick-seconds {given.tick_seconds:g}: expected 1 to 60")
    only = tuple(name for name in NAMES if not given.only or name in given.only)
    return Options(given.autoscalers, given.tick_seconds, only, given.run_dir.resolve(), given.out.resolve())


def _measured(options: Options, progress: Progress, summary: Figures) -> None:
    """Measure, and write what is known after each; what fails ends it, for all is done on one control plane."""
    _write(options, summary)
    try:
        running.stop(options.run_dir, progress)
        cluster, port = stage.start(options.run_dir, options.autoscalers, progress)
        log = options.out / "autoscaler.log"
        log.write_bytes(b"")

        async def on_stage() -> None:
            async with stage.stage(cluster, port, options.autoscalers, options.tick_seconds, log) as made:
                await _all(options, Measure(made, progress), progress, summary)

        asyncio.run(cancellable(on_stage()))
    except* _FAILED as failed:
        summary["failures"] += said(failed, progress)
    _write(options, summary)


async def _all(options: Options, measure: Measure, progress: Progress, summary: Figures) -> None:
    work: dict[str, Callable[[], Coroutine[Any, Any, Figures]]] = {
        "begin": measure.begin,
        "ticks": lambda: measure.ticks(options.tick_seconds),
        "page": measure.page,
        "statuses": measure.statuses,
        "restart": measure.restart,
    }
    await measure.populate()
    for name, measured in work.items():
        if name not in NAMES or name in options.only:
            progress.say(f"measuring: {name}")
            summary[name] = await measured()
            _write(options, summary)


def _write(options: Options, summary: Figures) -> None:
    summary["targets"] = [asdict(outcome) for outcome in outcomes(summary, targets(options.tick_seconds))]
    text = json.dumps(summary, indent=2) + "\n"
    (options.out / "summary.json").write_text(text, encoding="utf-8")
    (options.out / "report.md").write_text(markdown(summary), encoding="utf-8")
