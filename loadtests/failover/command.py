"""The command: lose leaders in rollouts and surges of one service, and write the report after each of them."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from loadtests.demo import setup
from loadtests.demo.commands import CommandError, Commands, kubectl_program
from loadtests.demo.watch import Watcher
from loadtests.failover.between import Between
from loadtests.failover.cases import FAULTS, PROGRAMS, Case, cases, next_course, of_course
from loadtests.failover.leaders import LeaderError, Leaders
from loadtests.failover.phases import NAMES, PHASES, Course
from loadtests.failover.played import Played
from loadtests.failover.player import Player
from loadtests.failover.report import markdown
from loadtests.failover.summary import Figures, Run, shortcomings, summarise
from loadtests.generator import LoadGenerator
from loadtests.record import Record, write_csv
from loadtests.scale.audit import Request, read
from localcluster.cluster import Cluster as LocalCluster
from localcluster.interruption import cancellable, first_only, ignore
from localcluster.paths import this_python
from localcluster.progress import Progress
from serving_api.names import SYSTEM_NAMESPACE
from serving_io.cluster import Cluster

OBJECTIVE_SECONDS = 0.5
MOST_EMPTY = 3
"""Courses in a row in which no leader could be lost: then theirs are given up."""
MOST_PROBLEMS = 3
"""Courses that do not end: then the rest is given up."""


@dataclass(frozen=True)
class Options:
    """What the command was asked."""

    cases: Sequence[Case]
    run_dir: Path
    out: Path


@dataclass
class Findings:
    """What is known by now."""

    out: Path
    played: list[Played] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    load_began_seconds: float = 0.0
    pending: list[Case] = field(default_factory=list)
    given_up: list[Case] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _seen: int = 0

    def note(self, audit_log: Path) -> Figures:
        """Read what the audit log has recorded since the last time, write all that is known, and return the summary."""
        found, self._seen = read(audit_log, self._seen)
        self.requests += found
        return self.write()

    def write(self) -> Figures:
        """Write summary, report and requests; return the summary."""
        summary = summarise(
            Run(
                self.played,
                self.requests,
                self.records,
                self.load_began_seconds,
                OBJECTIVE_SECONDS,
                [*self.given_up, *self.pending],
                self.failures,
            )
        )
        (self.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        (self.out / "report.md").write_text(markdown(summary), encoding="utf-8")
        write_csv(self.records, self.out / "requests.csv")
        return summary


def main(arguments: list[str] | None = None) -> int:
    """Run; exit status 0 if all was shown, 1 if something was not, 130 after SIGINT or SIGTERM."""
    options = _parsed(arguments)
    progress = Progress()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    options.out.mkdir(parents=True, exist_ok=True)
    findings = Findings(options.out, pending=list(options.cases))
    with first_only():
        try:
            asyncio.run(cancellable(_measure(options, progress, findings)))
        except (KeyboardInterrupt, asyncio.CancelledError):
            progress.say("interrupted")
            return 130
        except (setup.SetupError, CommandError) as error:
            progress.say(f"error: {error}")
            return 1
        finally:
            ignore()
            setup.stop_cluster(options.run_dir)
    missing = shortcomings(findings.write())
    progress.say("Not shown: " + "; ".join(missing) if missing else "All was shown.")
    progress.say(f"report: {options.out / 'report.md'}")
    return int(bool(missing))


def _parsed(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.failover", description=__doc__)
    add = parser.add_argument
    add(
        "--only",
        action="append",
        default=[],
        choices=[phase.name for phase in PHASES],
        help="one phase in which leaders are lost, may be repeated (default: every phase)",
    )
    add(
        "--fault",
        action="append",
        default=[],
        choices=FAULTS,
        help="one way in which leaders are lost, may be repeated (default: all of them)",
    )
    add(
        "--program",
        action="append",
        default=[],
        choices=PROGRAMS,
        help="the program whose leaders are lost, in every way in every phase; may be repeated (default: in each phase the "
        "one that acts next in every way, and the other in one of them)",
    )
    add(
        "--run-dir",
        type=Path,
        default=Path("out/failover-cluster"),
        help="the cluster's files (default: %(default)s)",
    )
    add("--out", type=Path, default=Path("out/failover"), help="where the report goes (default: %(default)s)")
    given = parser.parse_args(arguments)
    chosen = cases(given.only, given.fault, given.program)
    return Options(chosen, given.run_dir.resolve(), given.out.resolve())


async def _measure(options: Options, progress: Progress, findings: Findings) -> None:
    setup.stop_cluster(options.run_dir)  # what a killed run has left would be gone on with
    await setup.start_cluster(options.run_dir)
    local = LocalCluster.load(options.run_dir)
    os.environ["KUBECONFIG"] = str(local.kubeconfig)
    commands = Commands(progress.say, kubectl_program(options.run_dir), {"KUBECONFIG": str(local.kubeconfig)})
    request = setup.request_to(local)
    async with Between(local.api_port) as between, await Cluster.connect(field_manager="failover") as cluster:
        await setup.side_by_side(
            setup.train(commands, progress.say), _install(commands, local, between, options.out)
        )
        leaders = Leaders(cluster, options.run_dir, between)
        async with (
            LoadGenerator(request, seed=1) as load,
            Watcher(cluster, setup.NAMESPACE, setup.SERVICE, lambda: load.now_seconds) as watcher,
        ):
            findings.load_began_seconds, findings.records = load.started_unix_seconds, load.records
            player = Player(leaders, commands, load, watcher, progress.say, options.out)
            first_answer = partial(setup.first_answer, request, commands)
            await player.serve()
            await first_answer()
            try:
                await _play(player, progress, findings, local.audit_log, first_answer)
            except (LeaderError, CommandError, setup.SetupError) as error:
                progress.say(f"error: {error}")
                findings.failures.append(str(error))
            await load.stop(grace_seconds=setup.TIMEOUT_SECONDS + 1)
            findings.note(local.audit_log)


async def _install(commands: Commands, local: LocalCluster, between: Between, out: Path) -> None:
    """Install both programs with two replicas each, which reach the API server through the proxy."""
    await setup.install(commands, local.prometheus_url, "high-availability", out)
    programs = [f"deployment/{name}" for name in NAMES.values()]
    proxy = between.url("$(POD_NAME)")
    await commands.kubectl(f"-n {SYSTEM_NAMESPACE} set env {' '.join(programs)} 'HTTPS_PROXY={proxy}'")
    for program in programs:
        await commands.kubectl(f"-n {SYSTEM_NAMESPACE} rollout status {program} --timeout=120s")


async def _play(
    player: Player,
    progress: Progress,
    findings: Findings,
    audit_log: Path,
    first_answer: Callable[[], Awaitable[None]],
) -> None:
    """Play courses until no case is pending: each course first without a loss, to compare with.

    Raises LeaderError, CommandError, SetupError where nothing more can be shown.
    """
    compared: set[Course] = set()
    empty = problems = 0
    while (course := next_course(findings.pending)) is not None and problems < MOST_PROBLEMS:
        chosen = of_course(course, findings.pending) if course in compared else []
        left = f"{len(findings.pending)} leaders left to be lost"
        progress.say(f"{course}; {left}, in it: {', '.join(map(str, chosen)) or 'none'}")
        played = await player.play(course, chosen)
        hit = {loss.case for loss in played.losses}
        empty = empty + 1 if chosen and not hit else 0
        if empty == MOST_EMPTY:
            findings.given_up += chosen
            hit, empty = set(chosen), 0
        findings.pending = [case for case in findings.pending if case not in hit]
        findings.played.append(played)
        await asyncio.to_thread(findings.note, audit_log)
        if not played.problem:
            compared.add(course)
            continue
        problems += 1
        progress.say(f"error: {played.problem}")
        await player.serve_anew()
        await first_answer()
