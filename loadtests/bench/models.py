"""The cells of other service models: what their names stand for, their work, and what their oracle knows."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from loadtests.bench.carried import late_share
from loadtests.bench.cells import PERCENT, STEP_SECONDS, Matrix, known_rate_schedule, rates_of, room_for
from loadtests.bounds.cost import Ints
from loadtests.bounds.curve import ALLOWED, Curve, measured
from loadtests.bounds.oracle import Schedule, clairvoyant
from loadtests.simulator.batched import BatchedRequests
from loadtests.simulator.engine import NO_TOKENS, Engine, Tokens, efficient_batch, service_seconds
from loadtests.simulator.gateway import Gateway
from loadtests.simulator.published import (
    ENCODER,
    IMAGE_VARIATION,
    LLAMA_70B,
    MODEL_LOAD_SECONDS,
    SERVEGEN_LARGE,
)
from loadtests.simulator.requests import Routing
from loadtests.simulator.service import Load, Service
from loadtests.simulator.starts import (
    Starts,
    bimodal_start,
    crowded,
    empirical_start,
    failing,
    fixed_start,
    lognormal_start,
)

MODELS = Path(__file__).parents[1] / "models.toml"
TRIED_REQUESTS, TRIED_OBJECTIVES = 40_000, 100
"""How many requests, and for how many times the objective, it is tried at the least what replicas carry: queues form slowly."""
START_SHARE = 0.95
"""An oracle asks for pods so early that this share of them is ready in time."""


@dataclass(frozen=True)
class Model:
    """A kind of service. `engine` None: one request after another."""

    profile: str
    objective_seconds: float
    timeout_seconds: float
    engine: Engine | None = None
    tokens: Tokens | None = None
    item: float = 1.0
    """Mean size of a request's work; of pods without an engine, in seconds."""
    variation: float = 0.0
    chunk_seconds: float = 3600.0

    @property
    def concurrency(self) -> int:
        """The batch that serves most within the objective."""
        engine, tokens = self.engine or Engine(), self.tokens or NO_TOKENS
        return efficient_batch(engine, self.objective_seconds, tokens, self.item)

    @property
    def work_seconds(self) -> float:
        """Time of a pod that a request takes in that batch."""
        engine, tokens = self.engine or Engine(), self.tokens or NO_TOKENS
        return service_seconds(engine, self.concurrency, tokens, self.item)

    def load(self, rates: np.ndarray, step_seconds: float) -> Load:
        """At these rates."""
        return Load(rates, step_seconds, self.item, self.variation**2, self.tokens, self.chunk_seconds)


HALF_A_CPU = Engine(cpu_share=0.5)
KINDS: Mapping[str, Model] = {
    "encoder": Model("triton", 0.1, 15.0, ENCODER, chunk_seconds=300.0),
    "llm": Model("vllm", 60.0, 120.0, LLAMA_70B, SERVEGEN_LARGE),
    "long-jobs": Model("mlserver", 600.0, 1800.0, item=120.0, variation=IMAGE_VARIATION),
    "cpu-limit-100ms": Model("mlserver", 2.0, 15.0, HALF_A_CPU, item=0.2, variation=0.5),
    "cpu-limit-10ms": Model("mlserver", 2.0, 15.0, HALF_A_CPU._replace(period_seconds=0.01), item=0.2, variation=0.5),
}  # fmt: skip
STARTS: Mapping[str, Starts] = {
    "fixed": fixed_start(60.0),
    "lognormal": lognormal_start(60.0),
    "model-load": empirical_start(MODEL_LOAD_SECONDS, before_seconds=20.0),
    "bimodal": bimodal_start(60.0, 300.0, new_share=0.3),
    "crowded": crowded(fixed_start(60.0), per_other=0.1),
    "failing": failing(lognormal_start(60.0), failed_share=0.05),
}
GATEWAYS: Mapping[str, Gateway] = {
    "least-request": Gateway(),
    "round-robin": Gateway(Routing.ROUND_ROBIN),
    "two-choices": Gateway(Routing.TWO_CHOICES),
    "two-gateways": Gateway(replicas=2),
    "retry": Gateway(retries=1),
}


