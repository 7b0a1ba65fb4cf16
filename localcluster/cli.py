"""The command line: `.venv/bin/python -m localcluster up|down|status|logs|env`."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from localcluster import binaries, download, environments, gobuild, pki, running, up, versions
from localcluster.cluster import DEFAULT_RUN_DIR, Cluster, ClusterNotFoundError, NodeCapacity
from localcluster.interruption import first_only
from localcluster.paths import this_python
from localcluster.progress import Progress

EXPECTED = (
    binaries.ProgramMissingError,
    download.DownloadError,
    environments.EnvironmentBuildError,
    gobuild.BuildError,
    pki.PkiError,
    running.ComponentStuckError,
    up.StartError,
    versions.UnsupportedPlatformError,
    ClusterNotFoundError,
)


def _memory_of_machine() -> str:
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{pages * page_bytes // 2**20}Mi"


def parser() -> argparse.ArgumentParser:
    """The argument parser of all commands."""
    whole = argparse.ArgumentParser(
        prog=f"{this_python()} -m localcluster", description="A Kubernetes cluster on loopback."
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--run-dir", type=Path, default=DEFAULT_RUN_DIR, help="the cluster's files (default: %(default)s)"
        )
        return command

    start = add("up", "start a cluster, or say that it runs; returns when it is ready")
    start.add_argument(
        "--cpu", default=str(os.cpu_count() or 1), help="allocatable CPU (default: %(default)s)"
    )
    start.add_argument(
        "--memory", default=_memory_of_machine(), help="allocatable memory (default: %(default)s)"
    )
    start.add_argument(
        "--gpus", type=int, default=0, help="allocatable nvidia.com/gpu (default: %(default)s)"
    )
    add("down", "stop the cluster and everything that it started; its logs stay until the next `up`")
    add("status", "show the components: state, process, restarts, memory")
    logs = add("logs", "print a component's log")
    logs.add_argument("component", help="a name that `status` shows, or `supervisor`")
    logs.add_argument("-f", "--follow", action="store_true", help="go on printing what is added")
    add("env", f'print shell exports; use with eval "$({this_python()} -m localcluster env)"')
    for name, text in (
        ("halt", "stop one component and keep it stopped"),
        ("resume", "start a halted component again"),
    ):
        add(name, text).add_argument("component", help="a name that `status` shows")
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = parser().parse_args(arguments)
    progress = Progress()
    try:
        with first_only():  # a terminated `up` cleans up like a Ctrl-C
            return _COMMANDS[options.command](options, progress)
    except EXPECTED as error:
        progress.say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        progress.say("interrupted; run the same command again to go on")
        return 130


def _up(options: argparse.Namespace, progress: Progress) -> int:
    node = NodeCapacity(cpu=options.cpu, memory=options.memory, gpus=options.gpus)
    cluster = up.start(options.run_dir, node, progress)
    flag = "" if options.run_dir == DEFAULT_RUN_DIR else f" --run-dir {shlex.quote(str(options.run_dir))}"
    progress.say(
        f"ready: API server {cluster.api_url}, gateway {cluster.gateway_url}, Prometheus {cluster.prometheus_url}"
    )
    print(f'next: eval "$({this_python()} -m localcluster env{flag})" && kubectl get nodes')
    print(f"stop: {this_python()} -m localcluster down{flag}")
    return 0


def _down(options: argparse.Namespace, progress: Progress) -> int:
    there = running.stop(options.run_dir, progress)
    progress.say("stopped" if there else f"nothing runs in {options.run_dir}")
    return 0


def _resident_mebibytes(pid: int | None) -> str:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return "-"
    return f"{pages * os.sysconf('SC_PAGE_SIZE') / 2**20:.0f}"


def _status(options: argparse.Namespace, _: Progress) -> int:
    cluster = Cluster.load(options.run_dir)
    alive = running.is_running(cluster.run_dir)
    status = running.read_status(cluster.run_dir)
    rows = [("COMPONENT", "STATE", "PID", "RESTARTS", "MEMORY MiB")]
    supervisor = status.get("pid") if alive else None
    state = "Ready" if alive else "Dead"
    rows.append(("supervisor", state, str(supervisor or "-"), "0", _resident_mebibytes(supervisor)))
    for name, entry in status.get("components", {}).items():
        state = entry["state"] if alive else "Dead"
        pid = entry["pid"] if alive else None
        rows.append((name, state, str(pid or "-"), str(entry["restarts"]), _resident_mebibytes(pid)))
    for row in rows:
        print("{:<26}{:<10}{:<10}{:<10}{}".format(*row))
    healthy = all(entry["state"] == "Ready" for entry in status.get("components", {}).values())
    return 0 if alive and healthy else 1


def _logs(options: argparse.Namespace, _: Progress) -> int:
    log_dir = Path(options.run_dir).resolve() / "logs"
    file = log_dir / f"{options.component}.log"
    if not file.is_file():
        names = sorted(path.stem for path in log_dir.glob("*.log"))
        raise ClusterNotFoundError(
            f"no log of {options.component!r}; there are: {', '.join(names) or 'none'}"
        )
    command = ["tail", "-n", "+1", *(["-f"] if options.follow else []), str(file)]
    return subprocess.run(command).returncode


def _env(options: argparse.Namespace, _: Progress) -> int:
    cluster = Cluster.load(options.run_dir)
    print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
    print(f"export GATEWAY_URL={cluster.gateway_url}")
    print(f"export PROMETHEUS_URL={cluster.prometheus_url}")
    print(f"export PATH={shlex.quote(str(cluster.run_dir / 'bin'))}:$PATH")
    return 0


def _halt(options: argparse.Namespace, progress: Progress) -> int:
    return _switch(options, progress, halted=True)


def _resume(options: argparse.Namespace, progress: Progress) -> int:
    return _switch(options, progress, halted=False)


def _switch(options: argparse.Namespace, progress: Progress, halted: bool) -> int:
    cluster = Cluster.load(options.run_dir)
    running.switch(cluster, options.component, halted)
    progress.say(f"{options.component} is {'halted' if halted else 'running'}")
    return 0


_COMMANDS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "logs": _logs,
    "env": _env,
    "halt": _halt,
    "resume": _resume,
}

if __name__ == "__main__":
    sys.exit(main())
