"""A pod's volumes as directories: what they hold (pure), and how that gets there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcluster.files import replace_file
from localcluster.objects import Object

from .environment import ConfigError, Lookup, Reference, entries, field, resource

KUBECONFIG = ".kubeconfig"
"""Written beside a service account token."""
SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
Files = dict[str, tuple[bytes, int]]
"""Path in the volume → content and mode."""
_WRITTEN = {"configMap", "secret", "downwardAPI", "projected"}


def sources(volume: Object) -> list[tuple[str, Object]]:
    """The (kind, source) pairs of a written volume; a projected volume has several."""
    if "projected" in volume:
        return [next(iter(source.items())) for source in volume["projected"].get("sources") or []]
    return [(kind, source) for kind, source in volume.items() if kind in _WRITTEN]


def references(volume: Object) -> set[Reference]:
    """The ConfigMaps and Secrets that a volume is written from."""
    found: set[Reference] = set()
    for kind, source in sources(volume):
        if kind == "configMap":
            found.add(("configmaps", source["name"]))
        elif kind == "secret":
            found.add(("secrets", source.get("secretName") or source["name"]))
    return found


def files(
    volume: Object, pod: Object, found: Lookup, token: Mapping[str, str], allocatable: Mapping[str, str]
) -> Files:
    """What a written volume holds. `token` has a service account token for each audience."""
    result: Files = {}
    outer = next(volume[kind] for kind in _WRITTEN if kind in volume)
    default_mode = int(outer.get("defaultMode") or 0o644)
    for kind, source in sources(volume):
        if kind == "serviceAccountToken":
            result[source["path"]] = (token[source.get("audience", "")].encode(), 0o600)
            continue
        if kind == "downwardAPI":
            for item in source.get("items") or []:
                at = item.get("fieldRef", {}).get("fieldPath")
                text = field(pod, at) if at else resource(pod, item["resourceFieldRef"], "", allocatable)
                result[item["path"]] = (text.encode(), int(item.get("mode") or default_mode))
            continue
        plural = {"configMap": "configmaps", "secret": "secrets"}.get(kind)
        if plural is None:
            raise ConfigError(f"volume {volume['name']}: projected source {kind} is not supported")
        name, optional = source.get("secretName") or source["name"], bool(source.get("optional"))
        values = entries(found, plural, name, optional)
        if values is None:
            continue
        items = source.get("items") or [{"key": key, "path": key} for key in values]
        for item in items:
            if item["key"] in values:
                result[item["path"]] = (values[item["key"]], int(item.get("mode") or default_mode))
            elif not optional:
                raise ConfigError(f"volume {volume['name']}: {kind} {name} has no key {item['key']}")
    return result


def write(directory: Path, wanted: Files) -> None:
    """Make a directory hold these files and no others; a file in use is replaced, never rewritten."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_file() and str(path.relative_to(directory)) not in wanted:
            path.unlink()
    for name, (content, mode) in wanted.items():
        replace_file(directory / name, content, mode)


def directory(volume: Object, own: Path, volume_paths: Mapping[str, str]) -> Path:
    """Where a volume lives. `volume_paths`: PersistentVolumeClaim name → directory."""
    if "persistentVolumeClaim" in volume:
        path = Path(volume_paths[volume["persistentVolumeClaim"]["claimName"]])
    elif "hostPath" in volume:
        path = Path(volume["hostPath"]["path"])
    elif "emptyDir" in volume or any(kind in volume for kind in _WRITTEN):
        path = own / "volumes" / volume["name"]
    else:
        kinds = ", ".join(key for key in volume if key != "name")
        raise ConfigError(f"volume {volume['name']}: {kinds} is not supported by the local cluster")
    path.mkdir(parents=True, exist_ok=True)
    return path


def mounts(container: Object, directories: Mapping[str, Path]) -> dict[str, str]:
    """mountPath → directory, for one container; makes the directories of subPaths."""
    result = {}
    for mount in container.get("volumeMounts") or []:
        if "subPathExpr" in mount:
            raise ConfigError(f"volumeMount {mount['mountPath']}: subPathExpr is not supported, use subPath")
        path = directories[mount["name"]] / mount.get("subPath", "")
        if not path.exists():
            path.mkdir(parents=True)
        result[mount["mountPath"].rstrip("/")] = str(path)
    return result


def kubeconfig(cluster: Mapping[str, Any], namespace: str, token_file: Path) -> Object:
    """A kubeconfig whose token is read from a file, which is how a mounted token is renewed."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "pod",
        "clusters": [{"name": "local", "cluster": dict(cluster)}],
        "users": [{"name": "pod", "user": {"tokenFile": str(token_file)}}],
        "contexts": [{"name": "pod", "context": {"cluster": "local", "user": "pod", "namespace": namespace}}],
    }


def remove(own: Path) -> None:
    """Delete a pod's directories."""
    shutil.rmtree(own, ignore_errors=True)
