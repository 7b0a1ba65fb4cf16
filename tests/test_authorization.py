"""What is read from an audit log about the programs' rights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.system.authorization import Check, asked

USER = "system:serviceaccount:serving-system:serving-operator"
ACCOUNT = 'to ServiceAccount "serving-operator/serving-system"'


def event(resource: str, reason: str, user: str = USER) -> dict[str, Any]:
    """A read, as the API server logs it."""
    return {
        "verb": "get",
        "user": {"username": user},
        "objectRef": {"resource": resource, "namespace": "team", "name": "one", "apiVersion": "v1"},
        "responseStatus": {"code": 200},
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": reason},
    }


def found(path: Path, *events: dict[str, Any], rest: str = "") -> list[Check]:
    """What the operator asked, by a log of these events."""
    log = path / "audit.log"
    log.write_text("".join(json.dumps(one) + "\n" for one in events) + rest)
    return list(asked("serving-operator", log))


def test_what_a_namespace_has_granted_is_not_asked_of_the_shipped_roles(tmp_path: Path) -> None:
    """A binding for model storage in a team's namespace is that team's; the one of the operator's own namespace is shipped."""
    own = (
        f'RBAC: allowed by RoleBinding "serving-operator/serving-system" of Role "serving-operator" {ACCOUNT}'
    )
    teams = f'RBAC: allowed by RoleBinding "serving-operator-storage/team" of ClusterRole "serving-operator-storage" {ACCOUNT}'
    cluster = (
        f'RBAC: allowed by ClusterRoleBinding "serving-operator" of ClusterRole "serving-operator" {ACCOUNT}'
    )
    checks = found(
        tmp_path, event("leases", own), event("secrets", teams), event("pods", cluster), event("nodes", "")
    )
    assert [check.resource for check in checks] == ["leases", "pods", "nodes"], (
        "a refusal names no binding and counts"
    )


def test_another_users_requests_and_half_a_line_are_left_out(tmp_path: Path) -> None:
    """The log is read while it grows."""
    assert found(tmp_path, event("pods", "", user="somebody"), rest='{"verb": "ge') == []
