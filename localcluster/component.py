"""The processes of a cluster, as data: `config/components.yaml`, filled in for one cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import yaml

from localcluster.cluster import Cluster
from localcluster.paths import CONFIG


@dataclass(frozen=True)
class Component:
    """How to run one process, what it waits for, and when it counts as ready."""

    name: str
    argv: Sequence[str]
    ready: str | None = None
    """Address that answers 2xx; without one, ready is what runs."""
    trust: str | None = None
    """Certificate of the authority that vouches for `ready`."""
    identify: str | None = None
    """Path, without its ending, of the client certificate and key that `ready` asks for."""
    after: Sequence[str] = ()
    """Components that must be ready before this one is first started."""
    needs_basics: bool = False
    """Not started before the namespaces, roles and CRDs of a new cluster are installed."""
    stop_seconds: float = 10.0
    """How long after SIGTERM it is killed."""


def components_of(
    cluster: Cluster, programs: Mapping[str, Path], only: Collection[str] = ()
) -> list[Component]:
    """The components of `cluster`, or `only` those named; `programs` maps words of `config/components.yaml` to executables."""
    words = {field.name: getattr(cluster, field.name) for field in fields(cluster)}
    words |= {**programs, "pki_dir": cluster.pki_dir, "config_dir": CONFIG, "python": sys.executable}
    words |= {"envoy_admin_host": cluster.envoy_admin_host, "dcgm_host": cluster.dcgm_host}

    def filled(entry: Mapping[str, object]) -> Component:
        raw = {**entry, "argv": [str(word).format_map(words) for word in _list(entry["argv"])]}
        if "ready" in raw:
            raw["ready"] = str(raw["ready"]).format_map(words)
        if "trust" in raw:
            raw["trust"] = f"{cluster.pki_dir}/{raw['trust']}.crt"
        if "identify" in raw:
            raw["identify"] = f"{cluster.pki_dir}/{raw['identify']}"
        return Component(**raw)  # type: ignore[arg-type]

    entries = yaml.safe_load((CONFIG / "components.yaml").read_text(encoding="utf-8"))
    return [filled(entry) for entry in entries if not only or entry["name"] in only]


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def save(run_dir: Path, components: Sequence[Component]) -> None:
    """Store what the supervisor is to run."""
    text = json.dumps([asdict(component) for component in components], indent=1)
    (run_dir / "components.json").write_text(text, encoding="utf-8")


def load(run_dir: Path) -> list[Component]:
    """What `save` stored."""
    text = (run_dir / "components.json").read_text(encoding="utf-8")
    return [Component(**entry) for entry in json.loads(text)]
