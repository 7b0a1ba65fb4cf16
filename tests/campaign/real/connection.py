"""HTTP to the API server without a loop: virtual time stands still while a request is under way.

Each run has namespaces of its own, under names that nobody in the run knows: they are put into what is sent and taken
out of what comes, as text, so that no place where a namespace is named can be forgotten.
"""

from __future__ import annotations

import functools
import http.client
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from serving_api.names import SYSTEM_NAMESPACE
from serving_io.transport import JSON, canonical
from tests.campaign.user import NAMESPACE

NAMESPACES = (NAMESPACE, SYSTEM_NAMESPACE)
"""Those that a run writes in."""
ANSWER_SECONDS = 60.0
_IN_PATH = re.compile(rf"/namespaces/({'|'.join(NAMESPACES)})(?=/|$)")
_IN_BODY = re.compile(
    rf'("namespace":"|"kind":"Namespace","metadata":{{"name":")({"|".join(NAMESPACES)})"'.encode()
)


class Lost(SystemExit):
    """The server does not answer, or not as it should: no part of a run may take that for something to cope with."""


@dataclass(frozen=True)
class Address:
    """Where an API server is, the certificate of whom to trust, and its administrator's token."""

    port: int
    authority: Path
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Answer:
    """HTTP status, and the object in the body."""

    status: int
    body: Any
    retry_after: int | None = None


class Connection:
    """One connection, for one request after another. `suffix`: of the run's namespaces."""

    def __init__(self, address: Address, suffix: str = "") -> None:
        self._suffix = suffix
        self._address, self._context = address, _context(address.authority)
        self._http = self._open()

    def _open(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self._address.port, timeout=ANSWER_SECONDS, context=self._context
        )

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. Raises `Lost` without an answer."""
        data = None if body is None else self._outward(canonical(body))
        try:
            headers = {**self._address.headers, "Content-Type": content_type}
            self._http.request(method, self._url(path, query), data, headers)
            response = self._http.getresponse()
            answer = json.loads(self._inward(response.read()))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Lost(f"{method} {path}: {error!r}") from error
        retry_after = response.headers.get("Retry-After")
        return Answer(response.status, answer, int(retry_after) if retry_after else None)

    def watch(self, path: str, version: str) -> Stream:
        """What happens to a collection from a version on, over a connection of its own."""
        connection = self._open()
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "86400"}
        try:
            connection.request("GET", self._url(path, query), headers=self._address.headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise Lost(f"watch of {path}: {error!r}") from error
        if response.status != 200:
            raise Lost(f"watch of {path}: {response.read()[:300]!r}")
        return Stream(path, connection, response, self._suffix)

    def close(self) -> None:
        """Close it."""
        self._http.close()

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        path = _IN_PATH.sub(rf"/namespaces/\1{self._suffix}", path)
        return f"{path}?{urlencode(query)}" if query else path

    def _outward(self, data: bytes) -> bytes:
        return _IN_BODY.sub(rb"\1\2" + self._suffix.encode() + b'"', data)

    def _inward(self, data: bytes) -> bytes:
        return data.replace(self._suffix.encode(), b"") if self._suffix else data


class Stream:
    """One watch, read event by event."""

    def __init__(
        self,
        path: str,
        connection: http.client.HTTPSConnection,
        response: http.client.HTTPResponse,
        suffix: str,
    ) -> None:
        self._path, self._connection, self._response = path, connection, response
        self._suffix = suffix.encode()

    def next(self) -> tuple[str, Any]:
        """Wait for the next event: its type and object. Raises `Lost` if none comes."""
        try:
            event = json.loads(self._response.readline().replace(self._suffix, b""))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Lost(f"watch of {self._path}: {error!r}") from error
        if event["type"] == "ERROR":
            raise Lost(f"watch of {self._path}: {event['object']}")
        return event["type"], event["object"]

    def close(self) -> None:
        """End it."""
        self._response.close()
        self._connection.close()


@functools.cache
def _context(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))
