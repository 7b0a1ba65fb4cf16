"""Volumes as directories, and what starting a container takes."""

from __future__ import annotations

import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from localcluster.node import provisioner
from localcluster.node.catalogue import find, images
from localcluster.node.environment import ConfigError
from localcluster.node.launch import launch
from localcluster.node.volumes import directory, files, mounts, references, write

POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "b"}},
    "spec": {"containers": [{"name": "model"}]},
    "status": {"podIP": "10.244.0.9"},
}
FOUND = {
    ("configmaps", "c"): {"data": {"x": "1", "y": "2"}, "binaryData": {"z": b64encode(b"\0\1").decode()}},
    ("secrets", "s"): {"data": {"k": b64encode(b"v").decode()}},
    ("configmaps", "none"): None,
}


def held(volume: dict[str, Any]) -> dict[str, bytes]:
    return {path: content for path, (content, _) in files(volume, POD, FOUND, {"": "tok"}, {}).items()}


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"configMap": {"name": "c"}}, {"x": b"1", "y": b"2", "z": b"\0\1"}),
        ({"configMap": {"name": "c", "items": [{"key": "x", "path": "a/b"}]}}, {"a/b": b"1"}),
        ({"secret": {"secretName": "s"}}, {"k": b"v"}),
        ({"configMap": {"name": "none", "optional": True}}, {}),
        (
            {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"l": b'a="b"'},
        ),
        (
            {
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token"}},
                        {"configMap": {"name": "c", "items": [{"key": "y", "path": "y"}]}},
                        {"secret": {"name": "s"}},
                    ]
                }
            },
            {"token": b"tok", "y": b"2", "k": b"v"},
        ),
    ],
)
def test_contents(volume: dict[str, Any], expected: dict[str, bytes]) -> None:
    """Each kind of written volume holds what its objects say."""
    assert held({"name": "v", **volume}) == expected


def test_missing_content_is_an_error() -> None:
    """A missing object or key is named, unless it is optional."""
    with pytest.raises(ConfigError, match='configmap "none" not found'):
        held({"name": "v", "configMap": {"name": "none"}})
    with pytest.raises(ConfigError, match="volume v: configMap c has no key q"):
        held({"name": "v", "configMap": {"name": "c", "items": [{"key": "q", "path": "q"}]}})


def test_references_of_a_projected_volume() -> None:
    """All objects that a projected volume reads are known before it is written."""
    sources = [
        {"configMap": {"name": "c"}},
        {"secret": {"name": "s"}},
        {"serviceAccountToken": {"path": "t"}},
    ]
    assert references({"name": "v", "projected": {"sources": sources}}) == {
        ("configmaps", "c"),
        ("secrets", "s"),
    }


def test_write_replaces_and_removes(tmp_path: Path) -> None:
    """A directory holds exactly the wanted files, and an unchanged file is not touched."""
    write(tmp_path, {"a/b": (b"1", 0o644), "keep": (b"same", 0o600)})
    kept = (tmp_path / "keep").stat()
    write(tmp_path, {"c": (b"2", 0o644), "keep": (b"same", 0o600)})
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["c", "keep"]
    assert (tmp_path / "keep").stat().st_ino == kept.st_ino
    assert kept.st_mode & 0o777 == 0o600


def test_directories_and_sub_paths(tmp_path: Path) -> None:
    """A claim is its volume's directory, an emptyDir one of the pod's own, and subPath a part of it."""
    claim = {"name": "m", "persistentVolumeClaim": {"claimName": "models"}}
    assert directory(claim, tmp_path, {"models": str(tmp_path / "pv")}) == tmp_path / "pv"
    empty = directory({"name": "e", "emptyDir": {"medium": "Memory"}}, tmp_path, {})
    container = {"volumeMounts": [{"name": "e", "mountPath": "/cache/", "subPath": "a/b"}]}
    assert mounts(container, {"e": empty}) == {"/cache": str(empty / "a/b")}
    assert (empty / "a/b").is_dir()


def test_unsupported_volume_is_named(tmp_path: Path) -> None:
    """A volume of another kind is refused by name."""
    with pytest.raises(ConfigError, match="volume v: nfs is not supported"):
        directory({"name": "v", "nfs": {}}, tmp_path, {})


def launched(spec: dict[str, Any], where: dict[str, str], image: str = "python:3.11-slim") -> Any:
    catalogue = images(Path(sys.executable), Path("/cache"))
    return launch(spec, POD, find(catalogue, image), {}, {}, where, Path("/h"), Path("/run-dir"))


def test_launch_maps_mounts_in_the_containers_own_words() -> None:
    """env, command, args and workingDir name the directory behind a mountPath; the agent's own do not."""
    spec = {
        "name": "model",
        "command": ["python", "/mnt/m/serve.py"],
        "args": ["--dir=$(DIR)"],
        "workingDir": "/mnt/m/src",
        "env": [{"name": "DIR", "value": "/mnt/m/1"}],
    }
    found = launched(spec, {"/mnt/m": "/real"})
    assert found.argv == [sys.executable, "/real/serve.py", "--dir=/real/1"]
    assert found.env["DIR"] == "/real/1"
    assert found.cwd == Path("/real/src")
    assert found.env["HOME"] == "/h"
    assert found.env["LISTEN_ADDRESS"] == "127.244.0.9"
    assert found.inside(["python", "/mnt/m/x"]) == [sys.executable, "/real/x"]


def test_launch_without_mounts_starts_at_home() -> None:
    """A workingDir that is no mount does not exist here: the process starts in its home."""
    assert launched({"name": "model", "workingDir": "/app"}, {}).cwd == Path("/h")


def test_kubeconfig_only_with_a_mounted_token() -> None:
    """KUBECONFIG is set for a pod whose token is mounted, and only for it."""
    token_dir = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert launched({"name": "model"}, {token_dir: "/t"}).env["KUBECONFIG"] == "/t/.kubeconfig"
    assert "KUBECONFIG" not in launched({"name": "model"}, {}).env


def test_model_server_gets_its_address() -> None:
    """MLServer's host is the pod's listen address, whatever the pod says."""
    spec = {"name": "model", "env": [{"name": "MLSERVER_HOST", "value": "0.0.0.0"}]}
    assert launched(spec, {}, "seldonio/mlserver:1.7.1").env["MLSERVER_HOST"] == "127.244.0.9"


def test_volume_for_a_claim(tmp_path: Path) -> None:
    """A pending claim of the default class gets a volume that is bound to it alone."""
    claim = {
        "metadata": {"name": "models", "namespace": "n", "uid": "7"},
        "spec": {
            "storageClassName": "local-path",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    assert provisioner.pending(claim)
    made = provisioner.volume(claim, tmp_path)["spec"]
    assert made["claimRef"]["uid"] == "7"
    assert made["capacity"] == {"storage": "1Gi"}
    assert made["hostPath"]["path"] == str(tmp_path)
    assert not provisioner.pending({**claim, "spec": {**claim["spec"], "volumeName": "v"}})
    assert not provisioner.pending({**claim, "spec": {**claim["spec"], "storageClassName": "other"}})
