"""One HTTP request to the API server: authenticated, timed, counted, its refusal turned into an error."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from serving_io.errors import ApiError, Unavailable, error_from

CONNECT_TIMEOUT_SECONDS = 3.0
"""From the wish for a connection to one that can be used, a proxy's consent and TLS included. Less than what a Lease
leaves between the end of leadership and its take-over (5 s): a write that was checked leaves in time or not at all."""
REQUEST_TIMEOUT_SECONDS = 30.0
STREAM_SILENCE_SECONDS = 90.0
"""The server sends a bookmark about once a minute: a longer silence is a dead connection."""

NOT_TRUSTED = "NotTrusted"
"""Reason where the server's certificate is of no authority that this process has read, which it does once."""

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""Asks for an object without its content."""


def unobserved(_method: str, _code: str, _seconds: float) -> None:
    """Count nothing."""


def unguarded() -> None:
    """Let every write pass."""


@dataclass(frozen=True)
class Transport:
    """`before_write` runs directly before each write is sent; `on_request` after each request.

    `on_request(method, code, seconds)`: code is `<error>` where there was no answer.
    """

    api: ApiClient
    before_write: Callable[[], None] = unguarded
    on_request: Callable[[str, str, float], None] = unobserved
    request_timeout_seconds: float = REQUEST_TIMEOUT_SECONDS

    def guarded_by(self, before_write: Callable[[], None]) -> Transport:
        """The same connections with another check."""
        return replace(self, before_write=before_write)

    async def close(self) -> None:
        """Close the connections."""
        await self.api.close()  # type: ignore[no-untyped-call]

    async def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """One request; answers the object in the body. Raises `ApiError`."""
        timeout = aiohttp.ClientTimeout(total=self.request_timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS)
        response = await self._request(method, path, query, body, content_type, timeout, accept)
        try:
            answer = json.loads(await response.read())
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._no_answer(error, f"{method} {path}") from error
        if not isinstance(answer, dict):
            raise Unavailable(response.status, "Unreadable", f"{method} {path} was answered with no object")
        return answer

    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """The lines of a streamed answer until the server ends it. Raises `ApiError`."""
        timeout = aiohttp.ClientTimeout(
            total=None, connect=CONNECT_TIMEOUT_SECONDS, sock_read=STREAM_SILENCE_SECONDS
        )
        response = await self._request("GET", path, query, None, JSON, timeout)
        # Not `readline`: it refuses lines beyond its buffer, and an object may be larger than any buffer.
        rest = b""
        try:
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield line
        except (aiohttp.ClientError, OSError) as error:
            raise self._no_answer(error, f"GET {path}") from error
        finally:
            # Abort, because a close waits until a busy server agrees to end TLS: the loop may be over by then.
            connection = response.connection
            if connection is not None and connection.transport is not None:
                connection.transport.abort()
            response.close()

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        content_type: str,
        timeout: aiohttp.ClientTimeout,
        accept: str = JSON,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept, "Content-Type": content_type}
        data = None if body is None else canonical(body)
        started, code = time.monotonic(), "<error>"
        try:
            # The library authenticates and knows the way; it would write the body in another form.
            _, url, sent_headers, _, _ = await self.api.param_serialize(
                method,
                path,
                query_params=dict(query or {}),
                header_params=headers,
                auth_settings=["BearerToken"],
            )
            rest, configuration = self.api.rest_client, self.api.configuration
            if rest.pool_manager is None:
                rest.pool_manager = rest._create_pool_manager()
            response = await rest.pool_manager.request(
                method,
                url,
                headers=sent_headers,
                data=data,
                timeout=timeout,
                server_hostname=configuration.tls_server_name,
                proxy=rest.proxy,
                proxy_headers=rest.proxy_headers,
                middlewares=() if method == "GET" else (self._checked,),
            )
            code = str(response.status)
            if response.status >= 300:
                raise error_from(response.status, await response.read(), response.headers)
            return response
        except (aiohttp.ClientError, OSError) as error:
            raise self._no_answer(error, f"{method} {path}") from error
        finally:
            self.on_request(method, code, time.monotonic() - started)

    async def _checked(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # Here, because aiohttp sends a DELETE or PUT a second time where the connection has died under the first.
        self.before_write()
        return await send(request)

    def _no_answer(self, error: Exception, what: str) -> ApiError:
        reason = "Timeout" if isinstance(error, TimeoutError) else "NoAnswer"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            reason = NOT_TRUSTED
        proxy = str(self.api.rest_client.proxy or "")
        if proxy:
            # Without the password that may stand before the address.
            what += f" through the proxy {proxy.rpartition('//')[2].rpartition('@')[2]}"
        return Unavailable(0, reason, f"{what}: {str(error) or type(error).__name__}")


def canonical(body: Any) -> bytes:
    """JSON byte for byte as the API server writes it itself: compact, keys sorted, `<`, `>`, `&` escaped.

    It matters for a ControllerRevision: the server compares the *bytes* of its immutable `data`, so one
    that was created in any other form refuses every later patch, even of a label.
    """
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()
