"""Probes, restarts and addresses: the agent's small state machines."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.node.addresses import Addresses, conflict, listen_address
from localcluster.node.probes import Probe, Tally, port_number
from localcluster.node.restarts import Backoff, restarts


def test_probe_defaults_are_those_of_the_api() -> None:
    """A probe that states only its handler has the API's numbers."""
    probe = Probe.of({"httpGet": {"port": 8080}})
    assert (probe.period_seconds, probe.timeout_seconds) == (10, 1)
    assert (probe.success_threshold, probe.failure_threshold, probe.initial_delay_seconds) == (1, 3, 0)


def test_tally_counts_consecutive_answers() -> None:
    """One success between failures starts the count anew; the threshold's answer decides."""
    tally = Tally(Probe.of({"failureThreshold": 3}), healthy=True)
    assert [tally.record(ok) for ok in (False, False, True, False, False)] == [
        False,
        False,
        True,
        False,
        False,
    ]
    assert tally.healthy
    assert tally.record(False)
    assert not tally.healthy


def test_tally_waits_for_the_success_threshold() -> None:
    """A readiness probe with successThreshold 2 becomes ready at the second success."""
    tally = Tally(Probe.of({"successThreshold": 2}), healthy=False)
    assert not tally.record(True)
    assert not tally.healthy
    assert tally.record(True)
    assert tally.healthy


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_tally_agrees_with_the_tail_of_its_answers(answers: list[bool], success: int, failure: int) -> None:
    """The verdict is the last run of equal answers that was long enough."""
    spec = {"successThreshold": success, "failureThreshold": failure}
    tally, expected, run = Tally(Probe.of(spec), healthy=False), False, 0
    for index, answer in enumerate(answers):
        run = run + 1 if index and answers[index - 1] == answer else 1
        tally.record(answer)
        if run >= (success if answer else failure):
            expected = answer
    assert tally.healthy == expected


def test_named_port() -> None:
    """A probe's port may be a name from the container's spec; an unknown one is an error that names it."""
    container = {"name": "model", "ports": [{"name": "http", "containerPort": 8080}]}
    assert port_number(container, "http") == 8080
    assert port_number(container, 9000) == 9000
    with pytest.raises(ValueError, match="container model has no port named 'metrics'"):
        port_number(container, "metrics")


def test_backoff_doubles_to_five_minutes_and_forgets() -> None:
    """The first restart is immediate, then 10 s, doubling to 300 s; ten minutes of running forgive."""
    backoff = Backoff(10)
    assert [backoff.delay_seconds(1) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.delay_seconds(600) == 0
    assert backoff.delay_seconds(1) == 10


def test_backoff_within_limits_of_its_own() -> None:
    """What is restarted sooner than a container states how long it waits at most, and when it starts anew."""
    backoff = Backoff(1, longest_seconds=3, steady_seconds=30)
    assert [backoff.delay_seconds(29) for _ in range(5)] == [0, 1, 2, 3, 3]
    assert backoff.delay_seconds(30) == 0


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 1, False),
    ],
)
def test_restart_policy(policy: str, code: int, again: bool) -> None:
    """Each restart policy decides by the exit code."""
    assert restarts(policy, code) is again


def test_addresses_are_unique_and_recycled_late(tmp_path: Path) -> None:
    """An address that was given back is not the next one."""
    addresses = Addresses(tmp_path)
    first = addresses.allocate()
    addresses.release(first)
    later = [addresses.allocate() for _ in range(1000)]
    assert first not in later
    assert len(set(later)) == 1000


def test_addresses_wrap_around_those_taken() -> None:
    """The last address is followed by the first free one; .0 and .255 are never given out."""
    addresses = Addresses(Path("/somewhere"), last=256 * 254 - 2)
    assert addresses.allocate() == "10.244.255.254"
    assert addresses.allocate() == "10.244.0.1"


def test_listen_address() -> None:
    """A pod's address is dialled on loopback, any other as it is."""
    assert listen_address("10.244.3.4") == "127.244.3.4"
    assert listen_address("127.0.0.1") == "127.0.0.1"


def test_conflict_names_the_holder() -> None:
    """A port that is held from 0.0.0.0 is reported with the process that holds it."""
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        port = holder.getsockname()[1]
        told = conflict("127.244.9.9", port)
    assert told is not None
    assert f"cannot listen on 127.244.9.9:{port}: Address already in use; process " in told
    assert f"listens on 0.0.0.0:{port}" in told
    assert conflict("127.244.9.9", port) is None
