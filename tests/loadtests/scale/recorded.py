"""Requests as the audit log records them."""

from __future__ import annotations

from loadtests.scale.audit import Request
from loadtests.scale.figures import CHILDREN
from loadtests.scale.program import USER

ADMINISTRATOR = "kubernetes-admin"
READY = frozenset({"Ready", "UpToDate", "Servable"})


def request(
    verb: str,
    resource: str,
    at: float,
    name: str = "scale-00000",
    *,
    user: str = USER,
    holds: frozenset[str] = frozenset(),
    code: int = 0,
) -> Request:
    """One that was received at a second, and answered a tenth later; `resource` may have a subresource."""
    resource, _, subresource = resource.partition("/")
    namespace = name.partition("-")[0]
    code = code or (201 if verb == "create" else 200)
    return Request(user, verb, resource, subresource, namespace, name, code, at, at + 0.1, holds)


def offering(at: float, name: str = "scale-00000") -> Request:
    """A user creates a service."""
    return request("create", "inferenceservices", at, name, user=ADMINISTRATOR)


def children(at: float, name: str = "scale-00000") -> list[Request]:
    """The operator creates what a new service gets at once, a second apart."""
    return [
        request("create", resource, at + number, f"{name}-0123abcd")
        for number, resource in enumerate(CHILDREN)
    ]


def status(at: float, *holds: str, name: str = "scale-00000") -> Request:
    """The operator says which conditions are True."""
    return request("patch", "inferenceservices/status", at, name, holds=frozenset(holds))
