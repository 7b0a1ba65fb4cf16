"""The items of a campaign in order, carried out by some processes, noted one a line so that a campaign goes on."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import multiprocessing
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

from localcluster.versions import KUBERNETES
from tests.campaign import classes, model, mutants
from tests.campaign.backing import Backings, in_memory
from tests.campaign.plan import Plan
from tests.campaign.real.backing import OnServer
from tests.campaign.real.connection import Address
from tests.campaign.rig import Outcome, known_reference, quiet, run
from tests.campaign.scenarios import SCENARIOS
from tests.campaign.shrink import shrunk

CLASSES = (
    "crashes", "late", "deposed", "pairs", "faulted", "stale", "unobserved", "sequences", "model", "mutants",
)  # fmt: skip
JOBS = 2
AHEAD = 8
ROOT = Path(__file__).parents[2]
FAKE, REAL = "fake", "real"


class Item(NamedTuple):
    """Class, what is to be run (a plan as JSON, a chunk of the model, a mutant), and on which API server."""

    name: str
    text: str
    on: str = FAKE


def items(
    only: Iterable[str] = CLASSES, limit: int | None = None, real_percent: float | None = None
) -> Iterator[Item]:
    """Everything that makes the campaign, `limit` of each class, drawn over all scenarios.

    With `real_percent`, all crashes and so much of each other class, mutants aside, is for a real API server.
    """
    for name in only:
        made = list(_items(name))
        real = set() if real_percent is None else _for_real(name, made, real_percent)
        if limit is not None and len(made) > limit:
            random.Random(f"limit {name}").shuffle(made)
            made = made[:limit]
        yield from (Item(name, text, REAL if text in real else FAKE) for text in made)


def _for_real(name: str, made: list[str], percent: float) -> set[str]:
    if name == "mutants":
        return set()
    if name == "crashes":
        return set(made)
    return set(random.Random(f"real {name}").sample(made, math.ceil(len(made) * percent / 100)))


def _items(name: str) -> Iterator[str]:
    if name == "mutants":
        yield from mutants.MUTANTS
    elif name == "model":
        yield from map(str, range(-(-classes.MODEL_RUNS // classes.MODEL_CHUNK)))
    elif name == "sequences":
        yield from (classes.sequences(index).text() for index in range(classes.SEQUENCES))
    else:
        drawn: Callable[[str], Iterator[Plan]] = getattr(classes, name)
        for scenario in SCENARIOS:
            yield from (plan.text() for plan in drawn(scenario))


def carried_out(item: Item, server: Address | None = None) -> dict[str, Any]:
    """Run one item; the answer is its line in the notes."""
    began = time.process_time()
    noted = {"class": item.name, "item": item.text, "on": item.on} | _came_of(item, server)
    return noted | {"took": round(time.process_time() - began, 1)}


def _came_of(item: Item, server: Address | None) -> dict[str, Any]:
    backings: Backings = in_memory
    if item.on == REAL:
        assert server is not None
        backings = OnServer(server)
    play = functools.partial(run, backings=backings)
    with quiet():
        if item.name == "mutants":
            return {"killed": mutant_killed(item.text)}
        if item.name == "model":
            ran = model.chunk(int(item.text), classes.MODEL_CHUNK, play)
            lag = {"lag": round(ran.lag_seconds, 1)}
            return {"runs": ran.runs} | lag | _failed(item, ran.failed[0] if ran.failed else None)
        outcome = play(Plan.parse(item.text))
        noted: dict[str, Any] = {"runs": 1, "lag": round(outcome.lag_seconds, 1)}
        if item.name != "sequences":
            noted["missed"] = outcome.reached < outcome.plan.happenings
        if outcome.problems:
            noted |= _failed(item, shrunk(outcome, play), outcome)
        return noted


def _failed(item: Item, smallest: Outcome | None, whole: Outcome | None = None) -> dict[str, Any]:
    if smallest is None:
        return {}
    whole = whole or smallest
    return {
        "converged": whole.converged,
        "broken": len(whole.broken),
        "problems": list(smallest.problems),
        "plan": smallest.plan.text(),
        "fails_on_fake": item.on == FAKE or bool(run(smallest.plan).problems),
    }


FIRST = (
    "label-promote",
    "abort",
    "retry",
    "v3-during-v2",
    "name-collision",
    "stable-crash",
    "service-deleted",
)
"""What is run first on each mutant: most of what is wrong shows here."""


def short_set() -> list[Plan]:
    """A few plans that between them see most of what can be wrong: what is run on each mutant."""
    chance = random.Random("short set")
    plans = [Plan(name) for name in sorted(SCENARIOS, key=lambda name: (name not in FIRST, name))]
    for name in FIRST[:4]:
        late = list(classes.late(name))
        plans += [plan for plan in late if plan.faults[0].resource == "httproutes"]
        plans += chance.sample(late, 1)
        plans += chance.sample(list(classes.crashes(name)), 3)
        plans += chance.sample(
            [p for p in classes.faulted(name) if p.faults[0].action in ("500", "reset")], 2
        )
        plans += chance.sample(list(classes.stale(name)), 2)
    plans += itertools.islice(classes.deposed("label-promote"), 2)
    for what in ("deployment", "service", "spec"):
        plans.append(Plan("label-promote", acts=((what, 20.0),)))
    plans += [Plan("create", acts=(("status", 14.0),)), Plan("template-change", acts=(("status", 26.0),))]
    # Two events of one kind in the wrong order, and a watch that comes back from the past.
    plans += [
        Plan("abort", faults=(fault, classes.REWOUND)) for fault in classes.crashed("abort", "httproutes")
    ]
    return plans


def mutant_killed(name: str) -> str | None:
    """The first thing that the short set says against a mutant, or None. References are those of the right operator."""
    plans = short_set()
    for scenario in SCENARIOS:
        known_reference(scenario)  # here, before anything is wrong
    with mutants.applied(name):
        for plan in plans:
            try:
                outcome = run(plan)
            except Exception as error:
                return f"{plan.text()}: {error!r}"[:400]
            if outcome.problems:
                return f"{plan.text()}: {outcome.problems[0]}"[:400]
    return None


def digest() -> str:
    """What the notes hold for: the operator, its CRDs, the fake and the campaign as they are, and which API server."""
    found = hashlib.sha256(KUBERNETES.encode())
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        found.update(path.read_bytes())
    for folder in ("serving_api", "serving_io", "serving_operator", "tests/campaign", "tests/fakes"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.name.startswith("test_") and path.name not in ("__main__.py", "report.py"):
                found.update(path.read_bytes())
    return found.hexdigest()[:16]


class Notes:
    """`results.jsonl`: what has been run already, as long as the code is the same."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "results.jsonl"
        self._lines: dict[tuple[str, str], dict[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            first, *rest = self.path.read_text().splitlines() or [""]
            if first == json.dumps({"code": digest()}):
                for line in filter(None, map(_read, rest)):
                    self._keep(line)
                return
        self.path.write_text(json.dumps({"code": digest()}) + "\n")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """One for each item: of one that ran on both API servers, that of the real one."""
        return list(self._lines.values())

    def has(self, item: Item) -> bool:
        """Whether an item need not be run again. What ran on the real API server need not run on the fake."""
        line = self._lines.get((item.name, item.text))
        return line is not None and line["on"] in (item.on, REAL)

    def add(self, line: dict[str, Any]) -> None:
        """Note one item."""
        self._keep(line)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _keep(self, line: dict[str, Any]) -> None:
        self._lines[line["class"], line["item"]] = line


def work(todo: Iterable[Item], jobs: int = JOBS, server: Address | None = None) -> Iterator[dict[str, Any]]:
    """Carry out items side by side; yields each when it is done. Ends with what runs when it is interrupted."""
    if jobs == 1:
        yield from (carried_out(item, server) for item in todo)
        return
    left = iter(todo)
    for scenario in SCENARIOS:
        known_reference(scenario)  # the processes inherit them
    forked = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, forked, initializer=_ignore_interrupts) as pool:
        running: set[Future[dict[str, Any]]] = set()
        try:
            while True:
                while len(running) < AHEAD * jobs and (item := next(left, None)) is not None:
                    running.add(pool.submit(carried_out, item, server))
                if not running:
                    return
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _read(text: str) -> dict[str, Any] | None:
    try:
        line: dict[str, Any] = json.loads(text)
    except ValueError:
        return None  # half a line: the campaign was killed while it wrote
    return line
