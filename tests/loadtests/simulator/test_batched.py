"""Pods that work on several requests at once: what arithmetic and queueing theory say must come out."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.simulator.batched import BatchedRequests, Sizes
from loadtests.simulator.engine import Engine, Tokens, iteration_seconds, service_seconds
from loadtests.simulator.gateway import Gateway
from loadtests.simulator.quantiles import Quantiles
from loadtests.simulator.requests import Count, Requests, Routing
from tests.loadtests.simulator.test_requests import offered

PATIENT = Gateway(timeout_seconds=1e6)
ENCODER = Engine(fixed_seconds=0.02, seconds_per_item=0.01, largest_batch=16)


def alike(count: int, inputs: float = 0.0, outputs: float = 1.0) -> Sizes:
    """Requests of one size."""
    return np.ones(count), np.full(count, inputs), np.full(count, outputs)


def at_once(engine: Engine, sizes: Sizes, gateway: Gateway = PATIENT) -> BatchedRequests:
    """All of them offered to one pod at the same time, and worked off."""
    requests = BatchedRequests(1, 1e6, engine=engine, gateway=gateway)
    requests.start(0, 0.0)
    requests.advance(np.zeros(len(sizes[0])), sizes, 1e5)
    return requests


@pytest.mark.parametrize(
    "routing", [Routing.LEAST_REQUEST, Routing.ROUND_ROBIN, Routing.TWO_CHOICES], ids=lambda one: one.name
)
def test_batches_of_one_are_one_after_another(routing: Routing) -> None:
    """The loop over iterations and the one over arrivals give the same numbers, request by request."""
    times, work = offered(45, 20, 0.25)
    quick = Requests(4, 0.3, timeout_seconds=1e6, routing=routing, seed=5)
    other = BatchedRequests(4, 0.3, gateway=Gateway(routing, timeout_seconds=1e6), seed=5)
    for pod in range(3):
        quick.start(pod, 0.0)
        other.start(pod, 0.0)
    for begin, until in ((0.0, 5.0), (5.0, 11.3), (11.3, 1000.0)):
        now = (begin <= times) & (times < until)
        quick.advance(times[now], work[now], until)
        other.advance(times[now], (work[now], np.zeros(now.sum()), np.ones(now.sum())), until)
        known = [count for count in Count if count is not Count.LATE]
        assert other.counts[known].tolist() == quick.counts[known].tolist()
        assert other.lines["done"].tolist() == quick.done.tolist()
        assert other.answer_seconds == pytest.approx(quick.answer_seconds)
        assert other.lines["worked_seconds"] == pytest.approx(quick.worked_seconds)
    assert other.counts[Count.LATE] == quick.counts[Count.LATE] > 0, (
        "known when it ends here, beforehand there"
    )


@pytest.mark.parametrize("retries", [0, 1, 2])
@pytest.mark.parametrize("replicas", [1, 2])
def test_every_request_is_counted_once(retries: int, replicas: int) -> None:
    """What is offered is sent, refused, answered or given up, and what was sent is worked off, in demand above capacity."""
    times, work = offered(60, 20, 0.25)
    gateway = Gateway(replicas=replicas, timeout_seconds=1.5, retries=retries, retrying=20)
    requests = BatchedRequests(5, 0.5, gateway=gateway)
    requests.advance(times[:10], (work[:10], np.zeros(10), np.ones(10)), times[10])
    for pod in range(4):
        requests.start(pod, times[10])
    rest = len(times) - 10
    requests.advance(times[10:], (work[10:], np.zeros(rest), np.ones(rest)), times[-1] + 1000)
    counts = requests.counts
    refused = counts[Count.UNROUTED] + counts[Count.OVERFLOWN]
    assert counts[Count.OFFERED] == len(times) == counts[Count.DISPATCHED] + refused - counts[Count.RETRIED]
    assert counts[Count.UNROUTED] == 10
    assert counts[Count.LATE] == counts[Count.OFFERED] - counts[Count.ON_TIME]
    assert counts[Count.TIMED_OUT] > 0
    assert (counts[Count.RETRIED] > 0) == (retries > 0)
    assert requests.lines["done"].sum() == counts[Count.DISPATCHED]
    assert (requests.in_flight, requests.waiting.sum()) == (0, 0)
    assert np.all(requests.free_at[:4] < 1e4)


def test_a_saturated_pod_serves_full_batches() -> None:
    """B requests in t0 + t1 B seconds, whatever waits."""
    found = at_once(ENCODER, alike(160))
    assert found.free_at[0] == pytest.approx(10 * (0.02 + 0.01 * 16))
    assert found.free_at[0] / 160 == pytest.approx(service_seconds(ENCODER, 16))
    assert found.lines["worked_seconds"][0] == pytest.approx(160 * 0.18), (
        "each is counted all of its batch's time"
    )
    assert found.lines["busy_seconds"][0] == pytest.approx(10 * 0.18)


def test_a_batch_is_waited_for_no_longer_than_the_delay() -> None:
    """Alone a request waits for all of it, and not at all once the batch is full; a busy pod's time counts too."""
    engine = ENCODER._replace(largest_batch=2, delay_seconds=0.5)
    requests = BatchedRequests(1, 1e6, engine=engine, gateway=PATIENT)
    requests.start(0, 0.0)
    stays = []
    for times in ([1.0], [3.0, 3.2], [5.0, 5.0, 5.01]):
        before = requests.lines["stayed_seconds"][0]
        requests.advance(np.array(times), alike(len(times)), times[-1] + 1.5)
        stays.append(requests.lines["stayed_seconds"][0] - before)
    assert stays[0] == pytest.approx(0.5 + 0.03)
    assert stays[1] == pytest.approx(0.2 + 0.04 + 0.04)
    assert stays[2] == pytest.approx(0.04 + 0.04 + 0.5 + 0.03), "the third waits for a fourth"


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_dynamic_batches_take_as_long_as_theory_says(load: float) -> None:
    """Mean response of a server that takes all that waits in a + t seconds for each and for the batch.

    Source: Inoue, Queueing Analysis of GPU-Based Inference Servers with Dynamic Batching (2021, arXiv 1912.06322): the lesser
    of two closed forms, which bounds the mean and was found close to it.
    """
    each, fixed = 0.01, 0.02
    rate = load / each
    one = (each + fixed) / (2 * (1 - load)) * (1 + 2 * rate * fixed + (1 - rate * fixed) / (1 + load))
    other = 1.5 * fixed / (1 - load) + each / 2 * (load + 2) / (1 - load**2)
    times = np.cumsum(np.random.default_rng(1).exponential(1 / rate, 6000))
    requests = BatchedRequests(1, 1e6, engine=Engine(fixed, each, largest_batch=400), gateway=PATIENT)
    requests.start(0, 0.0)
    requests.advance(times, alike(len(times)), times[-1] + 100)
    mean = requests.answer_seconds[0] / len(times)
    assert 0.9 <= mean / min(one, other) <= 1.03


