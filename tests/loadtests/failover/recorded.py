"""A run as it is recorded: a rollout to compare with, and one in which leaders are lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loadtests.failover.cases import Case
from loadtests.failover.phases import Program
from loadtests.failover.played import Loss, Played
from loadtests.failover.summary import Run
from loadtests.failover.terms import user_of
from loadtests.record import Record
from loadtests.scale.audit import Request

BEGAN = 1000.0
LEASE = "serving-operator"
USER = user_of(LEASE)
FIRST, SECOND, THIRD = "operator-x_1", "operator-y_2", "operator-x_3"
END = {"stable": "candidate"}


def request(verb: str, resource: str, at: float, **fields: Any) -> Request:
    """One of the operator's, answered a tenth of a second after it came."""
    resource, _, subresource = resource.partition("/")
    stated = {"user": USER, "code": 200, "namespace": "demo", "name": "digits"} | fields
    return Request(
        verb=verb,
        resource=resource,
        subresource=subresource,
        received_seconds=at - 0.1,
        ended_seconds=at,
        **stated,
    )


def renewal(at: float, holder: str, **fields: Any) -> Request:
    """A write of the Lease."""
    named = {"holder": holder, "namespace": "serving-system", "name": LEASE, "pod": holder.rpartition("_")[0]}
    return request("update", "leases", at, **(named | fields))


def answer(number: int, at: float, status: int = 200) -> Record:
    """A request that took 50 ms."""
    return Record(number, at, at, at + 0.05, status, "", "aaaaaaaa")


def loss(phase: str, lost: str, at: float, worked: float, program: Program = "operator") -> Loss:
    """A leader was killed."""
    return Loss(Case(phase, program, "killed"), lost, at, worked)


def run() -> Run:
    """Two operators are lost in the second of two rollouts; of the first one's late writes one is refused."""
    renewals = [
        renewal(BEGAN, FIRST),
        renewal(BEGAN + 100, FIRST),
        renewal(BEGAN + 116.25, SECOND),
        renewal(BEGAN + 150, SECOND),
        renewal(BEGAN + 166, THIRD),
    ]
    written = [
        request("patch", "httproutes", BEGAN + 117, pod="operator-y"),
        request("patch", "httproutes", BEGAN + 118, pod="operator-x", code=409),
        request("create", "events", BEGAN + 118.5, pod="operator-x", code=201),
        request("patch", "httproutes", BEGAN + 167, pod="operator-x"),
    ]
    played = [
        Played("promoted", BEGAN, BEGAN + 60, [], END),
        Played(
            "promoted",
            BEGAN + 70,
            BEGAN + 200,
            [
                loss("created", FIRST, BEGAN + 101, BEGAN + 117),
                loss("committed", SECOND, BEGAN + 151, BEGAN + 166.5),
            ],
            dict(END),
        ),
    ]
    records = [answer(1, 10), answer(2, 80), answer(3, 120)]
    return Run(played, [*renewals, *written], records, BEGAN, 0.5)


def with_loss(found: Run, number: int, changed: Loss) -> Run:
    """The run with another loss in its second rollout."""
    second = found.played[1]
    losses = [changed if index == number else one for index, one in enumerate(second.losses)]
    return replace(found, played=[found.played[0], replace(second, losses=losses)])
