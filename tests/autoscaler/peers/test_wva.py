"""llm-d's autoscaler: spare capacity, tokens, freezing, and the HPA that follows."""

import pytest

from autoscaler.peers.signals import PodLoad, Replicas
from autoscaler.peers.wva import WvaSaturation, WvaState, WvaTokens
from tests.autoscaler.peers.fixed import Fixed


def pods(*loads: tuple[float, float]) -> list[PodLoad]:
    """KV usage and queue of each pod."""
    return [PodLoad(kv_usage, queued) for kv_usage, queued in loads]


@pytest.mark.parametrize(
    ("loads", "step", "why"),
    [
        ([(0.5, 0), (0.5, 0)], 0, "spare 0.3, but one would be full"),
        ([(0.75, 0), (0.75, 0)], 1, "spare 0.05 of the KV cache is less than 0.1"),
        ([(0.2, 2), (0.2, 3)], 1, "spare 2.5 of the queue is less than 3"),
        ([(0.2, 2), (0.2, 2)], 0, "spare 3 is not, but one pod could not take a queue of 4"),
        ([(0.8, 0), (0.2, 0)], 0, "a saturated pod is no measure of spare, nor of what may go"),
        ([(0.8, 0), (0.9, 5)], 1, "all saturated: nothing to spare"),
        ([(0.2, 5), (0.2, 0)], 0, "a queue of five is saturation too"),
        ([(0.3, 1), (0.3, 1)], -1, "one pod would have spare 0.2 and 3"),
        ([(0.4, 0), (0.3, 0)], -1, "spare 0.1 is left, exactly"),
        ([(0.4, 0), (0.31, 0)], 0, "a little less is too little"),
        ([(0.1, 0)], 0, "the last of those not saturated stays"),
        ([(0.1, 0), (0.1, 0), (0.9, 9)], -1, "the load of the saturated is not moved"),
    ],
)
def test_saturation(loads: list[tuple[float, float]], step: int, why: str) -> None:
    """Thresholds as published, on round numbers."""
    assert WvaSaturation(0.8).step(pods(*loads)) == step, why


FULL = ((0.9, 9.0),) * 3


@pytest.mark.parametrize(
    ("desired", "replicas", "metrics", "emitted", "why"),
    [
        (3, Replicas(3, 3, 0), FULL, 4, "settled: one more"),
        (None, Replicas(3, 3, 0), FULL, 4, "so is a controller that just started"),
        (4, Replicas(3, 3, 0), FULL, 4, "frozen: the last step is not yet made"),
        (4, Replicas(4, 3, 1), FULL, 4, "frozen: a pod without metrics is still starting"),
        (2, Replicas(3, 3, 0), FULL, 2, "frozen, even if the last step was the wrong one"),
        (3, Replicas(3, 3, 0), ((0.1, 0.0),) * 3, 2, "one fewer"),
        (1, Replicas(1, 1, 0), ((0.1, 0.0),), 1, "never none"),
    ],
)
def test_freezing(
    desired: int | None, replicas: Replicas, metrics: tuple[tuple[float, float], ...], emitted: int, why: str
) -> None:
    """What v1 emits."""
    _, state = WvaSaturation().decide(Fixed(pods=pods(*metrics)), replicas, WvaState(desired), 0.0)
    assert state.desired == emitted, why


def test_hpa_follows_after_its_stabilisation() -> None:
    """Published: 240 s from the first look that asks for more to the replica, in both versions."""
    for policy in (WvaSaturation(), WvaTokens()):
        state, wanted, now = policy.initial(), 3, 0.0
        while wanted == 3:
            wanted, state = policy.decide(Fixed(pods=pods(*FULL)), Replicas(3, 3, 0), state, now)
            now += policy.period_seconds
        assert now - policy.period_seconds == 240.0
        assert wanted > 3


@pytest.mark.parametrize(
    ("policy", "loads", "replicas", "emitted", "why"),
    [
        (
            WvaTokens(),
            [(0.6, 0), (0.6, 0)],
            Replicas(2, 2, 0),
            2,
            "1.2 / 0.85 fits into 1.6, and not into 0.8",
        ),
        (WvaTokens(), [(0.7, 1), (0.7, 0)], Replicas(2, 2, 0), 4, "ceil((2.4 / 0.85 - 1.6) / 0.8) more"),
        (WvaTokens(), [(0.7, 1), (0.7, 0)], Replicas(3, 2, 1), 4, "the starting one counts"),
        (WvaTokens(), [(0.2, 0)] * 4, Replicas(4, 4, 0), 2, "floor((3.2 - 0.8 / 0.7) / 0.8) fewer"),
        (WvaTokens(), [(0.0, 0)] * 4, Replicas(4, 4, 0), 1, "the last stays"),
        (WvaTokens(), [], Replicas(4, 0, 4), 4, "nothing is known"),
        (
            WvaTokens(),
            [(0.4, 5), (0.4, 5), (0.4, 0)],
            Replicas(3, 3, 0),
            33,
            "saturated at 0.4, which is then the capacity: ceil((11.2 / 0.85 - 1.2) / 0.4) more",
        ),
        (
            WvaTokens(kv_tokens=10000.0, input_tokens=900.0, output_tokens=100.0, batched_tokens=8192.0),
            [(0.9, 0), (0.9, 0)],
            Replicas(2, 2, 0),
            3,
            "derived 8192 x 100 / 1000 x 950 exceeds the memory's 8000",
        ),
        (
            WvaTokens(
                kv_tokens=10000.0,
                input_tokens=900.0,
                output_tokens=100.0,
                batched_tokens=8192.0,
                sequences=4.0,
            ),
            [(0.3, 0), (0.3, 0)],
            Replicas(2, 2, 0),
            2,
            "four sequences of 950 tokens bound it to 3800",
        ),
    ],
)
def test_tokens(
    policy: WvaTokens, loads: list[tuple[float, float]], replicas: Replicas, emitted: int, why: str
) -> None:
    """What v2 emits, measured in pods where nothing is said: capacity 0.8 each."""
    _, state = policy.decide(Fixed(pods=pods(*loads)), replicas, policy.initial(), 0.0)
    assert state.desired == emitted, why


def test_capacities_are_remembered() -> None:
    """The mean of the last ten seen under saturation is the capacity once the queue is gone."""
    policy, state = WvaTokens(), WvaState()
    for kv_usage in (0.1, *[0.4] * 5, *[0.6] * 5):
        _, state = policy.decide(Fixed(pods=pods((kv_usage, 5.0))), Replicas(1, 1, 0), state, 0.0)
    assert state.capacities == (*[0.4] * 5, *[0.6] * 5)
    _, state = policy.decide(Fixed(pods=pods((0.4, 1.0))), Replicas(1, 1, 0), state, 0.0)
    assert state.desired == 1 + 3  # ceil((1.4 / 0.85 - 0.5) / 0.5)
