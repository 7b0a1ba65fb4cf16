"""One scored day under the production autoscaler as a page: load, replicas beside the oracle's, and who was late."""

from __future__ import annotations

from autoscaler.replay.report.page import Fact, Report, render
from autoscaler.replay.report.plot import Axis, Plot, Point, Series
from loadtests.bench.cells import STEP_SECONDS, Simulated
from loadtests.bench.job import seed_of
from loadtests.bench.run import HOUR
from loadtests.simulator.requests import Count
from loadtests.simulator.world import World

SAMPLE_SECONDS = 120.0


def timeline(cell: Simulated, seed: int, history_days: int, hours: float = 24) -> str:
    """Run the cell with this seed, and draw its scored day, or as much of it."""
    load = cell.load(seed, history_days + 1)
    schedule = cell.schedule(load)
    service = cell.service("s0", seed_of(cell, seed), load, schedule)
    world = World([service])
    begin = history_days * 24 * HOUR
    world.run(begin, STEP_SECONDS)
    offered: list[Point] = []
    wanted: list[Point] = []
    ready: list[Point] = []
    oracle: list[Point] = []
    late: list[Point] = []
    before = service.requests.counts.copy()
    first = before
    while world.now < begin + hours * HOUR:
        world.run(SAMPLE_SECONDS, STEP_SECONDS)
        world.bring_up_to_date(0)
        counts, at = service.requests.counts.copy(), world.now - begin
        requests = int(counts[Count.OFFERED] - before[Count.OFFERED])
        bad = int(counts[Count.LATE] - before[Count.LATE])
        offered.append((at, requests / SAMPLE_SECONDS))
        late.append((at, 100 * bad / requests if requests else None))
        wanted.append((at, float(service.pods.wanted)))
        ready.append((at, float(service.pods.ready)))
        step = min(int(world.now / STEP_SECONDS), len(schedule.asked)) - 1
        oracle.append((at, float(schedule.asked[step])))
        before = counts
    requests = int(before[Count.OFFERED] - first[Count.OFFERED])
    share = int(before[Count.LATE] - first[Count.LATE]) / max(requests, 1)
    return render(
        Report(
            title=cell.name,
            subtitle=f"The scored day with seed {seed}, after {history_days} days of history.",
            facts=[
                Fact("requests", f"{requests}"),
                Fact("late", f"{share:.2%}", share <= 0.01, "the objective allows 1%"),
            ],
            axis=Axis(0.0, hours * HOUR),
            plots=[
                Plot("Load", "requests per second", [Series("offered", offered)]),
                Plot(
                    "Replicas",
                    "",
                    [
                        Series("wanted", wanted, 0, "step"),
                        Series("ready", ready, 1, "step"),
                        Series("known-rate oracle", oracle, 2, "step", dashed=True),
                    ],
                ),
                Plot("Late", "percent of two minutes' requests", [Series("late", late, 3)], minimum_top=2.0),
            ],
        )
    )
