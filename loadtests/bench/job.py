"""Carries out runs: ours in a simulated world with a Prometheus, who needs none by himself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

from loadtests.bench.ablations import without
from loadtests.bench.cells import STEP_SECONDS, Simulated
from loadtests.bench.run import DAY, HOUR, OURS, Row, Setting
from loadtests.simulator.alone import Alone
from loadtests.simulator.requests import Count
from loadtests.simulator.service import Service, drawn
from loadtests.simulator.world import World

REMEMBERED_SECONDS = {"wva-v2": DAY}
"""Of the history what a peer may still know of on the scored day, without any an hour; wva-v2 keeps what it saw under saturation."""
Pair = tuple[Simulated, int]
"""A cell, and its seed."""


@dataclass(frozen=True)
class Job:
    """Some of the runs, which share what they can."""

    settings: Sequence[Setting]
    pairs: Sequence[Pair]
    history_days: int
    configuration: str

    def run(self) -> list[Row]:
        """All settings on all pairs: ours, and what needs a Prometheus, side by side."""
        if all(cell.alone for cell, _ in self.pairs) and all(one.policy != OURS for one in self.settings):
            return [row for cell, seed in self.pairs for row in self._alone(cell, seed)]
        rows = []
        for setting in self.settings:
            with without(setting.without):
                rows += self._together(setting)
        return rows

    def _together(self, setting: Setting) -> list[Row]:
        """Side by side in one simulated world, with its Prometheus."""
        services, governors = [], {}
        for number, (cell, seed) in enumerate(self.pairs):
            load = cell.load(seed, self.history_days + 1)
            schedule = cell.schedule(load)
            service = cell.service(f"s{number}", seed_of(cell, seed), load, schedule)
            services.append(service)
            if (governor := setting.governor(cell, load, schedule, service.max_replicas)) is not None:
                governors[number] = governor
        world = World(services, governors)
        world.run(self.history_days * DAY, 15.0)
        before = dict(world.decisions)
        hours = [[_seen(service, world.now) for service in services]]
        for _ in range(24):
            world.run(HOUR, 15.0)
            hours.append([_seen(service, world.now) for service in services])
        return [
            self._row(
                setting,
                pair,
                [hour[number] for hour in hours],
                services[number].requests.undecided,
                world.decisions[f"s{number}"] - before.get(f"s{number}", 0),
            )
            for number, pair in enumerate(self.pairs)
        ]

    def _alone(self, cell: Simulated, seed: int) -> list[Row]:
        """One after another on the same requests. Of the history only its end, as far as they remember."""
        load = cell.load(seed, self.history_days + 1)
        schedule = cell.schedule(load)
        begin = self.history_days * DAY
        sinces = [max(begin - REMEMBERED_SECONDS.get(one.policy, HOUR), 0.0) for one in self.settings]
        whole = drawn(load, seed_of(cell, seed), min(sinces), begin + DAY)
        rows = []
        for setting, since in zip(self.settings, sinces, strict=True):
            arrivals = whole.since(since)
            service = cell.service(
                "s",
                seed_of(cell, seed),
                load,
                schedule,
                min(int(since / STEP_SECONDS), len(schedule.asked) - 1),
            )
            governor = setting.governor(cell, load, schedule, service.max_replicas, arrivals)
            assert governor is not None
            service.expect(arrivals)
            alone = Alone(service, governor, now=since)
            alone.run(begin - since)
            before, hours = alone.scalings, [_seen(service, alone.now)]
            for _ in range(24):
                alone.run(HOUR)
                hours.append(_seen(service, alone.now))
            rows.append(self._row(setting, (cell, seed), hours, 0, alone.scalings - before))
        return rows

    def _row(
        self,
        setting: Setting,
        pair: Pair,
        hours: Sequence[tuple[int, int, float]],
        undecided: int,
        scalings: int,
    ) -> Row:
        cell, seed = pair
        offered = [b[0] - a[0] for a, b in pairwise(hours)]
        late = [b[1] - a[1] for a, b in pairwise(hours)]
        late[-1] += undecided
        of_hour = [bad / max(all_, 1) for bad, all_ in zip(late, offered, strict=True)]
        return Row(
            cell=cell.name,
            seed=seed,
            policy=setting.policy,
            knob=setting.knob,
            late=sum(late) / max(sum(offered), 1),
            cost=hours[-1][2] - hours[0][2],
            work=sum(offered) * cell.work_seconds,
            bound=None,
            worst_hour=max(of_hour),
            hours_above=sum(share > 0.01 for share in of_hour) / len(of_hour),
            scalings=scalings,
            configuration=self.configuration,
        )


def seed_of(cell: Simulated, seed: int) -> int:
    """Of its arrivals and the phase of its scrapes: others in every cell, for all policies the same."""
    return crc32(f"{cell.name} {seed}".encode())


def run_job(job: Job) -> list[Row]:
    """Run one job, in whichever process."""
    return job.run()


def _seen(service: Service, now: float) -> tuple[int, int, float]:
    """Offered, late and replica-seconds so far."""
    service.advance(now)
    counts = service.requests.counts
    return int(counts[Count.OFFERED]), int(counts[Count.LATE]), service.pods.cost_seconds(now)
