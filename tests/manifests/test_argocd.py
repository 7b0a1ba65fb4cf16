"""What Argo CD shows of an InferenceService, and what its actions do: the shipped scripts, run as Argo CD runs them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from serving_api.names import ABORT_LABEL, API_VERSION, PROMOTE_LABEL, RETRY_LABEL, SERVICE_KIND
from tests.manifests import lua
from tests.manifests.rendering import MANIFESTS, Manifest, rendered
from tests.operator.status.test_conditions import STATES, brought_about, in_state, rows

HEALTH = (MANIFESTS / "argocd" / "health.lua").read_text()
ACTIONS = yaml.safe_load((MANIFESTS / "argocd" / "actions.yaml").read_text())
CANARY, STABLE, REJECTED = "985c2be2-2", "a0464355-1", "985c2be2-2"


def health(service: Manifest) -> tuple[str, str]:
    """Status and message."""
    said = lua.run(HEALTH, service)
    return said["status"], said["message"]


def enabled(service: Manifest) -> set[str]:
    """The actions that can be chosen."""
    offered = lua.run(ACTIONS["discovery.lua"], service)
    assert set(offered) == {entry["name"] for entry in ACTIONS["definitions"]}
    return {name for name, action in offered.items() if not action["disabled"]}


def after(name: str, service: Manifest) -> Manifest:
    """The object that an action returns, which Argo CD writes back as a patch."""
    (script,) = (entry["action.lua"] for entry in ACTIONS["definitions"] if entry["name"] == name)
    made: Manifest = lua.run(script, service)
    return made


@pytest.mark.thorough
@pytest.mark.parametrize("state", STATES)
def test_health_is_as_documented(state: str) -> None:
    """Each row of docs/conditions.md has what Argo CD shows, with a message that says why."""
    status, message = health(in_state(state))

    assert status == rows()[state]["Argo CD"]
    assert len(message.split()) >= 4


@pytest.mark.parametrize("absent", ["status", "conditions"])
def test_a_service_that_nobody_has_looked_at_is_under_way(absent: str) -> None:
    """Neither a new object nor a half-written status is taken for healthy, and no script fails on them."""
    service = in_state("settled")
    if absent == "status":
        del service["status"]
    else:
        del service["status"]["conditions"]

    assert health(service)[0] == "Progressing"
    assert "promote" not in enabled(service)


def test_an_older_status_says_nothing_of_a_newer_spec() -> None:
    """Between an apply and the operator's first look a sync does not end."""
    service = in_state("settled")
    service["metadata"]["generation"] += 1

    assert health(service)[0] == "Progressing"


def test_a_crash_of_a_waiting_canary_is_told() -> None:
    """Who is asked to promote reads what is wrong with it."""
    _, message = health(in_state("canary crashes at its step"))

    assert "container model" in message


@pytest.mark.parametrize(
    ("state", "actions"),
    [
        ("first revision starts", set[str]()),
        ("settled", {"rollback"}),
        ("canary waits for its label", {"promote", "abort"}),
        ("rejected by its label", {"rollback", "retry"}),
        ("rolled back", {"rollback", "retry"}),
    ],
)
def test_offers_what_can_be_done(state: str, actions: set[str]) -> None:
    """Nothing is offered that has no attempt to name."""
    assert enabled(in_state(state)) == actions


@pytest.mark.parametrize(
    ("state", "name", "label", "attempt"),
    [
        ("canary waits for its label", "promote", PROMOTE_LABEL, CANARY),
        ("canary waits for its label", "abort", ABORT_LABEL, CANARY),
        ("settled", "rollback", ABORT_LABEL, STABLE),
        ("rejected by its label", "retry", RETRY_LABEL, REJECTED),
    ],
)
def test_an_action_sets_one_label(state: str, name: str, label: str, attempt: str) -> None:
    """The attempt that is shown is named; nothing else of the object changes."""
    service = in_state(state)
    service["metadata"]["labels"] = {"team": "vision"}
    before: dict[str, Any] = copy.deepcopy(service)

    made = after(name, service)

    assert made["metadata"]["labels"] == {"team": "vision", label: attempt}
    assert made["spec"] == before["spec"]


@pytest.mark.parametrize("name", ["promote", "abort"])
def test_the_operator_obeys_what_an_action_returns(name: str) -> None:
    """The label is accepted as any other, by an object that had no labels."""
    cluster = brought_about("canary waits for its label")
    made = after(name, cluster.service)

    cluster.service["metadata"]["labels"] = made["metadata"]["labels"]
    cluster.reconcile()

    assert [entry["kind"].lower() for entry in cluster.status["commands"]] == [name]


def test_the_keys_are_those_that_argo_cd_reads() -> None:
    """One ConfigMap of Argo CD's own name, with two keys that name our kind, and no more of it."""
    (made,) = rendered("argocd").values()
    kind = f"{API_VERSION.split('/')[0]}_{SERVICE_KIND}"

    assert made["metadata"] == {"name": "argocd-cm", "namespace": "argocd"}
    assert made["data"] == {
        f"resource.customizations.health.{kind}": HEALTH,
        f"resource.customizations.actions.{kind}": (MANIFESTS / "argocd" / "actions.yaml").read_text(),
    }
