"""Questions, exporters and readers for the tests of evidence; time begins at T0, which is on the grid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from serving_api.names import ServiceKey
from serving_operator.evidence.questions import Question
from serving_operator.evidence.reader import EvidenceReader
from serving_operator.evidence.reading import SETTLE_SECONDS
from serving_operator.judge.verdict import limits_of
from serving_operator.judge.windows import Evidence
from tests.fakes.prometheus import FakePrometheus, Labels, page

T0 = 1_800_000_000
KEY = ServiceKey("demo", "digits")
STABLE, CANARY = "aaaa1111", "bbbb2222"
PAGES = Path(__file__).parent / "pages"
QUESTION = Question(
    key=KEY,
    attempt=f"{CANARY}-2",
    canary=CANARY,
    stable=STABLE,
    source="envoy-gateway",
    profiles=("gateway", "gateway"),
    threshold_milliseconds=300,
    window_seconds=60,
    started_at=datetime.fromtimestamp(T0, UTC),
    limits=limits_of(99),
)


def recorded(name: str) -> dict[Labels, float]:
    """A recorded metrics page."""
    return page((PAGES / name).read_text())


def pod(revision: str, suffix: str = "x7k2p", instance: str = "10.0.0.1:8082", **more: str) -> dict[str, str]:
    """The labels that Prometheus gives a pod's series."""
    name = f"{KEY.name}-{revision}-5d4f9c8b7-{suffix}"
    return {
        "job": "serving-pods",
        "namespace": KEY.namespace,
        "pod": name,
        "instance": instance,
        "container": "model",
    } | more


@dataclass
class Clock:
    """Time that moves when told to."""

    seconds: float = T0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Desk:
    """A reader, its Prometheus, and the services that it said have changed."""

    prometheus: FakePrometheus = field(default_factory=FakePrometheus)
    clock: Clock = field(default_factory=Clock)
    changed: list[ServiceKey] = field(default_factory=list)
    matcher: str = ""
    reader: EvidenceReader = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process: nothing is remembered."""
        self.reader = EvidenceReader(
            self.prometheus, matcher=self.matcher, changed=self.changed.append, now=self.clock
        )

    async def read(self, at: float, question: Question = QUESTION) -> Evidence:
        """What is known of a question after a round at a time."""
        self.clock.seconds = at
        self.reader.track(question.key, question)
        await self.reader.round()
        evidence = self.reader.evidence(question.key)
        assert evidence is not None
        return evidence


def after(windows: int, question: Question = QUESTION) -> float:
    """When so many windows may be read."""
    return question.window(windows - 1)[1] + SETTLE_SECONDS


def of_source(source: str, profile: str = "gateway") -> Question:
    """The question, asked of another source."""
    return replace(QUESTION, source=source, profiles=(profile, profile))
