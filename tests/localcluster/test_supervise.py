"""The supervisor restarts what exits, stops in order, and leaves nothing behind."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster import component, running, supervise, tether
from localcluster.component import Component
from localcluster.paths import REPOSITORY
from localcluster.progress import Progress
from tests.localcluster.waiting import alive, until

SLEEPER = "import time\nwhile True: time.sleep(60)"
STOP_NOTER = """
import pathlib, signal, sys, time
def stop(*_):
    with open(sys.argv[1], "a") as file: file.write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1] + "." + sys.argv[2]).touch()
while True: time.sleep(60)
"""
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
while True: time.sleep(60)
"""


def python(name: str, code: str, *arguments: str, after: tuple[str, ...] = ()) -> Component:
    """A component that runs a few lines of Python."""
    return Component(name, [sys.executable, "-c", code, *arguments], after=after, stop_seconds=5.0)


class Harness:
    """A supervisor in a run directory of its own."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def start(self, *components: Component) -> int:
        """Start it; its exit status (0 when it has detached)."""
        component.save(self.run_dir, components)
        command = [sys.executable, "-m", "localcluster.supervise", str(self.run_dir)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(command, env=environment, stderr=subprocess.DEVNULL).returncode

    def entry(self, name: str) -> dict[str, Any]:
        """What it says of one component."""
        entry: dict[str, Any] = running.read_status(self.run_dir).get("components", {}).get(name, {})
        return entry

    def pid_when(self, name: str, state: str, restarts: int = 0) -> int:
        """The component's process once it is in this state after so many restarts."""

        def reached() -> int | None:
            entry = self.entry(name)
            fits = entry.get("state") == state and entry["restarts"] >= restarts
            return int(entry["pid"]) if fits else None

        return int(until(reached, f"{name} {state}"))

    def supervisor(self) -> int:
        """Its process."""
        return int(until(lambda: running.read_status(self.run_dir).get("pid"), "status"))

    def processes(self) -> list[int]:
        """Everything alive that belongs to this run directory."""
        return [pid for pid in tether.marked_processes(self.run_dir) if alive(pid)]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """A supervisor's surroundings, emptied after the test."""
    harness = Harness(tmp_path)
    yield harness
    running.stop(tmp_path, Progress(io.StringIO()))


def test_a_killed_component_is_restarted(harness: Harness) -> None:
    """A new process takes the place of the old one, and the status tells how often and why."""
    harness.start(python("worker", SLEEPER))
    first = harness.pid_when("worker", "Ready")
    os.kill(first, signal.SIGKILL)
    assert harness.pid_when("worker", "Ready", restarts=1) != first
    assert harness.entry("worker")["lastExit"] == -signal.SIGKILL


def test_a_component_that_keeps_failing_is_delayed_longer_each_time(harness: Harness) -> None:
    """Between starts lies a growing pause, so that a broken program costs little."""
    starts = harness.run_dir / "starts"
    code = "import sys, time\nopen(sys.argv[1], 'a').write(f'{time.monotonic()}\\n'); sys.exit(3)"
    harness.start(python("broken", code, str(starts)))
    until(lambda: starts.is_file() and len(starts.read_text().splitlines()) >= 5, "five starts")
    times = [float(line) for line in starts.read_text().splitlines()][:5]
    assert times[4] - times[3] > times[2] - times[1]
    assert harness.entry("broken")["lastExit"] == 3


def test_a_program_that_does_not_exist_is_reported_in_its_log(harness: Harness) -> None:
    """The supervisor goes on with the others and says what could not be started."""
    harness.start(Component("ghost", ["/nonexistent/program"]), python("worker", SLEEPER))
    harness.pid_when("worker", "Ready")
    log = harness.run_dir / "logs" / "ghost.log"
    until(lambda: log.is_file() and "cannot be started" in log.read_text(), "the log")


def test_components_stop_in_reverse_order_of_their_start(harness: Harness) -> None:
    """What others depend on goes last, after their end."""
    journal = harness.run_dir / "journal"
    harness.start(
        python("first", STOP_NOTER, str(journal), "first"),
        python("second", STOP_NOTER, str(journal), "second", after=("first",)),
    )
    for name in ("first", "second"):
        until(Path(f"{journal}.{name}").exists, f"{name} runs")
    assert running.stop(harness.run_dir, Progress(io.StringIO()))
    assert journal.read_text().split() == ["second", "first"]
    assert harness.processes() == []


