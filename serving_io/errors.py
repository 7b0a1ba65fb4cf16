# ruff: noqa: N818  (named for what the server says, as its own reasons are)
"""What can go wrong when talking to the API server or to Prometheus, as one tree.

ServingIOError
├── ApiError                 the API server answered with a refusal (status, reason, message, causes)
│   ├── NotFound             404
│   ├── Forbidden            403
│   │   └── NamespaceTerminating   403 because the namespace is being deleted
│   ├── Conflict             409: a precondition, a resourceVersion or another field manager disagrees
│   │   └── AlreadyExists    409 on a create: the name is taken
│   ├── Expired              410: the resourceVersion or the continue token is too old; list again
│   ├── Invalid              422: the object breaks a rule of its schema
│   ├── Denied               any other 4xx, or a 500 because an admission webhook did not answer
│   ├── TooManyRequests      429, with the pause that the server asks for
│   └── Unavailable          5xx, no answer at all (status 0), or 403 because the server does not know a new kind yet:
│                            a write may or may not have happened
├── NotLeader                a write was about to leave without valid leadership
└── SignalUnavailable        Prometheus gave no usable answer
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class ServingIOError(Exception):
    """Root of every error that this package raises on purpose."""


@dataclass(frozen=True)
class Cause:
    """One entry of a Status object's `details.causes`."""

    reason: str
    message: str
    field: str


class ApiError(ServingIOError):
    """The API server refused: HTTP `status`, one-word `reason`, `message`, and the `causes` it lists."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        causes: tuple[Cause, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after
        """Seconds that the server asks the client to wait, if it does."""


class NotFound(ApiError):
    """The object, its kind or its subresource does not exist."""


class Forbidden(ApiError):
    """RBAC, quota or admission refuses."""


class NamespaceTerminating(Forbidden):
    """Nothing can be created in a namespace that is being deleted. No fault of anybody."""


class Conflict(ApiError):
    """What the write was decided on is no longer so: read and decide again."""


class AlreadyExists(Conflict):
    """The name is taken, so the object there is not the one that was about to be created."""


class Expired(ApiError):
    """The history asked for is compacted: list again."""


class Invalid(ApiError):
    """The object breaks its schema; `causes` name the fields."""


class Denied(ApiError):
    """The server does not take the request, in whatever words: an admission webhook chooses its own code (400 if it has none).

    One that does not answer is told with 500, before anything is written.
    """


class TooManyRequests(ApiError):
    """The server sheds load; `retry_after` says for how long (seconds)."""


class Unavailable(ApiError):
    """No answer or a server's own failure. A write with this result may have been carried out."""


class NotLeader(ServingIOError):
    """A write was stopped because leadership is not certain any more."""


class SignalUnavailable(ServingIOError):
    """Prometheus gave no usable answer to `promql`; `reason` is one CamelCase word, the text says more."""

    def __init__(self, promql: str, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message} (query: {promql})")
        self.promql = promql
        self.reason = reason
        self.message = message


_BY_STATUS: dict[int, type[ApiError]] = {
    401: ApiError,
    403: Forbidden,
    404: NotFound,
    408: ApiError,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}


def error_from(status: int, body: bytes | str, headers: Mapping[str, str] | None = None) -> ApiError:
    """The error for an HTTP answer: `body` is a Status object, or whatever a proxy in between wrote."""
    answer: Any = None
    try:
        answer = json.loads(body)
    except ValueError:
        text = body.decode(errors="replace") if isinstance(body, bytes) else body
    if isinstance(answer, dict):
        return error_from_status(answer, status, headers)
    return _error(status, "", text[:500] if answer is None else str(answer)[:500], (), headers)


def error_from_status(
    answer: Mapping[str, Any], status: int | None = None, headers: Mapping[str, str] | None = None
) -> ApiError:
    """The error for a Status object, as it comes in an answer's body or in a watch's ERROR event."""
    details = answer.get("details") or {}
    causes = tuple(
        Cause(str(c.get("reason", "")), str(c.get("message", "")), str(c.get("field", "")))
        for c in details.get("causes") or ()
    )
    code = status if status is not None else int(answer.get("code") or 500)
    return _error(code, str(answer.get("reason") or ""), str(answer.get("message") or ""), causes, headers)


def _error(
    status: int, reason: str, message: str, causes: tuple[Cause, ...], headers: Mapping[str, str] | None
) -> ApiError:
    others = Unavailable if status >= 500 else Denied if status >= 400 else ApiError
    kind = _BY_STATUS.get(status, others)
    if reason == "AlreadyExists":
        kind = AlreadyExists
    if status == 500 and "failed to create typed patch object" in message:
        kind = Invalid
    if status == 500 and "failed calling webhook" in message:
        kind = Denied
    if status == 422 and any(cause.field == "metadata.uid" for cause in causes):
        kind = Conflict
    if status == 403 and "cannot find RESTMapping" in message:
        kind = Unavailable  # for up to half a minute after CRDs were installed: an owner's kind is looked up in a memory
    if status == 403 and any(cause.reason == "NamespaceTerminating" for cause in causes):
        kind = NamespaceTerminating
    return kind(
        status, reason or kind.__name__, message, causes, _seconds((headers or {}).get("Retry-After"))
    )


def _seconds(retry_after: str | None) -> float | None:
    try:
        return float(retry_after) if retry_after is not None else None
    except ValueError:
        return None  # an HTTP date: the API server never sends one
