"""The Prometheus of a simulation: what it has scraped, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from autoscaler.signals.views import AnswerLike, Failure
from loadtests.simulator.evaluate import Evaluator
from loadtests.simulator.requests import Ints
from loadtests.simulator.scrapes import Values
from loadtests.simulator.store import Targets


@dataclass
class Prometheus:
    """All that is scraped, by the metrics that it exposes: gateways, and pods of each model server."""

    kinds: Sequence[Targets]
    _evaluator: Evaluator = field(init=False)

    def __post_init__(self) -> None:
        self._evaluator = Evaluator(self.kinds)

    def scrape(self, kind: int, rows: Ints, now: float, values: Values) -> None:
        """Add a sample to all series of these targets of a kind."""
        self.kinds[kind].scrape(rows, now, values)

    def clear(self, kind: int, rows: Ints) -> None:
        """Forget what these targets were, for others that begin anew."""
        self.kinds[kind].clear(rows)

    def end(self, kind: int, rows: Ints) -> None:
        """These targets are gone."""
        self.kinds[kind].end(rows)

    def answer(self, question: str, now: float) -> AnswerLike | Failure:
        """An instant query. Raises PromQLError for what is not in the part that is known."""
        return self._evaluator.answer(question, now)