@cache
def gateway_of(kind: str, gateway: str) -> Gateway:
    """With the patience that the model's requests need."""
    return replace(GATEWAYS[gateway], timeout_seconds=KINDS[kind].timeout_seconds)


@cache
def curve_of(kind: str, gateway: str, allowed: float = ALLOWED) -> Curve:
    """What replicas of a model carry behind a gateway."""
    model = KINDS[kind]
    load = model.load(np.zeros(1), 1.0)

    def late(replicas: int, rate: float) -> float:
        random = np.random.default_rng(1)
        count = max(TRIED_REQUESTS, int(TRIED_OBJECTIVES * model.objective_seconds * rate))
        times = np.cumsum(random.exponential(1 / rate, count))
        sizes = load.sizes(random, count)
        tried = BatchedRequests(
            replicas, model.objective_seconds, 1.0, model.engine or Engine(), gateway_of(kind, gateway)
        )
        return late_share(tried, times, sizes, model.timeout_seconds)

    return measured(late, 1 / model.work_seconds, allowed)


@cache
def lead_seconds(starts: str) -> float:
    """How long before its need an oracle asks for a pod: beside two others."""
    random = np.random.default_rng(1)
    return float(np.quantile([STARTS[starts](random, 3) for _ in range(1000)], START_SHARE))


@dataclass(frozen=True)
class ModelCell:
    """One model under one load, with its starts, behind a gateway. Raises KeyError for a name that is not known."""

    model: str
    trace: str
    mean_work: float
    starts: str
    gateway: str

    def __post_init__(self) -> None:
        for name, known in ((self.model, KINDS), (self.starts, STARTS), (self.gateway, GATEWAYS)):
            if name not in known:
                raise KeyError(f"{name}: known are {', '.join(known)}")

    @property
    def alone(self) -> bool:
        """Some work on many at a time, and some gateways try again."""
        return False

    @property
    def name(self) -> str:
        """Its place among all, readable."""
        return f"{self.model}/{self.trace}/a={self.mean_work:g}/start={self.starts}/{self.gateway}"

    @property
    def concurrency(self) -> int:
        """The batch that serves most within the objective."""
        return KINDS[self.model].concurrency

    @property
    def work_seconds(self) -> float:
        """Time of a pod that a request takes in that batch."""
        return KINDS[self.model].work_seconds

    def load(self, seed: int, days: int) -> Load:
        """Its load for so many days from the trace's first."""
        return KINDS[self.model].load(*rates_of(self.trace, seed, self.mean_work / self.work_seconds, days))

    def schedule(self, load: Load, allowed: float = ALLOWED) -> Schedule:
        """What its known-rate oracle does that allows this late fraction wherever the rate is constant."""
        smallest = curve_of(self.model, self.gateway, allowed).smallest
        return known_rate_schedule(load, lead_seconds(self.starts), smallest)

    def hindsight(self, counts: Ints, window_steps: int, headroom: float) -> Schedule:
        """What somebody does who knows the requests that do come: `counts` in each step."""
        smallest = curve_of(self.model, self.gateway).smallest
        return clairvoyant(counts, window_steps, headroom, STEP_SECONDS, lead_seconds(self.starts), smallest)

    def service(self, name: str, seed: int, load: Load, schedule: Schedule, step: int = 0) -> Service:
        """The service, with as many replicas as the schedule has in a step."""
        model = KINDS[self.model]
        largest, slots = room_for(schedule)
        return Service(
            name,
            load,
            model.objective_seconds,
            STARTS[self.starts],
            slots=slots,
            gateway=gateway_of(self.model, self.gateway),
            engine=model.engine,
            profile=model.profile,
            initial_replicas=int(schedule.asked[step]),
            max_replicas=largest,
            percent=PERCENT,
            seed=seed,
        )


def read_models(path: Path = MODELS, largest_work: float = float("inf")) -> Matrix[ModelCell]:
    """The cells of a file, without those of more work. Raises KeyError for an entry that is missing or a name unknown."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    cells = []
    for table in found["cells"]:
        lists = (table[name] for name in ("models", "traces", "mean_work", "starts", "gateways"))
        for model, trace, work, starts, gateway in product(*lists):
            if work <= largest_work:
                cells.append(ModelCell(model, trace, work, starts, gateway))
    return Matrix(tuple(cells), found["seeds"], found["history_days"])
