"""The command: hours of random rollouts, loads and faults, then the report."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import time
from pathlib import Path

from loadtests.demo import setup
from loadtests.demo.commands import CommandError, Commands, kubectl_program
from loadtests.record import write_csv
from loadtests.soak.figures import markdown, shortcomings, summarise
from loadtests.soak.history import History
from loadtests.soak.services import NAMESPACE
from loadtests.soak.stage import StoryError
from loadtests.soak.world import Options, World
from localcluster.cluster import Cluster as LocalCluster
from localcluster.interruption import cancellable, first_only, ignore
from localcluster.paths import this_python
from localcluster.progress import Progress
from serving_io.errors import ApiError


def main(arguments: list[str] | None = None) -> int:
    """Run; exit status 0 if all was well, 1 if something was not, 130 after SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.soak", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=360.0, help="before the rest at the end (default: %(default)g)")
    add("--seed", type=int, default=1, help="of what happens (default: %(default)s)")
    add(
        "--run-dir",
        type=Path,
        default=Path("out/soak-cluster"),
        help="the cluster's files (default: %(default)s)",
    )
    add("--out", type=Path, default=Path("out/soak"), help="where the report goes (default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.minutes <= 0:
        parser.error("--minutes is more than 0")
    options = Options(given.minutes, given.seed, given.run_dir.resolve(), given.out.resolve())
    options.out.mkdir(parents=True, exist_ok=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    progress, history = Progress(), History()
    interrupted = failed = False
    with first_only():
        try:
            asyncio.run(cancellable(_soak(options, progress, history)))
        except (KeyboardInterrupt, asyncio.CancelledError):
            interrupted = True
        except (setup.SetupError, CommandError, StoryError, ApiError) as error:
            progress.say(f"error: {error}")
            failed = True
        finally:
            ignore()
            setup.stop_cluster(options.run_dir)
    if failed and not history.traffic:
        return 1
    summary = summarise(history, options.seed)
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (options.out / "report.md").write_text(markdown(summary), encoding="utf-8")
    for name, traffic in history.traffic.items():
        write_csv(traffic.records, options.out / f"requests-{name}.csv")
    progress.say(f"report: {options.out / 'report.md'}")
    if interrupted:
        progress.say("interrupted: the report holds what was seen until then")
        return 130
    missing = shortcomings(summary)
    progress.say("Not well: " + "; ".join(missing) if missing else "All was well.")
    return int(failed or bool(missing))


async def _soak(options: Options, progress: Progress, history: History) -> None:
    setup.stop_cluster(options.run_dir)  # what a killed run has left would be gone on with
    await setup.start_cluster(options.run_dir)
    local = LocalCluster.load(options.run_dir)
    os.environ["KUBECONFIG"] = str(local.kubeconfig)
    with (options.out / "commands.log").open("w", encoding="utf-8", buffering=1) as log:
        commands = Commands(
            lambda line: print(f"{time.strftime('%H:%M:%S')} {line}", file=log),
            kubectl_program(options.run_dir),
            {"KUBECONFIG": str(local.kubeconfig)},
        )
        await setup.install(commands, local.prometheus_url, "base", options.out)
        await commands.kubectl(f"create namespace {NAMESPACE}")
        began = time.monotonic()
        async with World(options, local, commands, history, began).entered() as world:
            await world.run(progress)
