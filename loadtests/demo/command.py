"""The command of the demo: set up, play, sum up, and leave nothing behind unless asked to."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import get_args

import yaml

from autoscaler.replay.report.page import render
from loadtests.demo import dashboard, setup
from loadtests.demo.chronicle import DASHBOARDS, chronicle
from loadtests.demo.commands import REPOSITORY, CommandError, Commands, kubectl_program
from loadtests.demo.counting import Counter
from loadtests.demo.display import Display, View
from loadtests.demo.evidence import evidence
from loadtests.demo.figures import RUN_SECONDS, By, Run, shortcomings, summarise
from loadtests.demo.rates import Rates, rates
from loadtests.demo.stage import SceneError
from loadtests.demo.story import Story
from loadtests.demo.watch import Watcher
from loadtests.generator import LoadGenerator, Request
from loadtests.preview.answers import Range, UnansweredError
from loadtests.preview.command import preview
from loadtests.record import write_csv
from localcluster.cluster import Cluster as LocalCluster
from localcluster.interruption import cancellable, first_only, ignore
from localcluster.paths import this_python
from serving_api.service import InferenceServiceSpec
from serving_io.cluster import Cluster
from serving_operator.judge.verdict import limits_of
from serving_operator.judge.windows import Limits


@dataclass(frozen=True)
class Options:
    """What the command was asked."""

    by: By
    overlay: setup.Overlay
    keep: bool
    run_dir: Path
    out: Path


def main(argv: list[str] | None = None) -> int:
    """Run the demo; exit status 0 if everything was shown, 1 if something was not, 130 after SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.demo", description=__doc__)
    parser.add_argument(
        "--by",
        choices=tuple(RUN_SECONDS),
        default="evidence",
        help="who decides the rollouts: the judge, in eight minutes, or a person by labels, in five "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--overlay",
        choices=get_args(setup.Overlay),
        default="base",
        help="which of the installs of manifests/ is used (default: %(default)s)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the cluster up at the end, and say what to try"
    )
    parser.add_argument("--run-dir", type=Path, default=Path("out/cluster"), help="the cluster's files")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where summary and report go")
    given = parser.parse_args(argv)
    options = Options(given.by, given.overlay, given.keep, given.run_dir.resolve(), given.out.resolve())
    display = Display()
    with first_only():
        try:
            return asyncio.run(cancellable(_demo(options, display)))
        except (KeyboardInterrupt, asyncio.CancelledError):
            display.say("interrupted")
            return 130
        finally:
            if not options.keep:
                ignore()
                setup.stop_cluster(options.run_dir)


async def _demo(options: Options, display: Display) -> int:
    began = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        await setup.start_cluster(options.run_dir)
        local = LocalCluster.load(options.run_dir)
        os.environ["KUBECONFIG"] = str(local.kubeconfig)
        commands = Commands(
            display.say, kubectl_program(options.run_dir), {"KUBECONFIG": str(local.kubeconfig)}
        )
        request = setup.request_to(local)
        await setup.side_by_side(
            setup.train(commands, display.say),
            setup.install(commands, local.prometheus_url, options.overlay, options.out),
        )
        await setup.serve(commands)
        await setup.first_answer(request, commands)
        seconds_setup = time.monotonic() - began
        display.say(f"The first 200 through the gateway came {seconds_setup:.0f} s after the start.")
        answers = await setup.answers_one_by_one(request)
        display.say(f"An answer takes {1000 * median(answers):.0f} ms here; the load is chosen to fit.")
        status = await _play(
            options, display, commands, request, rates(answers), local.prometheus_url, seconds_setup
        )
        if options.keep:
            display.say(what_next(local.gateway_url, local.prometheus_url, options.run_dir))
        return status
    except (setup.SetupError, CommandError) as error:
        display.say(f"error: {error}")
        return 1


