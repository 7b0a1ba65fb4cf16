"""A Prometheus between the autoscaler and the real one, whose answers can be made worthless."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Result = list[dict[str, Any]]
Rewrite = Callable[[Result], Result]


def as_it_is(result: Result) -> Result:
    """Change nothing."""
    return result


def emptied(_: Result) -> Result:
    """Answer, and say nothing."""
    return []


def not_a_number(result: Result) -> Result:
    """Every value is NaN."""
    return [{**series, "value": [series["value"][0], "NaN"]} for series in result]


def stale(result: Result) -> Result:
    """The newest sample of everything is five minutes old."""

    def aged(series: dict[str, Any]) -> dict[str, Any]:
        moment, value = series["value"]
        if series["metric"].get("signal") != "sampled_at":
            return series
        return {**series, "value": [moment, str(float(value) - 300)]}

    return [aged(series) for series in result]


class PrometheusBetween:
    """Passes questions on to `upstream` and rewrites the answers. Use as a context manager."""

    def __init__(self, upstream: str) -> None:
        self.rewrite: Rewrite = as_it_is
        self.answered = 0
        """Questions that were answered since the last change of `rewrite`."""
        between = self
        client = httpx.Client(base_url=upstream, timeout=10)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                question = self.rfile.read(int(self.headers["Content-Length"]))
                kind = {"Content-Type": self.headers["Content-Type"]}
                try:
                    answer = client.post(self.path, content=question, headers=kind)
                except httpx.TransportError:  # upstream is gone: then nobody answers here, either
                    self.close_connection = True
                    return
                content = answer.json()
                if content.get("status") == "success":
                    content["data"]["result"] = between.rewrite(content["data"]["result"])
                body = json.dumps(content).encode()
                self.send_response(answer.status_code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                between.answered += 1

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._client = client
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer_by(self, rewrite: Rewrite) -> None:
        """Rewrite answers so from now on, and count anew."""
        self.rewrite, self.answered = rewrite, 0

    def __enter__(self) -> PrometheusBetween:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()
