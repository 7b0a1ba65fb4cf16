"""Questions to Prometheus, over real HTTP to a scripted server."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from serving_io import Prometheus, PrometheusAccess, Sample, Series, SignalUnavailable


@dataclass
class Script:
    """What the server answers, and what it was asked."""

    status: int = 200
    body: bytes = b""
    delay_seconds: float = 0.0
    trickle: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    sent_bytes: int = 0
    url: str = ""

    def result(self, result: Any, kind: str = "vector", **more: Any) -> None:
        """Answer as Prometheus does."""
        answer = {"status": "success", "data": {"resultType": kind, "result": result}, **more}
        self.body = json.dumps(answer).encode()


@pytest.fixture
def script() -> Iterator[Script]:
    """A server that follows a script."""
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            asked = {"path": self.path, "headers": dict(self.headers)}
            script.asked.append(asked | {key: values[0] for key, values in form.items()})
            if script.delay_seconds:
                script.released.wait(script.delay_seconds)
            self.send_response(script.status)
            self.send_header("Content-Length", str(len(script.body)))
            self.end_headers()
            try:
                for offset in range(len(script.body)) if script.trickle else ():
                    self.wfile.write(script.body[offset : offset + 1])
                    self.wfile.flush()
                    script.sent_bytes += 1
                    if script.released.wait(0.1):
                        return
                if not script.trickle:
                    self.wfile.write(script.body)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    script.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(script: Script) -> Iterator[Callable[..., Prometheus]]:
    """Make clients of the scripted server."""
    made: list[Prometheus] = []

    def make(**access: Any) -> Prometheus:
        made.append(Prometheus(PrometheusAccess(script.url, **access)))
        return made[-1]

    yield make
    script.released.set()
    for client in made:
        client.close()
        client._threads.shutdown(wait=True)


Ask = Callable[..., Prometheus]


async def test_vector(script: Script, ask: Ask) -> None:
    """Series become samples with labels, time and number."""
    script.result([{"metric": {"pod": "a"}, "value": [1700000000.5, "42.5"]}])
    answer = await ask().query("up", at=1700000000.5)

    assert list(answer) == [Sample({"pod": "a"}, 1700000000.5, 42.5)]
    assert (script.asked[0]["query"], script.asked[0]["time"]) == ("up", "1700000000.500")


async def test_scalar(script: Script, ask: Ask) -> None:
    """A scalar is a sample without labels."""
    script.result([1.5, "42"], kind="scalar")

    assert (await ask().query("42")).samples == (Sample({}, 1.5, 42.0),)


async def test_nothing_is_not_zero(script: Script, ask: Ask) -> None:
    """No series is an empty answer."""
    script.result([])
    answer = await ask().query("up")

    assert (len(answer), answer.not_finite) == (0, 0)


async def test_not_a_number_is_absent_and_counted(script: Script, ask: Ask) -> None:
    """NaN, infinities and native histograms are no samples."""
    values = ["NaN", "+Inf", "-Inf", "1"]
    series: list[dict[str, Any]] = [{"metric": {"i": v}, "value": [1, v]} for v in values]
    script.result([*series, {"metric": {}, "histogram": [1, {"count": "1"}]}])
    answer = await ask().query("up")

    assert [sample.value for sample in answer] == [1.0]
    assert answer.not_finite == 4
    assert answer.not_finite_of == ({"i": "NaN"}, {"i": "+Inf"}, {"i": "-Inf"}, {})


async def test_a_partial_answer_is_none(script: Script, ask: Ask) -> None:
    """What is answered while a store is away is no answer, to either kind of query; the next whole one is."""
    client = ask(connections=1)
    script.result([], warnings=["store-2: rpc error: Unavailable"])
    for asking in (client.query("up"), client.query_range("up", 0, 10, 5)):
        with pytest.raises(SignalUnavailable, match="store-2") as error:
            await asking
        assert error.value.reason == "PartialAnswer"
    script.result([])
    assert len(await client.query("up")) == 0


async def test_notes_on_odd_series_do_not_make_an_answer_partial(script: Script, ask: Ask) -> None:
    """A label of somebody's that the evaluation warns of blinds nobody."""
    script.result(
        [], warnings=['PromQL warning: bucket label "le" is missing or has a malformed value of ""']
    )
    assert len(await ask().query("up")) == 0


