"""The HTTP session under the Prometheus client library, with what the library lacks."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from serving_api.headers import check_value, sendable


class AnswerTooLarge(Exception):  # noqa: N818
    """More bytes than the limit."""


class BoundedSession(requests.Session):
    """Adds what the client library lacks: a limit on the answer's size and total time, long queries in the
    body instead of the URL, a token that is read again, and the answer's warnings."""

    def __init__(
        self,
        *,
        ca_file: Path | None,
        bearer_token_file: Path | None,
        total_timeout_seconds: float,
        max_answer_bytes: int,
    ) -> None:
        super().__init__()
        self.verify = str(ca_file) if ca_file else True
        self.warnings: tuple[str, ...] = ()
        """What the last answer warned of."""
        self._bearer_token_file = bearer_token_file
        self._total_timeout_seconds = total_timeout_seconds
        self._max_answer_bytes = max_answer_bytes

    def request(self, method: str, url: str | bytes, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """As the library calls it: with keywords. Raises `UnusableHeader` before requests does, whose errors show the value."""
        deadline = time.monotonic() + self._total_timeout_seconds
        kwargs["data"], kwargs["params"] = kwargs.pop("params", None), None
        headers = dict(kwargs.pop("headers", None) or {})
        if self._bearer_token_file is not None:
            headers["Authorization"] = f"Bearer {_token(self._bearer_token_file)}"
        self.warnings = ()
        response = super().request(method, url, headers=sendable(headers), stream=True, **kwargs)
        try:
            body = self._read(response, deadline)
        finally:
            response.close()
        # The library hands out `data.result` alone, and looks for it in the body read here.
        response._content = body
        if b'"warnings"' in body:
            self.warnings = _warnings(body)
        return response

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        """The body, as it comes: `iter_content` would wait for whole chunks and never look at the clock."""
        body = bytearray()
        try:
            while chunk := response.raw.read1(65536, decode_content=True):
                body += chunk
                if len(body) > self._max_answer_bytes:
                    raise AnswerTooLarge(
                        f"more than {self._max_answer_bytes} bytes: narrow the query or raise the limit"
                    )
                if time.monotonic() > deadline:
                    raise requests.exceptions.ReadTimeout(
                        f"the answer was still coming after {self._total_timeout_seconds:g} s"
                    )
        except ReadTimeoutError as error:
            raise requests.exceptions.ReadTimeout(str(error)) from error
        except HTTPError as error:
            raise requests.exceptions.ConnectionError(str(error)) from error
        return bytes(body)


def _token(file: Path) -> str:
    token = file.read_text(encoding="utf-8", errors="replace").strip()
    check_value(f"the token in {file}", token)
    return token


def _warnings(body: bytes) -> tuple[str, ...]:
    try:
        answer = json.loads(body)
    except ValueError:
        return ()
    stated = answer.get("warnings") if isinstance(answer, dict) else None
    return tuple(str(warning) for warning in stated or ())
