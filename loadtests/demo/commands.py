"""Runs real commands, and shows each as it would be typed."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


class CommandError(Exception):
    """A command failed; the message holds the command and what it said."""


def kubectl_program(run_dir: Path) -> str:
    """Return the kubectl of the local cluster, else the one on PATH or next to this interpreter."""
    for found in (
        run_dir / "bin" / "kubectl",
        shutil.which("kubectl"),
        Path(sys.executable).with_name("kubectl"),
    ):
        if found and Path(found).exists():
            return str(found)
    raise CommandError("kubectl was not found; put it on PATH")


class Commands:
    """Runs commands in the repository's root, with the cluster's kubeconfig in their environment."""

    def __init__(self, say: Callable[[str], None], kubectl: str, environment: Mapping[str, str]) -> None:
        self._say = say
        self._kubectl = kubectl
        self._environment = {**os.environ, **environment}

    async def kubectl(self, line: str) -> str:
        """Run one kubectl command, given as it is typed after `kubectl `; return its output. Raises CommandError."""
        return await self._output(f"kubectl {line}", self._kubectl, line)

    async def servingctl(self, line: str) -> str:
        """Run one command of the `servingctl` beside this interpreter, likewise."""
        return await self._output(
            f"servingctl {line}", str(Path(sys.executable).with_name("servingctl")), line
        )

    async def _output(self, shown: str, program: str, line: str) -> str:
        self._say(f"$ {shown}")
        process = await asyncio.create_subprocess_exec(
            program,
            *shlex.split(line),
            cwd=REPOSITORY,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output = (await process.communicate())[0].decode(errors="replace").rstrip()
        except asyncio.CancelledError:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        if process.returncode:
            raise CommandError(f"{shown}\n{output}")
        return output


async def run_visibly(*arguments: str) -> int:
    """Run a command of this project with its output on the terminal; return its exit status."""
    process = await asyncio.create_subprocess_exec(*arguments, cwd=REPOSITORY)
    try:
        return await process.wait()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        raise
