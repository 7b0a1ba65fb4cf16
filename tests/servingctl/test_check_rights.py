"""Rights that `servingctl check` asks for: in the namespaces that the programs were told, as the programs read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving_api.names import AUTOSCALER, OPERATOR, SYSTEM_NAMESPACE
from servingctl.preflight import rights
from servingctl.preflight.finding import Unasked
from servingctl.preflight.rights import RIGHTS, findings
from servingctl.preflight.watched import Watched, watched
from tests.manifests.rendering import of_kind, rendered
from tests.servingctl.conftest import Check
from tests.servingctl.set_up import SetUp

Rule = dict[str, list[str]]
ALL: Rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


def single_namespace(*, without: str = "") -> SetUp:
    """What the overlay makes: Roles only, and programs that are told their own namespace."""
    objects = rendered("overlays/single-namespace")
    rules: dict[str, list[Rule]] = {OPERATOR: [], AUTOSCALER: []}
    for role in of_kind(objects, "Role"):
        own = rules.get(role["metadata"]["name"].removesuffix("-lease"), [])
        own += [
            rule | {"namespaces": [SYSTEM_NAMESPACE]}
            for rule in role["rules"]
            if without not in rule["resources"]
        ]
    return SetUp(rules=rules, deployments=tuple(of_kind(objects, "Deployment")))


def deployment(*arguments: str, command: list[str] | None = None, **environment: Any) -> dict[str, Any]:
    """One that starts a program so; a variable is a text or where it comes from."""
    entries = [
        {"name": name, **({"value": value} if isinstance(value, str) else {"valueFrom": value})}
        for name, value in environment.items()
    ]
    container = {
        "name": "operator",
        "image": "i:1",
        "command": command,
        "args": list(arguments),
        "env": entries,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": OPERATOR, "namespace": SYSTEM_NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}},
        },
    }


def lines(out: str) -> list[str]:
    """The lines of rights."""
    return [line for line in out.splitlines() if "rights of" in line]


@pytest.fixture
def every_right(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are asked for, not only a few."""
    monkeypatch.setattr(rights, "RIGHTS", RIGHTS)


@pytest.mark.usefixtures("every_right")
def test_roles_of_a_single_namespace_are_enough(check: Check) -> None:
    """What the overlay grants is all that is asked for, in its namespace."""
    ran = check(single_namespace())

    assert [line.split() for line in lines(ran.out)] == [
        ["OK", "rights", "of", program, "all", "are", "granted", "in", SYSTEM_NAMESPACE]
        for program in (OPERATOR, AUTOSCALER)
    ]
    assert ran.code == 0, ran.out


@pytest.mark.usefixtures("every_right")
def test_what_a_role_lacks_is_not_to_be_granted_in_the_whole_cluster(check: Check) -> None:
    """The remedy names the overlay."""
    ran = check(single_namespace(without="deployments/scale"))

    (operator, autoscaler) = lines(ran.out)
    assert operator.startswith("OK")
    assert autoscaler.startswith("Failed")
    assert f"it may not patch deployments.apps/scale in {SYSTEM_NAMESPACE}" in autoscaler
    assert "manifests/overlays/single-namespace" in autoscaler
    assert "manifests/base" not in autoscaler
    assert ran.code == 1


@pytest.mark.parametrize(
    ("namespace", "file"),
    [(SYSTEM_NAMESPACE, " -f manifests/base/rbac-autoscaler.yaml"), ("elsewhere", None)],
)
def test_what_the_cluster_lacks_is_granted_without_another_installation(
    namespace: str, file: str | None
) -> None:
    """Neither images nor the configuration are put back to what manifests/base says; its account is of one namespace."""
    lacking = {right: ("",) for right in RIGHTS if right.program == AUTOSCALER}
    (_, autoscaler) = findings(lacking, {OPERATOR: Watched(), AUTOSCALER: Watched()}, namespace)

    assert "your own kustomization or chart again" in autoscaler.remedy
    assert "-k manifests/base" not in autoscaler.remedy
    assert ("manifests/base" in autoscaler.remedy) == (file is not None)
    assert file is None or (autoscaler.remedy.endswith(file) and Path(file.split()[1]).is_file())


def test_namespaces_of_the_configuration_are_asked_about_each(check: Check) -> None:
    """The one that lacks a right is named."""
    rules = {OPERATOR: [ALL | {"namespaces": ["a"]}]}
    ran = check(SetUp(rules=rules, configuration="{prometheus: {url: 'URL'}, namespaces: [a, b]}"))

    (operator, autoscaler) = lines(ran.out)
    assert "none is granted" not in operator
    assert "get/list/watch/create/patch/delete services in b ->" in operator
    assert "by Roles in a, b" in operator
    assert autoscaler.startswith("OK"), "it has the rights in the whole cluster"


@pytest.mark.parametrize(
    ("started", "namespaces"),
    [
        (deployment(), ("c",)),
        (deployment(WATCH_NAMESPACE=""), ("c",)),
        (deployment(WATCH_NAMESPACE="a, b"), ("a", "b")),
        (deployment(WATCH_NAMESPACE={"fieldRef": {"fieldPath": "metadata.namespace"}}), (SYSTEM_NAMESPACE,)),
        (deployment("--namespace=a", WATCH_NAMESPACE="b"), ("a",)),
        (deployment("--namespace", "a", "--namespace", "b"), ("a", "b")),
        (deployment(command=["serving-operator", "--namespace=a,b"]), ("a", "b")),
        (
            deployment("--namespace=$(OWN)", OWN={"fieldRef": {"fieldPath": "metadata.namespace"}}),
            (SYSTEM_NAMESPACE,),
        ),
        (None, ("c",)),
    ],
)
def test_namespaces_are_read_as_the_programs_read_them(
    started: dict[str, Any] | None, namespaces: tuple[str, ...]
) -> None:
    """A flag goes before the environment, and that before the configuration, which is all where no Deployment is."""
    assert watched(started, Watched(("c",))) == Watched(namespaces)


@pytest.mark.parametrize(
    ("started", "doubt"),
    [
        (Unasked("you may not read deployments"), "you may not read deployments"),
        (
            deployment(WATCH_NAMESPACE={"configMapKeyRef": {"name": "a", "key": "b"}}),
            "WATCH_NAMESPACE comes from another object",
        ),
        (
            deployment("--namespace=$(A)", A={"configMapKeyRef": {"name": "a", "key": "b"}}),
            "--namespace comes from another object",
        ),
    ],
)
def test_what_is_not_certain_is_no_failure(started: dict[str, Any] | Unasked, doubt: str) -> None:
    """A right that is missing may not be needed, where nobody knows what the programs were told."""
    told = watched(started, Watched())
    programs = {OPERATOR: told, AUTOSCALER: told}
    (operator, autoscaler) = findings({RIGHTS[0]: ("",)}, programs, SYSTEM_NAMESPACE)

    assert (operator.level, doubt in operator.message) == ("Unknown", True)
    assert autoscaler.level == "OK"
