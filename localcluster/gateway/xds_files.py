"""The files that Envoy follows. Each is replaced by rename, and only when its content differs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localcluster.files import replace_file
from localcluster.gateway.resources import Resource, discovery_response
from localcluster.gateway.translate import Layout, Translation

LINGER_SECONDS = 15.0
"""How long a cluster outlives the last route that named it: Envoy's workers learn of routes a little later."""


def version_of(path: Path) -> str:
    """`version_info` of a file that was written before; empty if there is none."""
    if not path.is_file():
        return ""
    return str(json.loads(path.read_text(encoding="utf-8"))["version_info"])


@dataclass(frozen=True)
class Versions:
    """The versions last written, by the resource that Envoy reports them for."""

    clusters: str
    listeners: str
    routes: Mapping[str, str]
    endpoints: Mapping[str, str]


@dataclass
class XdsFiles:
    """The directory of Envoy's files.

    The order of writing makes before it breaks: endpoints, clusters (new beside old), and only once Envoy has
    these in force routes and listeners; clusters that no route names any more go after LINGER_SECONDS.
    """

    layout: Layout
    _versions: dict[Path, str] = field(default_factory=dict)
    """Of the files that were read or written: nobody else writes them."""
    _clusters: dict[str, Resource] | None = None
    """Those in the clusters' file, once it was read or written."""
    _unused_since: dict[str, float | None] = field(default_factory=dict)
    """Clusters that no route names any more, and since when Envoy's routes do without them."""

    @property
    def clusters_file(self) -> Path:
        """All clusters."""
        return self.layout.directory / "cds.json"

    @property
    def listeners_file(self) -> Path:
        """All listeners."""
        return self.layout.directory / "lds.json"

    def create_if_absent(self) -> None:
        """Give a first Envoy empty files to start from; files that exist are left as they are."""
        _, empty = discovery_response([])
        for path in (self.clusters_file, self.listeners_file):
            if not path.is_file():
                replace_file(path, empty)

    def write_endpoints(self, translation: Translation) -> None:
        """Write the endpoints of every cluster; a cluster needs its file when it is added."""
        for name, assignment in translation.endpoints.items():
            self._write(self.layout.endpoints_file(name), [assignment])

    def write_clusters(self, translation: Translation, now: float) -> bool:
        """Write the clusters that are wanted or were until a short while ago; says whether they differed.

        `now` is in seconds of a monotonic clock.
        """
        wanted = dict(translation.clusters)
        for name, old in self._clusters_in_place().items():
            since = self._unused_since.setdefault(name, None) if name not in wanted else None
            if name not in wanted and (since is None or now - since < LINGER_SECONDS):
                wanted[name] = old
        self._unused_since = {
            name: since
            for name, since in self._unused_since.items()
            if name in wanted and name not in translation.clusters
        }
        self._clusters = wanted
        return self._write(self.clusters_file, wanted.values())

    def routes_differ(self, translation: Translation) -> bool:
        """Whether routes or listeners have to be written."""
        wanted = {self.layout.routes_file(name): [route] for name, route in translation.routes.items()}
        wanted[self.listeners_file] = list(translation.listeners.values())
        return any(
            self._version(path) != discovery_response(_ordered(resources))[0]
            for path, resources in wanted.items()
        )

    def write_routes(self, translation: Translation) -> None:
        """Write the routes, then the listeners. The clusters that they name have to be in force."""
        for name, resource in translation.routes.items():
            self._write(self.layout.routes_file(name), [resource])
        self._write(self.listeners_file, translation.listeners.values())

    def routes_settled(self, now: float) -> None:
        """Note that Envoy serves the routes last written: from now on unused clusters linger."""
        self._unused_since = {
            name: now if since is None else since for name, since in self._unused_since.items()
        }

    def lingering(self) -> bool:
        """Whether clusters wait for their removal."""
        return bool(self._unused_since)

    def remove_orphans(self, translation: Translation) -> None:
        """Delete files that neither the clusters in place nor the listeners name."""
        kept = {self.layout.endpoints_file(name) for name in self._clusters_in_place()}
        kept |= {self.layout.routes_file(name) for name in translation.routes}
        for folder in ("endpoints", "routes"):
            for path in (self.layout.directory / folder).glob("*.json"):
                if path not in kept:
                    path.unlink()
                    self._versions.pop(path, None)

    def versions(self, translation: Translation) -> Versions:
        """The versions that Envoy has to report for everything to be in force."""
        return Versions(
            clusters=self._version(self.clusters_file),
            listeners=self._version(self.listeners_file),
            routes={name: self._version(self.layout.routes_file(name)) for name in translation.routes},
            endpoints={
                name: self._version(self.layout.endpoints_file(name)) for name in translation.endpoints
            },
        )

    def _clusters_in_place(self) -> dict[str, Resource]:
        if self._clusters is None:
            path = self.clusters_file
            content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"resources": []}
            self._clusters = {item["name"]: item for item in content["resources"]}
        return self._clusters

    def _version(self, path: Path) -> str:
        if path not in self._versions:
            self._versions[path] = version_of(path)
        return self._versions[path]

    def _write(self, path: Path, resources: Iterable[Resource]) -> bool:
        version, text = discovery_response(_ordered(resources))
        if self._version(path) == version:
            return False
        self._versions[path] = version
        return replace_file(path, text)


def _ordered(resources: Iterable[Resource]) -> list[Resource]:
    """By name; endpoints and a port's routes are alone in their files."""
    return sorted(resources, key=lambda item: str(item.get("name")))
