"""What the player does when: leaders are lost in their phase, people act when nobody is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from loadtests.demo.commands import REPOSITORY
from loadtests.demo.observation import RevisionReplicas, Snapshot
from loadtests.failover.cases import Case
from loadtests.failover.leaders import Leader, LeaderError
from loadtests.failover.phases import Course, Program
from loadtests.failover.played import Loss
from loadtests.failover.player import Player, service
from loadtests.record import Record
from serving_api.revision import revision_of
from serving_api.service import InferenceServiceSpec
from tests.loadtests.failover.courses import ABORTED, OLD, ONE, PROMOTED, READY, seen

pytestmark = pytest.mark.looptime


class Observed:
    """A service of which a moment after the other is observed, half a second each; it stays in some until told to go on."""

    def __init__(self, moments: Sequence[Snapshot], stays: Sequence[int] = ()) -> None:
        self.samples = [(0.0, moments[0])]
        self._left = list(moments[1:])
        self._stays = set(stays)

    @property
    def now(self) -> Snapshot:
        return self.samples[-1][1]

    def go_on(self) -> None:
        """Leave the moment in which it stays."""
        self._stays.discard(len(self.samples) - 1)

    async def until(self, holds: Callable[[Snapshot], bool], timeout_seconds: float) -> bool:
        await asyncio.sleep(min(0.1, timeout_seconds))
        return holds(self.now)

    async def pass_by(self) -> None:
        """Let the moments come."""
        while self._left:
            await asyncio.sleep(0.5)
            if len(self.samples) - 1 not in self._stays:
                self.samples.append((0.0, self._left.pop(0)))


class Pods:
    """Programs whose leaders are followed after a while."""

    def __init__(self, observed: Observed, takes_seconds: float) -> None:
        self.lost: list[tuple[Case, int]] = []
        """What was lost, and in which moment."""
        self.are_well = True
        self.fails = False
        self._observed, self._takes_seconds = observed, takes_seconds

    async def leader(self, program: Program) -> Leader:
        return Leader(f"{program}_1", program, 1, "127.0.0.1", 0)

    async def lose(self, case: Case, leader: Leader) -> Loss:
        if self.fails:
            raise LeaderError("nobody followed")
        self.are_well = False
        self.lost.append((case, len(self._observed.samples) - 1))
        await asyncio.sleep(self._takes_seconds)
        self.are_well = True
        return Loss(case, leader.identity, 1.0, 2.0)

    async def whole(self, program: Program) -> None:
        assert self.are_well, program

    async def refresh(self) -> None:
        """They have not been started again."""


class People:
    """Commands, and whether both programs were well when they were given."""

    def __init__(self, pods: Pods, observed: Observed) -> None:
        self.lines: list[str] = []
        self._pods, self._observed = pods, observed

    async def kubectl(self, line: str) -> str:
        assert self._pods.are_well, line
        self.lines.append(line)
        self._observed.go_on()
        return ""


class Load:
    """A load whose answers take a tenth of a second."""

    def __init__(self) -> None:
        self.records = [Record(1, 0, 0, 0.1, 200, "", "")]
        self.rates: list[float] = []

    def set_rate(self, rate_per_second: float) -> None:
        self.rates.append(rate_per_second)


class Scene:
    """A player, and all that it plays with."""

    def __init__(
        self,
        tmp_path: Path,
        moments: Sequence[Snapshot],
        stays: Sequence[int] = (),
        takes_seconds: float = 0.2,
    ) -> None:
        self.observed = Observed(moments, stays)
        self.pods = Pods(self.observed, takes_seconds)
        self.people = People(self.pods, self.observed)
        self.load = Load()
        self.player = Player(
            self.pods,  # type: ignore[arg-type]
            self.people,  # type: ignore[arg-type]
            self.load,  # type: ignore[arg-type]
            self.observed,  # type: ignore[arg-type]
            lambda _: None,
            tmp_path,
        )

    async def play(self, course: Course, *cases: Case) -> tuple[list[str], str, bool]:
        """The phases in which leaders were lost, the problem, and whether it ended."""
        passing = asyncio.create_task(self.observed.pass_by())
        played = await self.player.play(course, cases)
        passing.cancel()
        await asyncio.gather(passing, return_exceptions=True)
        return [loss.case.phase for loss in played.losses], played.problem, played.ending is not None


def operator(phase: str) -> Case:
    """The operator's leader is killed in a phase."""
    return Case(phase, "operator", "killed")