def test_a_component_that_ignores_the_signal_is_killed(harness: Harness) -> None:
    """After its stop time nothing of it runs."""
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\n"
    stubborn = Component("deaf", [sys.executable, "-c", code + SLEEPER], stop_seconds=0.2)
    harness.start(stubborn)
    log = harness.run_dir / "logs" / "deaf.log"
    until(lambda: log.is_file() and "deaf" in log.read_text(), "the handler")
    pid = harness.pid_when("deaf", "Ready")
    running.stop(harness.run_dir, Progress(io.StringIO()))
    assert not alive(pid)


def test_killing_the_supervisor_kills_its_components(harness: Harness) -> None:
    """The kernel takes the children along; nobody has to clean up."""
    harness.start(python("one", SLEEPER), python("two", SLEEPER))
    pids = [harness.pid_when(name, "Ready") for name in ("one", "two")]
    os.kill(harness.supervisor(), signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in pids), "all dead")
    assert not running.is_running(harness.run_dir)


def test_grandchildren_of_an_ended_component_are_swept(harness: Harness) -> None:
    """What a component leaves in its process group ends with it."""
    harness.start(python("parent", PARENT))
    parent = harness.pid_when("parent", "Ready")
    children = Path(f"/proc/{parent}/task/{parent}/children")
    child = int(until(lambda: children.read_text().split(), "a grandchild")[0])
    os.kill(parent, signal.SIGKILL)
    until(lambda: not alive(child), "the grandchild's end")


def test_leftovers_of_a_killed_supervisor_are_swept_by_stop(harness: Harness) -> None:
    """A process that escaped its session but carries the cluster's mark is found and killed."""
    environment = {**os.environ, tether.MARK: str(harness.run_dir)}
    with subprocess.Popen([sys.executable, "-c", SLEEPER], env=environment, start_new_session=True) as stray:
        until(lambda: harness.processes() == [stray.pid], "the mark")
        assert running.stop(harness.run_dir, Progress(io.StringIO()))
        assert stray.wait() == -signal.SIGKILL


def test_a_second_supervisor_is_refused(harness: Harness) -> None:
    """Two of them would start everything twice."""
    assert harness.start(python("worker", SLEEPER)) == 0
    first = harness.pid_when("worker", "Ready")
    assert harness.start(python("worker", SLEEPER)) == 1
    assert harness.entry("worker")["pid"] == first


def test_a_halted_component_stays_down_until_resumed(harness: Harness) -> None:
    """Others run on meanwhile; afterwards it is started anew."""
    harness.start(python("worker", SLEEPER), python("other", SLEEPER))
    first, other = harness.pid_when("worker", "Ready"), harness.pid_when("other", "Ready")
    halted = harness.run_dir / "halted" / "worker"
    halted.touch()
    until(lambda: harness.entry("worker")["state"] == "Halted", "halted")
    assert not alive(first)
    halted.unlink()
    assert harness.pid_when("worker", "Ready") != first
    assert harness.entry("other") == {"pid": other, "state": "Ready", "restarts": 0, "lastExit": None}


def test_the_next_component_waits_until_the_one_before_answers(harness: Harness) -> None:
    """Readiness is the answer at the ready address, not the existence of a process."""
    gate = harness.run_dir / "gate"
    code = """
import http.server, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if pathlib.Path(sys.argv[1]).exists() else 503); self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
pathlib.Path(sys.argv[1] + ".port").write_text(str(server.server_port))
server.serve_forever()
"""
    with subprocess.Popen([sys.executable, "-c", code, str(gate)], stderr=subprocess.DEVNULL) as server:
        port_file = Path(f"{gate}.port")
        until(lambda: port_file.exists() and port_file.read_text(), "the server")
        ready = f"http://127.0.0.1:{port_file.read_text()}/"
        early = Component("early", [sys.executable, "-c", SLEEPER], ready=ready, stop_seconds=1.0)
        harness.start(early, python("late", SLEEPER, after=("early",)))
        harness.pid_when("early", "Starting")
        assert harness.entry("late")["state"] == "Waiting"
        gate.touch()
        harness.pid_when("late", "Ready")
        server.terminate()


def test_the_status_file_is_always_whole(harness: Harness) -> None:
    """It is replaced, never written in place."""
    harness.start(python("broken", "import sys; sys.exit(1)"))
    file = harness.run_dir / "status.json"
    until(file.exists, "status")
    while harness.entry("broken").get("restarts", 0) < 3:
        assert json.loads(file.read_text())["components"]["broken"]["state"]


def test_takes_precedence_where_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is told the weight of the session; one that knows no such weight, or refuses it, changes nothing."""
    told = tmp_path / "autogroup"
    monkeypatch.setattr(supervise, "AUTOGROUP", told)
    supervise.take_precedence()
    assert told.read_text() == "-10"

    monkeypatch.setattr(supervise, "AUTOGROUP", tmp_path / "absent" / "autogroup")
    supervise.take_precedence()
