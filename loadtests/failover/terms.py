"""Who led from when to when, and what somebody wrote whose term was over: by the audit log. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from loadtests.scale.audit import Request
from serving_api.names import SYSTEM_NAMESPACE


@dataclass(frozen=True, slots=True)
class Term:
    """One holder's time with a Lease. Seconds since the epoch, by the API server's clock."""

    holder: str
    since_seconds: float
    """When it took the Lease."""
    renewed_seconds: float
    """When it renewed it last with effect; what it asked for and did not get is none."""

    @property
    def pod(self) -> str:
        """The pod that the holder ran in: an identity is the pod's name and a word of the process's own."""
        return self.holder.rpartition("_")[0]


def user_of(program: str) -> str:
    """Return the name by which the API server knows a program's pods."""
    return f"system:serviceaccount:{SYSTEM_NAMESPACE}:{program}"


def terms(requests: Iterable[Request], lease: str) -> list[Term]:
    """Return the terms of a Lease in the order of time. A release begins none."""
    written = [
        one
        for one in requests
        if _place(one) == ("leases", SYSTEM_NAMESPACE, lease)
        and one.holder is not None
        and not one.is_read
        and _has_effect(one)
    ]
    found: list[Term] = []
    is_free = True
    for one in sorted(written, key=lambda request: request.ended_seconds):
        if not is_free and found[-1].holder == one.holder:
            found[-1] = replace(found[-1], renewed_seconds=one.ended_seconds)
        elif one.holder:
            found.append(Term(one.holder, one.ended_seconds, one.ended_seconds))
        is_free = not one.holder
    return found


def handed_over(found: Sequence[Term], lost: str, after_seconds: float) -> tuple[Term, Term] | None:
    """Return the term that ended by the loss of a holder at a moment, and the next one; None without a next one."""
    for before, successor in pairwise(found):
        if before.holder == lost and successor.since_seconds > after_seconds:
            return before, successor
    return None


def late_writes(requests: Iterable[Request], found: Sequence[Term], user: str) -> list[Request]:
    """Return the writes of a program, effective or refused, that ended when a pod other than the writer's led."""
    return [
        one
        for one in requests
        if one.user == user and not one.is_read and one.resource != "leases" and not _may_write(one, found)
    ]


def overruling(requests: Sequence[Request], found: Sequence[Term], user: str) -> list[Request]:
    """Return the late writes that took effect on what the successor had written: there must be none.

    That is: on a route, on what a Service selects, on a status, or a deletion. Other late writes are idempotent, or
    corrected by the successor.
    """
    late = late_writes(requests, found, user)
    return [
        one
        for one in late
        if _has_effect(one)
        and _decides(one)
        and any(_has_decided(other, one, found) for other in requests if other.user == user)
    ]


def _may_write(one: Request, found: Sequence[Term]) -> bool:
    """Whether the writer's pod leads when the write ends; before the first term nobody is late."""
    begun = _begun(found, one)
    return not begun or begun[-1].pod == one.pod


def _begun(found: Sequence[Term], one: Request) -> list[Term]:
    return [term for term in found if term.since_seconds <= one.ended_seconds]


def _has_effect(one: Request) -> bool:
    return 200 <= one.code < 300


def _decides(one: Request) -> bool:
    return one.verb == "delete" or one.resource == "httproutes" or one.subresource == "status" or one.selects


def _has_decided(other: Request, late: Request, found: Sequence[Term]) -> bool:
    """Whether a successor of the late write's pod had by then written what that write is about."""
    begun = _begun(found, late)
    own = [number for number, term in enumerate(begun) if term.pod == late.pod]
    successors_since = begun[own[-1] + 1 if own else 0].since_seconds
    return (
        _place(other) == _place(late)
        and (late.verb == "delete" or other.subresource == late.subresource)
        and not other.is_read
        and _has_effect(other)
        and successors_since <= other.ended_seconds < late.ended_seconds
        and _may_write(other, found)
    )


def _place(one: Request) -> tuple[str, str, str]:
    return one.resource, one.namespace, one.name
