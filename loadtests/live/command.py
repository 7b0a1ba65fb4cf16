"""The command: ours, the real HPA and the real KEDA take turns at one service under one load."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.demo import setup
from loadtests.demo.commands import CommandError, Commands, kubectl_program
from loadtests.live import course, policies, reaction, turn
from loadtests.live.peers import Programs, had, peers
from loadtests.live.play import BASE, Player, StuckError
from loadtests.live.policies import HOLD_SECONDS, POLICIES, UTILIZATION_PERCENT
from localcluster.cli import EXPECTED
from localcluster.cluster import Cluster as LocalCluster
from localcluster.interruption import cancellable, first_only, ignore
from localcluster.paths import this_python
from localcluster.progress import Progress
from serving_io.cluster import Cluster


def main(argv: list[str] | None = None) -> int:
    """Run; exit status 0 if all turns were played, 1 if something did not come about, 130 after SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.live", description=__doc__)
    of_rounds = (
        f"how often everybody has a turn of {course.TURN_SECONDS / 60:.0f} minutes (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help=of_rounds)
    of_steps = "how many reactions of everybody to a step of the load are timed (default: %(default)s)"
    parser.add_argument("--steps", type=int, default=10, help=of_steps)
    parser.add_argument("--run-dir", type=Path, default=Path("out/live-cluster"), help="the cluster's files")
    parser.add_argument("--out", type=Path, default=Path("out/bench-live"), help="where the report goes")
    given = parser.parse_args(argv)
    if given.rounds < 0 or given.steps < 0 or not given.rounds + given.steps:
        parser.error("--rounds, --steps: must not be below 0, and not both 0")
    run_dir, out = given.run_dir.resolve(), given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    with first_only():
        try:
            programs = had()
            asyncio.run(cancellable(_bench(programs, given.rounds, given.steps, run_dir, out, progress)))
        except (setup.SetupError, CommandError, StuckError, *EXPECTED) as error:
            progress.say(f"error: {error}")
            return 1
        except (KeyboardInterrupt, asyncio.CancelledError):
            progress.say("interrupted")
            return 130
        finally:
            ignore()
            setup.stop_cluster(run_dir)
    return 0


async def _bench(
    programs: Programs, rounds: int, steps: int, run_dir: Path, out: Path, progress: Progress
) -> None:
    await setup.start_cluster(run_dir)
    local = LocalCluster.load(run_dir)
    os.environ["KUBECONFIG"] = str(local.kubeconfig)
    commands = Commands(progress.say, kubectl_program(run_dir), {"KUBECONFIG": str(local.kubeconfig)})
    request = setup.request_to(local)
    await setup.side_by_side(
        setup.train(commands, progress.say), setup.install(commands, local.prometheus_url, "base", out)
    )
    first = out / "service.json"
    first.write_text(json.dumps(policies.service(BASE, "ours"), indent=1) + "\n", encoding="utf-8")
    # As in the turns: what another policy's apply leaves out then goes.
    await setup.serve(commands, f"--server-side -f {first}")
    await setup.first_answer(request, commands)
    work_seconds = median(await setup.answers_one_by_one(request))
    objective_seconds = BASE["spec"]["objective"]["thresholdMilliseconds"] / 1000
    progress.say(f"An answer takes {1000 * work_seconds:.0f} ms here; the load's amplitude is chosen to fit.")
    order = course.turns(rounds)
    turns: list[dict[str, Any]] = []
    reactions: list[dict[str, Any]] = []
    async with (
        peers(programs, local, commands, progress.say),
        await Cluster.connect(field_manager="bench-live") as cluster,
    ):
        player = Player(cluster, local, commands, request, work_seconds, out, progress.say)
        for number, policy in enumerate(order, start=1):
            played = await player.play(policy, number)
            turns.append(played.figures(objective_seconds))
            progress.say(f"{number} of {len(order)}: {json.dumps(turns[-1])}")
            _write(out, work_seconds, turns, reactions)
        for policy in POLICIES if steps else ():
            reactions += reaction.figures(await player.react(policy, steps))
            _write(out, work_seconds, turns, reactions)
    report = (out / "report.md").read_text(encoding="utf-8")
    progress.say(f"\n{report}\nreport: {out / 'report.md'}")


def _write(
    out: Path, work_seconds: float, turns: list[dict[str, Any]], reactions: list[dict[str, Any]]
) -> None:
    """What is known so far: a run that breaks off leaves its turns."""
    summary = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "work_milliseconds": round(1000 * work_seconds),
        "utilization_percent": UTILIZATION_PERCENT,
        "hold_seconds": HOLD_SECONDS,
        "turns": turns,
        "reactions": reactions,
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    parts = [turn.table(turns)] if turns else []
    parts += [reaction.table(reactions)] if reactions else []
    (out / "report.md").write_text("\n".join(parts), encoding="utf-8")