async def _play(
    options: Options,
    display: Display,
    commands: Commands,
    request: Request,
    chosen: Rates,
    prometheus_url: str,
    seconds_setup: float,
) -> int:
    objective_seconds, limits = _objective()
    failure = ""
    async with (
        await Cluster.connect(field_manager="demo") as cluster,
        LoadGenerator(request, seed=1) as load,
        Watcher(cluster, setup.NAMESPACE, setup.SERVICE, lambda: load.now_seconds) as watcher,
        Counter(prometheus_url, setup.NAMESPACE, setup.SERVICE, lambda: load.now_seconds) as counter,
        display.show(lambda: view(), objective_seconds) as shown,
    ):

        def view() -> View:
            known = evidence(watcher.samples, counter.counts, limits)
            attempt = watcher.now.canary.id if watcher.now.canary else ""
            tally = next((one for _, one in reversed(known) if one.attempt == attempt), None)
            return View(watcher.now, load.records, load.rate_per_second, load.now_seconds, tally)

        story = Story(options.by, chosen, commands, load, watcher, shown.say)
        try:
            await story.play()
        except (SceneError, CommandError) as error:
            failure = str(error)
        panels = await dashboard.panels_with_data(
            prometheus_url, dashboard.queries(setup.NAMESPACE, setup.SERVICE)
        )
        now, variables = time.time(), {"namespace": setup.NAMESPACE, "service": setup.SERVICE}
        try:
            dashboards = await preview(prometheus_url, variables, Range(now - load.now_seconds, now))
        except UnansweredError as error:
            failure, dashboards = failure or str(error), ""
        await load.stop(grace_seconds=setup.TIMEOUT_SECONDS + 1)
        run = Run(
            by=options.by,
            records=load.records,
            requests=load.sent,
            samples=watcher.samples,
            load_changes=story.told.load_changes,
            objective_seconds=objective_seconds,
            revisions=story.told.revisions,
            attempts=story.told.attempts,
            evidence=evidence(watcher.samples, counter.counts, limits),
            seconds_setup=seconds_setup,
            seconds_run=load.now_seconds,
            panels=panels,
        )
    summary = summarise(run)
    write_csv(run.records, options.out / "requests.csv")
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    page = render(chronicle(summary, run, story.told, counter.counts, objective_seconds))
    (options.out / "report.html").write_text(page, encoding="utf-8")
    (options.out / DASHBOARDS).write_text(dashboards, encoding="utf-8")
    display.say("\n" + json.dumps(summary, indent=2))
    display.say(f"report: {options.out / 'report.html'}")
    if failure:
        display.say(f"The story broke off: {failure}")
    if blank := [title for title, has_data in panels.items() if not has_data]:
        display.say(f"Without data on the dashboard: {', '.join(blank)}.")
    missing = shortcomings(summary, options.by)
    display.say("Not shown: " + "; ".join(missing) if missing else "Everything was shown.")
    return 1 if failure or missing else 0


def _objective() -> tuple[float, Limits]:
    """Return the objective's threshold in seconds, and what the judge makes of its percentage."""
    text = (REPOSITORY / "manifests/demo/service-v1.yaml").read_text(encoding="utf-8")
    spec = InferenceServiceSpec.model_validate(yaml.safe_load(text)["spec"])
    assert spec.objective is not None, "scaling.class Auto needs one"
    assert spec.rollout.analysis is not None, "promotion Automatic needs one"
    limits = limits_of(spec.objective.percent, spec.rollout.analysis.unacceptable_percent)
    return spec.objective.threshold_milliseconds / 1000, limits


def what_next(gateway_url: str, prometheus_url: str, run_dir: Path) -> str:
    """Return what to try on a cluster that is left up."""
    python, url = this_python(), f"{gateway_url}/v2/models/digits/infer"
    flag = "" if run_dir == Path("out/cluster").resolve() else f" --run-dir {shlex.quote(str(run_dir))}"
    return f"""
Everything is left up. Gateway {gateway_url}, Prometheus {prometheus_url}.
Try next:
  eval "$({python} -m localcluster env{flag})"
  kubectl -n {setup.NAMESPACE} get infsvc,infas
  kubectl -n {setup.NAMESPACE} describe infsvc {setup.SERVICE}
  curl -H 'Host: {setup.HOST}' -H 'content-type: application/json' -d @manifests/demo/request.json \\
    {url}
  {python} -m loadtests {url} --host {setup.HOST} \\
    --body @manifests/demo/request.json --rate 20 --duration 60 --objective-milliseconds 500
  {python} -m localcluster down{flag}"""