async def test_range(script: Script, ask: Ask) -> None:
    """A range query's points are in order, without what is not finite."""
    script.result([{"metric": {"a": "b"}, "values": [[1, "1"], [2, "NaN"], [3, "2"]]}], kind="matrix")
    answer = await ask().query_range("up", 0.6, 3.2, 0.5)

    assert answer.series == (Series({"a": "b"}, ((1.0, 1.0), (3.0, 2.0))),)
    assert answer.not_finite == 1
    asked = script.asked[0]
    assert (asked["start"], asked["end"], asked["step"]) == ("1", "3", "0.5")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, b'{"status":"error","errorType":"bad_data","error":"parse error"}', "QueryRefused"),
        (401, b"who are you", "QueryRefused"),
        (503, b"not now", "QueryRefused"),
        (200, b"<html>please log in</html>", "Unreadable"),
        (200, b'{"status":"error","error":"no"}', "Unreadable"),
        (200, b'{"status":"success","data":{"result":{}}}', "Unreadable"),
        (200, b'{"status":"success","data":{"result":[{"metric":{}}]}}', "Unreadable"),
        (200, b'{"status":"success","data":{"result":[{"metric":{},"value":[1,"x"]}]}}', "Unreadable"),
    ],
)
async def test_every_bad_answer_is_one_error(
    script: Script, ask: Ask, status: int, body: bytes, reason: str
) -> None:
    """Whatever is no answer is `SignalUnavailable`, after one request."""
    script.status, script.body = status, body
    with pytest.raises(SignalUnavailable) as error:
        await ask().query("up")

    assert (error.value.reason, error.value.promql) == (reason, "up")
    assert len(script.asked) == 1


async def test_slow_answers_end_in_time(script: Script, ask: Ask) -> None:
    """A server that does not answer is given up after the time-out, and asked once."""
    script.delay_seconds = 30
    with pytest.raises(SignalUnavailable) as error:
        await ask(timeout_seconds=0.2).query("up")

    assert error.value.reason in ("Timeout", "Unreachable")
    assert len(script.asked) == 1


async def test_trickling_answers_end_in_time(script: Script, ask: Ask) -> None:
    """The time-out is for the whole answer, not for each byte of it."""
    script.result([])
    script.trickle = True
    with pytest.raises(SignalUnavailable) as error:
        await ask(timeout_seconds=0.5).query("up")

    assert error.value.reason == "Timeout"
    assert script.sent_bytes < len(script.body)


async def test_nobody_listens() -> None:
    """A refused connection is reported as such."""
    client = Prometheus(PrometheusAccess("http://127.0.0.1:1"))
    with pytest.raises(SignalUnavailable) as error:
        await client.query("up")
    client.close()

    assert error.value.reason == "Unreachable"


async def test_answers_are_bounded(script: Script, ask: Ask) -> None:
    """Too many bytes or series are refused, with the remedy."""
    script.result([{"metric": {"i": str(i)}, "value": [1, "1"]} for i in range(100)])
    for limit in ({"max_answer_bytes": 1000}, {"max_series": 99}):
        with pytest.raises(SignalUnavailable, match="narrow the query") as error:
            await ask(**limit).query("up")
        assert error.value.reason == "AnswerTooLarge"


async def test_token_is_read_again(script: Script, ask: Ask, tmp_path: Path) -> None:
    """A rotated token is used with the next query; headers go along."""
    token = tmp_path / "token"
    script.result([])
    client = ask(bearer_token_file=token, headers={"X-Scope-OrgID": "tenant"})
    for value in ("one\n", "two\n"):
        token.write_text(value)
        await client.query("up")

    assert [asked["headers"]["Authorization"] for asked in script.asked] == ["Bearer one", "Bearer two"]
    assert script.asked[0]["headers"]["X-Scope-OrgID"] == "tenant"


async def test_missing_token_is_an_unavailable_signal(ask: Ask, tmp_path: Path) -> None:
    """A token file that is not there names itself."""
    with pytest.raises(SignalUnavailable, match="no-such-token"):
        await ask(bearer_token_file=tmp_path / "no-such-token").query("up")


@pytest.mark.parametrize(
    ("token", "headers", "named"),
    [
        (b"s3cret\nsecond", {}, "token"),
        ("s3crét–".encode(), {}, "token"),
        (b"s3cret\xff", {}, "token"),
        (b"t", {"X-Key": "Bearer s3cret\n"}, "X-Key"),
        (b"t", {"X-Key": "s3cret–"}, "X-Key"),
    ],
)
async def test_credentials_that_cannot_be_sent_are_named_and_not_told(
    ask: Ask, script: Script, tmp_path: Path, token: bytes, headers: dict[str, str], named: str
) -> None:
    """A token or header with a line break or a strange character is named with the remedy, and never shown."""
    (tmp_path / "token").write_bytes(token)
    with pytest.raises(SignalUnavailable, match=f"{named}.* write it again without") as error:
        await ask(bearer_token_file=tmp_path / "token", headers=headers).query("up")

    told = "".join(traceback.format_exception(error.value))
    assert "s3cr" not in str(error.value) + told
    assert script.asked == []


async def test_what_nobody_knows_is_told_by_its_kind(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error from below whose words may hold anything is told without them."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("Bearer s3cret")

    monkeypatch.setattr("requests.Session.request", fail)
    with pytest.raises(SignalUnavailable, match=r"\(ValueError\)") as error:
        await ask().query("up")

    assert "s3cret" not in str(error.value)


async def test_long_queries_travel_in_the_body(script: Script, ask: Ask) -> None:
    """The URL stays short whatever the query."""
    script.result([])
    await ask().query("up" + " + up" * 50_000)

    assert script.asked[0]["path"] == "/api/v1/query"
    assert len(script.asked[0]["query"]) == 250_002


def test_url_must_be_one() -> None:
    """An address without a scheme is refused with the form that is expected."""
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        Prometheus(PrometheusAccess("prometheus:9090"))
