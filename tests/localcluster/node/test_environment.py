"""A container's variables, expansions and mounted paths."""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest

from localcluster.node.environment import ConfigError, environment, expand, quantity, references, remount

POD: dict[str, Any] = {
    "metadata": {
        "name": "p",
        "namespace": "n",
        "uid": "u-1",
        "labels": {"serving-operator.dev/service": "digits"},
        "annotations": {"a": "b"},
    },
    "spec": {
        "nodeName": "local",
        "serviceAccountName": "default",
        "containers": [{"name": "model", "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}}}],
    },
    "status": {"podIP": "10.244.1.2", "hostIP": "127.0.0.1"},
}
FOUND = {
    ("configmaps", "settings"): {"data": {"A": "1", "B": "2"}},
    ("secrets", "token"): {"data": {"key": b64encode(b"hidden").decode()}},
    ("configmaps", "absent"): None,
}


def env_of(**container: Any) -> dict[str, str]:
    return environment({"name": "model", **container}, POD, FOUND, {"cpu": "2", "memory": "4Gi"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "n"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['serving-operator.dev/service']", "digits"),
        ("metadata.annotations['a']", "b"),
        ("metadata.labels['none']", ""),
        ("status.podIP", "10.244.1.2"),
        ("spec.nodeName", "local"),
    ],
)
def test_field_ref(path: str, value: str) -> None:
    """Every fieldRef of the downward API that pods use gives the pod's own value."""
    assert env_of(env=[{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]) == {"X": value}


def test_unknown_field_ref_names_the_supported_ones() -> None:
    """A fieldRef that cannot be served is an error that says which can."""
    with pytest.raises(ConfigError, match=r"spec\.host.*supported are metadata\.name"):
        env_of(env=[{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.host"}}}])


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "1024"),
        ({"resource": "requests.cpu"}, "0"),
    ],
)
def test_resource_field_ref(reference: dict[str, str], value: str) -> None:
    """A resourceFieldRef is the amount over the divisor, rounded up."""
    assert env_of(env=[{"name": "X", "valueFrom": {"resourceFieldRef": reference}}]) == {"X": value}


def test_unlimited_container_sees_the_node() -> None:
    """A limit that a container does not state reads as what the node has."""
    pod = {**POD, "spec": {"containers": [{"name": "model"}]}}
    item = {"name": "X", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
    assert environment({"name": "model", "env": [item]}, pod, {}, {"cpu": "4"}) == {"X": "4"}


def test_sources_and_order() -> None:
    """envFrom comes first, env overrides it, and later values may name earlier ones."""
    container = {
        "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "CFG_"}],
        "env": [
            {"name": "CFG_A", "value": "one"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "token", "key": "key"}}},
            {"name": "ALL", "value": "$(CFG_A)-$(CFG_B)-$(KEY)-$(LATER)-$$(KEY)"},
            {"name": "LATER", "value": "x"},
        ],
    }
    assert env_of(**container)["ALL"] == "one-2-hidden-$(LATER)-$(KEY)"
    assert references(container) == {("configmaps", "settings"), ("secrets", "token")}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "absent", "key": "A"}}, 'configmap "absent" not found'),
        ({"configMapKeyRef": {"name": "settings", "key": "Z"}}, "couldn't find key Z in configmap settings"),
        ({"secretKeyRef": {"name": "token", "key": "z"}}, "couldn't find key z in secret token"),
    ],
)
def test_missing_source(source: dict[str, Any], message: str) -> None:
    """A missing object or key is an error unless it is optional, and then no variable."""
    with pytest.raises(ConfigError, match=message):
        env_of(env=[{"name": "X", "valueFrom": source}])
    kind, reference = next(iter(source.items()))
    assert env_of(env=[{"name": "X", "valueFrom": {kind: {**reference, "optional": True}}}]) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)/$(B)", "1/$(B)"), ("$$(A)", "$(A)"), ("$A $(", "$A $("), ("$$$(A)", "$1")],
)
def test_expand(text: str, expected: str) -> None:
    """$(NAME) is replaced where known, $$ is one dollar, and a shell's own $A is left alone."""
    assert expand(text, {"A": "1"}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/mnt/models", "/r/v"),
        ("/mnt/models/m/1", "/r/v/m/1"),
        ("file:///mnt/models/x", "file:///r/v/x"),
        ("--path=/mnt/models:/mnt", "--path=/r/v:/w"),
        ("open('/mnt/models/x')", "open('/r/v/x')"),
        ("/mnt/models2", "/w/models2"),
        ("/data/mnt/models", "/data/mnt/models"),
    ],
)
def test_remount(text: str, expected: str) -> None:
    """A mountPath is replaced where it is a path of its own or begins one, the longest first."""
    assert remount(text, {"/mnt": "/w", "/mnt/models": "/r/v"}) == expected


def test_remount_happens_once() -> None:
    """A directory that itself lies below another mountPath is not rewritten again."""
    assert remount("/tmp/x", {"/tmp": "/tmp/run/volumes/t"}) == "/tmp/run/volumes/t/x"


@pytest.mark.parametrize(
    ("text", "value"), [("500m", "0.5"), ("2", "2"), ("1Gi", str(2**30)), ("1e3", "1000"), ("1.5k", "1500")]
)
def test_quantity(text: str, value: str) -> None:
    """Quantities read as Kubernetes reads them."""
    assert quantity(text) == Decimal(value)


def test_bad_quantity() -> None:
    """What is no quantity is refused with examples."""
    with pytest.raises(ConfigError, match="'1 GB' is not a Kubernetes quantity such as 500m"):
        quantity("1 GB")
