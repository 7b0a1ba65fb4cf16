"""One process in place of all pods and of the gateway: Prometheus scrapes it, and it is told what changes.

`.venv/bin/python -m loadtests.scale.autoscalers.exporter AUTOSCALERS PORT` serves on the loopback until it is ended.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from loadtests.scale.autoscalers.pages import Backend, page_of_gateway, page_of_pods
from loadtests.scale.autoscalers.population import population

PER_PAGE: Final = 250
"""Members of a page: some ten thousand lines."""
PAGES: Final[Mapping[str, Callable[[list[Backend]], str]]] = {
    "pods": page_of_pods,
    "gateway": page_of_gateway,
}


class Demand:
    """All backends in time. Safe to use from several threads."""

    def __init__(self, autoscalers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._backends = [Backend(member) for member in population(autoscalers)]
        self._clock = clock
        self._lived_until = [clock()] * pages(autoscalers)
        self._next = 0
        self._lock = threading.Lock()

    def page(self, source: str, number: int) -> str:
        """The page of a source and number, as of now. Raises KeyError or IndexError without one."""
        with self._lock:
            return PAGES[source](self._of_page(number))

    def scale(self, replicas: Mapping[int, int]) -> None:
        """Have so many pods, by number of the member."""
        with self._lock:
            for number, count in replicas.items():
                self._of_page(
                    number // PER_PAGE
                )  # what was counted until now, the pods of until now have counted
                self._backends[number].scale(count)

    def change(self, share: float, factor: float) -> None:
        """Multiply the rates of the next members by a factor, or give them back what they began with, by turns."""
        with self._lock:
            self._all_until_now()
            count = round(share * len(self._backends))
            for step in range(count):
                backend = self._backends[(self._next + step) % len(self._backends)]
                backend.factor = factor if backend.factor == 1.0 else 1.0
            self._next = (self._next + count) % len(self._backends)

    def drift(self, ratio: float) -> None:
        """Let every rate rise or fall by this ratio, half of them each, and the other way the next time."""
        with self._lock:
            self._all_until_now()
            for backend in self._backends:
                up = backend.factor <= 1.0 if backend.factor != 1.0 else backend.member.number % 2 == 0
                backend.factor = 1 + ratio if up else 1 - ratio

    def _all_until_now(self) -> None:
        for number in range(len(self._lived_until)):
            self._of_page(number)

    def _of_page(self, number: int) -> list[Backend]:
        now = self._clock()
        seconds, self._lived_until[number] = now - self._lived_until[number], now
        backends = self._backends[number * PER_PAGE : (number + 1) * PER_PAGE]
        for backend in backends:
            backend.live(seconds)
        return backends


def pages(autoscalers: int) -> int:
    """Return how many pages each source has."""
    return -(-autoscalers // PER_PAGE)


def server(demand: Demand, port: int) -> ThreadingHTTPServer:
    """Return a server of pages (GET) and of what changes (POST, JSON)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                _, source, number = self.path.split("/")
                self._answer(200, demand.page(source, int(number)))
            except (ValueError, KeyError, IndexError):
                self._answer(404, f"there are pages of {' and '.join(PAGES)}\n")

        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            match self.path:
                case "/scale":
                    demand.scale({int(number): count for number, count in told.items()})
                case "/change":
                    demand.change(told["share"], told["factor"])
                case "/drift":
                    demand.drift(told["ratio"])
                case _:
                    return self._answer(404, "scale, change or drift\n")
            return self._answer(200, "")

        def log_message(self, *_: object) -> None:
            """A line for each scrape would be of no use."""

        def _answer(self, code: int, text: str) -> None:
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main(arguments: list[str]) -> None:
    """Serve until ended."""
    autoscalers, port = map(int, arguments)
    server(Demand(autoscalers), port).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
