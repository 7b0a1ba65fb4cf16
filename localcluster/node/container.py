"""One container: start its process, probe it, start it again, stop it."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from localcluster.api import ApiError, now
from localcluster.objects import Object

from . import environment, volumes
from .addresses import conflict, listen_address
from .catalogue import ImageError, ProgramError, find
from .environment import ConfigError
from .host import Host
from .last_words import last_words, path_of
from .launch import Launch, launch
from .mounting import Mounting
from .probes import Probe, Tally, ask, watch
from .processes import Process
from .restarts import Backoff, restarts
from .status import ContainerState

log = logging.getLogger(__name__)
_START_ERROR_EXIT_CODE = 128


class AddressInUseError(Exception):
    """A port that the container states is held by a process that is not its own."""

    reason = "RunContainerError"


class Container:
    """Runs one container until its restart policy ends it or it is stopped."""

    def __init__(
        self,
        host: Host,
        pod: Callable[[], Object],
        spec: Object,
        state: ContainerState,
        policy: str,
        mounting: Mounting,
        changed: Callable[[], None],
    ) -> None:
        self._host, self._pod, self.spec, self.state, self._policy = host, pod, spec, state, policy
        self._mounting, self._changed = mounting, changed
        self._backoff = Backoff(host.backoff_base_seconds)
        self._group = f"{pod()['metadata']['uid']}_{spec['name']}"
        self._launched: Launch | None = None
        self._cgroup: Path | None = None
        self._message = Path()
        self._stopping = False
        self._ending = ""
        self.process: Process | None = None

    @property
    def _name(self) -> str:
        return str(self.spec["name"])

    @property
    def cpu_limit(self) -> str | None:
        """The CPU limit as the spec states it."""
        limit = (self.spec.get("resources", {}).get("limits") or {}).get("cpu")
        return str(limit) if limit is not None else None

    async def run(self) -> int:
        """Run until it is not started again; the last exit code."""
        if self.state.exit_code is not None:
            if not restarts(self._policy, self.state.exit_code):
                return self.state.exit_code
            self._backoff.delay_seconds(0)
        while True:
            began = time.monotonic()
            try:
                launched = await self._prepare()
                if self._stopping:
                    return self.state.exit_code or 0
                self._start(launched)
            except (ImageError, ConfigError, AddressInUseError) as error:
                await self._wait(error.reason, str(error))
                continue
            except ApiError as error:
                log.warning("container %s not started, trying again: %s", self._group, error)
                await asyncio.sleep(1)
                continue
            except (ProgramError, OSError, subprocess.SubprocessError) as error:
                self.state.running("local://none", now())
                self.state.exited(_START_ERROR_EXIT_CODE, "StartError", str(error), now())
            else:
                await self._watch_over()
            self._changed()
            code = self.state.exit_code or 0
            if self._stopping or not restarts(self._policy, code):
                return code
            delay = self._backoff.delay_seconds(time.monotonic() - began)
            if delay:
                message = f"back-off {delay:g}s restarting failed container={self._name}"
                self._host.event(self._pod(), "BackOff", message)
                self.state.waiting("CrashLoopBackOff", message)
                self._changed()
                await asyncio.sleep(delay)

    async def _wait(self, reason: str, message: str) -> None:
        """Say why it cannot be made, then that it is being tried again less and less often."""
        self._host.event(self._pod(), "Failed", message)
        self.state.waiting(reason, message)
        self._changed()
        delay = self._backoff.delay_seconds(0)
        if reason == "ErrImagePull" and delay:
            self.state.waiting("ImagePullBackOff", f"Back-off pulling image: ErrImagePull: {message}")
            self._changed()
        await asyncio.sleep(max(delay, 1.0))

    async def _prepare(self) -> Launch:
        pod, host, spec = self._pod(), self._host, self.spec
        image = find(host.catalogue, spec["image"])
        await asyncio.to_thread(image.pull)
        for port in spec.get("ports") or []:
            listen = listen_address(pod["status"]["podIP"])
            if port.get("protocol", "TCP") == "TCP" and (taken := conflict(listen, port["containerPort"])):
                raise AddressInUseError(taken)
        found = await self._mounting.look_up(environment.references(spec))
        mounts = volumes.mounts(spec, self._mounting.directories)
        home = host.own_dir(pod["metadata"]["uid"]) / self._name
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        self._message = home / "termination-log"
        self._message.unlink(missing_ok=True)
        mounts[path_of(spec)] = str(self._message)
        return launch(spec, pod, image, found, host.allocatable, mounts, home, host.run_dir)

    def _start(self, launched: Launch) -> None:
        if self.cpu_limit:
            self._cgroup = self._host.cpu_limits.create(self._group, environment.quantity(self.cpu_limit))
        with self._host.log_file(self._pod(), self._name).open("ab") as output:
            self.process = Process(launched.argv, launched.env, launched.cwd, output, self._cgroup)
        self._limit(self.process)
        self._launched = launched
        self.state.running(f"local://{self.process.pid}-{time.monotonic_ns()}", now())
        self._host.save_state()
        self._changed()

    def _limit(self, process: Process) -> None:
        if self.cpu_limit:
            self._host.cpu_limits.hold(self._group, process)

    async def _watch_over(self) -> None:
        """From its start to its end: hooks, probes, exit."""
        process = self.process
        assert process is not None
        self._ending = ""
        beside = self._host.spawn(self._hook_and_probe(time.monotonic()))
        try:
            code = await process.wait()
        finally:
            beside.cancel()
        if not self._ending and 128 < code <= 128 + signal.SIGRTMAX:
            self._ending = f"ended by signal {code - 128}"
        log_file = self._host.log_file(self._pod(), self._name)
        said = self._ending or last_words(self.spec, self._message, log_file, code)
        self.state.exited(code, "Completed" if code == 0 else "Error", said, now())
        self.process = None
        self._host.cpu_limits.remove(self._group)
        self._host.save_state()

    async def _hook_and_probe(self, started: float) -> None:
        if hook := (self.spec.get("lifecycle") or {}).get("postStart"):
            success, message = await self._ask(hook, 300)
            if not success:
                self._kill(None, "FailedPostStartHook", message)
                return
        if "startupProbe" in self.spec:
            await self._probe("startup", False, started)
        self.state.started = True
        self.state.ready = "readinessProbe" not in self.spec
        self._changed()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._probe("readiness", False, started))
            group.create_task(self._probe("liveness", True, started))

    async def _probe(self, kind: str, healthy: bool, started: float) -> None:
        if f"{kind}Probe" not in self.spec:
            return
        probe = Probe.of(self.spec[f"{kind}Probe"])

        async def once() -> tuple[bool, str]:
            success, message = await self._ask(probe.handler, probe.timeout_seconds)
            if not success:
                self._host.event(self._pod(), "Unhealthy", f"{kind} probe of {self._name} failed: {message}")
            return success, message

        def decided(success: bool, message: str) -> None:
            if kind == "readiness" and self.state.ready != success:
                self.state.ready = success
                self._changed()
            elif kind != "readiness" and not success and not self._stopping:
                self._kill(
                    probe.grace_seconds, "Killing", f"{kind} probe failed, will be restarted: {message}"
                )

        await watch(probe, Tally(probe, healthy), started, once, decided, kind == "startup")

    def _kill(self, grace_seconds: float | None, reason: str, message: str) -> None:
        """End the process so that the restart policy decides what follows."""
        if self._ending or self.process is None:
            return
        self._ending = message
        self._host.event(self._pod(), reason, f"container {self._name}: {message}")
        grace = grace_seconds or self._pod()["spec"].get("terminationGracePeriodSeconds") or 30
        self._host.spawn(self._end(self.process, grace))

    async def _ask(self, handler: Object, timeout_seconds: float) -> tuple[bool, str]:
        pod_ip = self._pod()["status"]["podIP"]
        return await ask(handler, self.spec, pod_ip, timeout_seconds, self._execute, self._host.http)

    async def _execute(self, command: list[str], timeout_seconds: float) -> tuple[bool, str]:
        """Run a command in the container's environment and limits."""
        assert self._launched is not None
        try:
            argv, env = self._launched.inside(command), self._launched.env
            process = Process(argv, env, self._launched.cwd, subprocess.DEVNULL, self._cgroup)
            self._limit(process)
        except (ProgramError, OSError, subprocess.SubprocessError) as error:
            return False, str(error)
        try:
            async with asyncio.timeout(timeout_seconds):
                code = await process.wait()
        finally:
            process.signal_group(signal.SIGKILL)
        return code == 0, f"command {' '.join(command)[:200]!r} exited with code {code}"

    async def _end(self, process: Process, grace_seconds: float) -> None:
        """preStop and SIGTERM, both within the grace period, then SIGKILL."""
        began = time.monotonic()
        if hook := (self.spec.get("lifecycle") or {}).get("preStop"):
            asked = self._host.spawn(self._ask(hook, grace_seconds))
            await asyncio.wait({asked, self._host.spawn(process.wait())}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done() and not asked.result()[0]:
                self._host.event(self._pod(), "FailedPreStopHook", asked.result()[1])
        # A kubelet leaves two seconds to a process whose preStop hook used up the grace period.
        await process.stop(max(grace_seconds - (time.monotonic() - began), 2.0 if grace_seconds > 1 else 0))

    def kill(self) -> None:
        """End it at once."""
        if self.process:
            self.process.signal_group(signal.SIGKILL)

    async def stop(self, grace_seconds: float) -> None:
        """End it for good."""
        self._stopping = True
        if self.process:
            await self._end(self.process, grace_seconds)