LLM = Engine(
    fixed_seconds=0.02,
    seconds_per_item=0.0005,
    seconds_per_input_token=1e-4,
    seconds_per_cached_token=1e-6,
    largest_batch=8,
    iteration_tokens=10_000,
)


def test_answers_are_written_together_token_by_token() -> None:
    """Eight at a time: an iteration reads all prompts, every one adds a token to each answer, and the cache grows."""
    inputs, outputs = 100, 50
    found = at_once(LLM, alike(8, inputs, outputs))
    cached = np.arange(inputs, inputs + outputs)
    whole = outputs * (0.02 + 8 * 0.0005) + 8 * inputs * 1e-4 + 8 * cached.sum() * 1e-6
    assert found.lines["stayed_seconds"][0] / 8 == pytest.approx(whole)
    same = Tokens(Quantiles((0, 1), (inputs, inputs)), Quantiles((0, 1), (outputs, outputs)))
    assert iteration_seconds(LLM, 8, same) == pytest.approx(whole / outputs), (
        "the mean time between two tokens"
    )
    many = at_once(LLM, alike(80, inputs, outputs))
    assert many.free_at[0] / 80 == pytest.approx(service_seconds(LLM, 8, same)), "saturated"
    assert (found.lines["cached"][0], found.lines["promised"][0]) == (0, 0)


def test_who_is_answered_makes_room_for_the_next() -> None:
    """Of unequal answers: the throughput of a pod where eight run all the time, by the means."""
    tokens = Tokens(Quantiles((0, 1), (20, 180)), Quantiles((0, 0.5, 1), (1, 30, 100)))
    random = np.random.default_rng(3)
    sizes = (np.ones(500), *tokens.draw(random, 500))
    found = at_once(LLM, sizes)
    drawn = Tokens(Quantiles((0, 1), (sizes[1].mean(),) * 2), tokens.outputs)
    assert found.free_at[0] / 500 == pytest.approx(service_seconds(LLM, 8, drawn), rel=0.05)


def test_a_long_prompt_is_read_in_parts() -> None:
    """As many tokens as an iteration may have, beside one for each answer under way; the first token comes with the last part."""
    engine = LLM._replace(iteration_tokens=40, seconds_per_cached_token=0.0)
    alone = at_once(engine, alike(1, 100, 3))
    assert alone.lines["stayed_seconds"][0] == pytest.approx(5 * 0.0205 + 100 * 1e-4), (
        "two more for two more tokens"
    )
    first, second = np.array([10.0, 100.0]), np.array([4.0, 1.0])
    both = at_once(engine, (np.ones(2), first, second))
    # The second is read by 30, 39 and 31: beside the first's ten, then beside its second and third token.
    assert both.free_at[0] == pytest.approx(4 * 0.02 + (2 + 2 + 2 + 1) * 0.0005 + 110 * 1e-4)


def test_the_cache_limits_who_runs() -> None:
    """Two of 150 tokens fit into 300, although eight may run; whoever has more than all of it runs alone."""
    engine = LLM._replace(cache_tokens=300, seconds_per_input_token=0.0, seconds_per_cached_token=0.0)
    assert at_once(engine, alike(6, 100, 50)).free_at[0] == pytest.approx(3 * 50 * 0.021)
    assert at_once(engine, alike(2, 400, 50)).free_at[0] == pytest.approx(2 * 50 * 0.0205)