@pytest.mark.parametrize(
    ("course", "moments", "label"), [("promoted", PROMOTED, "promote"), ("aborted", ABORTED, "abort")]
)
async def test_a_course_is_led_to_its_end(
    tmp_path: Path, course: Course, moments: list[Snapshot], label: str
) -> None:
    """A new version is applied; when it has its step's share, a label decides."""
    scene = Scene(tmp_path, moments, stays=[5])

    assert await scene.play(course) == ([], "", True)
    assert [line.split()[0] for line in scene.people.lines] == ["apply", "-n"]
    assert f"serving-operator.dev/{label}=bbbbbbbb-2" in scene.people.lines[1]


async def test_leaders_are_lost_in_their_phases(tmp_path: Path) -> None:
    """In the moment in which the phase was first seen."""
    scene = Scene(tmp_path, PROMOTED, stays=[5])
    cases = [operator(phase) for phase in ("created", "written", "acknowledged", "committed", "deletion")]

    assert await scene.play("promoted", *cases) == ([case.phase for case in cases], "", True)
    assert [moment for _, moment in scene.pods.lost] == [1, 3, 4, 8, 9]


async def test_a_phase_that_is_over_is_left_out(tmp_path: Path) -> None:
    """While one leader is lost others cannot be, and nobody gives a label: the case is for another course."""
    scene = Scene(tmp_path, PROMOTED, stays=[5], takes_seconds=1.2)

    found = await scene.play("promoted", operator("created"), operator("capacity"), operator("deletion"))

    assert found == (["created", "deletion"], "", True)


async def test_a_label_waits_until_nobody_is_lost(tmp_path: Path) -> None:
    """Else who obeys it would depend on how long a take-over lasts."""
    scene = Scene(tmp_path, PROMOTED, stays=[5], takes_seconds=30)

    assert (await scene.play("promoted", operator("acknowledged")))[0] == ["acknowledged"]
    assert len(scene.people.lines) == 2


async def test_a_surge_is_a_load_that_almost_fills_the_replicas(tmp_path: Path) -> None:
    """More is asked of one replica than it can do in time, not more than it can do."""
    two = [RevisionReplicas(2, 1, 1), RevisionReplicas(2, 1, 2), RevisionReplicas(2, 2, 2)]
    moments = [ONE, ONE, *two, two[-1], RevisionReplicas(1, 2, 2), ONE]
    scene = Scene(tmp_path, [seen(replicas={OLD: one}, conditions=READY) for one in moments], stays=[4])
    lowered = asyncio.create_task(_go_on_when_lowered(scene))
    cases = [
        Case(phase, "autoscaler", "frozen") for phase in ("rise", "starting", "ready", "fall", "lowered")
    ]

    found = await scene.play("surge", *cases)
    await lowered

    assert found == ([case.phase for case in cases], "", True)
    assert scene.load.rates == [5.0, 7.0, 5.0]


async def _go_on_when_lowered(scene: Scene) -> None:
    while scene.load.rates[1:2] != [7.0] or scene.load.rates[-1] != 5.0:  # noqa: ASYNC110  (a list tells nobody)
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    scene.observed.go_on()


async def test_a_course_that_does_not_end_is_a_problem(tmp_path: Path) -> None:
    """It says how far it came."""
    scene = Scene(tmp_path, PROMOTED[:8])

    assert await scene.play("promoted") == ([], "not over after 300 s, last in phase promoted", False)


async def test_a_leader_whom_nobody_follows_is_a_problem(tmp_path: Path) -> None:
    """It says in which phase."""
    scene = Scene(tmp_path, PROMOTED)
    scene.pods.fails = True

    assert await scene.play("promoted", operator("written")) == (
        [],
        "in phase written: nobody followed",
        False,
    )


def test_versions_differ_in_their_revision_and_have_one_step() -> None:
    """Each is a valid service, as good as the demo's first version."""
    text = (REPOSITORY / "manifests/demo/service-v1.yaml").read_text()
    services = [
        InferenceServiceSpec.model_validate(service(yaml.safe_load(text), number)["spec"])
        for number in (1, 2)
    ]

    assert all([step.weight for step in one.rollout.steps] == [25] for one in services)
    assert len({revision_of(one.predictor) for one in services}) == 2
