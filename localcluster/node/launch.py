"""What starting a container takes: command line, environment and working directory. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.objects import Object
from localcluster.tether import MARK

from .addresses import listen_address
from .catalogue import LISTEN, Image
from .environment import Lookup, environment, expand, remount
from .processes import POD_MARK
from .volumes import KUBECONFIG, SERVICE_ACCOUNT_DIR


@dataclass(frozen=True)
class Launch:
    """A local process for a container; `mounts` is mountPath → directory."""

    image: Image
    argv: list[str]
    env: dict[str, str]
    cwd: Path
    mounts: Mapping[str, str]

    def inside(self, command: Sequence[str]) -> list[str]:
        """The local command line of a command that is run in the container."""
        return self.image.argv([remount(word, self.mounts) for word in command], [])


def launch(
    spec: Object,
    pod: Object,
    image: Image,
    found: Lookup,
    allocatable: Mapping[str, str],
    mounts: Mapping[str, str],
    home: Path,
    run_dir: Path,
) -> Launch:
    """How a container is started; raises ConfigError and ProgramError. `home` is the container's own."""
    listen = listen_address(pod["status"]["podIP"])
    asked = environment(spec, pod, found, allocatable)
    env = {
        "PATH": image.path,
        "HOME": str(home),
        "TMPDIR": mounts.get("/tmp", str(home / "tmp")),
        "HOSTNAME": pod["metadata"]["name"],
        "LISTEN_ADDRESS": listen,
        **{name: remount(value, mounts) for name, value in asked.items()},
        **{name: value.replace(LISTEN, listen) for name, value in image.env.items()},
        MARK: str(run_dir),
        POD_MARK: str(run_dir),
    }
    if token_dir := mounts.get(SERVICE_ACCOUNT_DIR):
        env.setdefault("KUBECONFIG", f"{token_dir}/{KUBECONFIG}")
    command, args = ([expand(word, asked) for word in spec.get(key) or []] for key in ("command", "args"))
    program, *words = image.argv(command, args)
    argv = [program, *(remount(word, mounts) for word in words)]
    directory = spec.get("workingDir") or ""
    mounted = remount(directory, mounts)
    return Launch(image, argv, env, Path(mounted) if mounted != directory else home, mounts)