@pytest.mark.parametrize(("period", "alone"), [(0.1, 0.03), (0.01, 0.055)])
def test_a_cpu_limit_stretches_work_under_load(period: float, alone: float) -> None:
    """At half a share, thirty milliseconds alone take as long as without in periods of 100, and twice as long under load."""
    engine = Engine(cpu_share=0.5, period_seconds=period)
    work = np.full(200, 0.03), np.zeros(200), np.ones(200)
    assert at_once(engine, tuple(column[:1] for column in work)).free_at[0] == pytest.approx(alone)  # type: ignore[arg-type]
    saturated = at_once(engine, work)
    assert saturated.free_at[0] == pytest.approx(200 * 0.03 / 0.5, rel=0.01)
    assert saturated.lines["worked_seconds"][0] / 200 == pytest.approx(0.06, rel=0.02), (
        "as the pod's own clock tells it"
    )


def test_a_request_is_tried_again_elsewhere_and_its_first_pod_works_on() -> None:
    """After half the time-out, with Envoy's counters: the retry is an arrival less, and the answer's time is the client's."""
    requests = BatchedRequests(2, 5.0, gateway=Gateway(timeout_seconds=10.0, retries=1))
    requests.start(0, 0.0)
    requests.advance(np.array([1.0]), (np.array([60.0]), np.zeros(1), np.ones(1)), 2.0)
    requests.start(1, 2.0)
    requests.advance(np.zeros(0), (np.zeros(0),) * 3, 5.9)  # type: ignore[arg-type]
    assert (requests.counts[Count.RETRIED], requests.in_flight) == (0, 1)
    requests.advance(np.zeros(0), (np.zeros(0),) * 3, 200.0)  # type: ignore[arg-type]
    counts = requests.counts
    assert (counts[Count.DISPATCHED], counts[Count.RETRIED], counts[Count.TIMED_OUT]) == (2, 1, 1)
    assert (counts[Count.OFFERED], counts[Count.LATE], counts[Count.RESPONDED]) == (1, 1, 0)
    assert requests.lines["done"].tolist() == [1, 1], "given up twice, and worked on both times"
    assert requests.free_at.tolist() == [61.0, 66.0]


def test_no_more_are_tried_again_than_the_gateway_allows() -> None:
    """The others fail when their first try is over, so that a stuck service is not asked twice by everybody."""
    gateway = Gateway(timeout_seconds=10.0, retries=1, retrying=3)
    found = at_once(Engine(), (np.full(20, 100.0), np.zeros(20), np.ones(20)), gateway)
    counts = found.counts
    assert (counts[Count.RETRIED], counts[Count.TIMED_OUT], counts[Count.LATE]) == (3, 3, 20)
    assert found.lines["done"][0] == 23


def test_replicas_of_the_gateway_know_of_their_own_requests_alone() -> None:
    """So more are late behind two than behind one, at a load that one spreads well."""
    times, work = offered(0.8 * 4 / 0.1, 500, 0.25)
    late = []
    for replicas in (1, 2):
        requests = BatchedRequests(4, 0.5, gateway=Gateway(replicas=replicas), seed=2)
        for pod in range(4):
            requests.start(pod, 0.0)
        requests.advance(times, (work, np.zeros(len(times)), np.ones(len(times))), times[-1] + 100)
        late.append(requests.counts[Count.LATE] / len(times))
        shares = requests.counts_by_replica[:, Count.OFFERED] / len(times)
        assert shares == pytest.approx(np.full(replicas, 1 / replicas), abs=0.03)
    assert late[1] > 1.3 * late[0] > 0


def test_a_stopped_pod_is_free_when_it_has_worked_off_what_it_holds() -> None:
    """Not before: until then nobody knows when that will be."""
    requests = BatchedRequests(1, 5.0, engine=ENCODER)
    requests.start(0, 0.0)
    requests.advance(np.array([1.0]), alike(1), 1.01)
    requests.stop(0)
    assert requests.free_at[0] == np.inf
    requests.advance(np.array([1.02]), alike(1), 2.0)
    assert requests.free_at[0] == pytest.approx(1.03)
    assert requests.counts[Count.UNROUTED] == 1


def test_a_gpu_tells_for_how_long_it_ran() -> None:
    """Of the time since it was last asked, a batch that runs still included."""
    requests = at_once(Engine(largest_batch=1), (np.full(2, 10.0), np.zeros(2), np.ones(2)))
    assert requests.busy_ratio(np.array([0]), 100.0)[0] == pytest.approx(0.2)
    requests.advance(np.array([1e5 + 5]), (np.full(1, 10.0), np.zeros(1), np.ones(1)), 1e5 + 10)
    requests.busy_ratio(np.array([0]), 1e5)
    assert requests.busy_ratio(np.array([0]), 1e5 + 10)[0] == pytest.approx(0.5)


def test_pooled_requests_are_refused() -> None:
    """Pods have queues here."""
    with pytest.raises(ValueError, match="pooled"):
        BatchedRequests(1, 1.0, gateway=Gateway(Routing.POOLED))
