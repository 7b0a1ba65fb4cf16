"""The admission recipes on the real API server: who may give commands, and who gave them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import yaml

from serving_io import kinds
from tests.system.kube import ROOT, Kube
from tests.system.services import canary_at_step, first_revision, web_service

RECIPES = sorted((ROOT / "manifests" / "recipes").glob("*.yaml"))
LABEL = "serving-operator.dev/retry"
SELECTED = "serving-operator.dev/recipes=tried"


@pytest.fixture
def recipes(kube: Kube, namespace: str) -> Iterator[None]:
    """The recipes, bound to the test's namespace only: other tests run beside it."""
    kube.kubectl("label", "namespace", namespace, SELECTED)
    key, _, value = SELECTED.partition("=")
    for path in RECIPES:
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"].endswith("Binding"):
                document["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": {key: value}}}
            kube.kubectl("apply", "-f", "-", stdin=document)
    yield
    for path in RECIPES:
        kube.kubectl("delete", "-f", str(path))


def label_as(kube: Kube, namespace: str, user: str, value: str) -> subprocess.CompletedProcess[str]:
    """Set a command label as somebody."""
    arguments = (
        "label",
        "-n",
        namespace,
        "--as",
        user,
        "infsvc",
        "digits",
        "--overwrite",
        f"{LABEL}={value}",
    )
    return kube.kubectl(*arguments, check=False)


def annotation(kube: Kube, namespace: str) -> str | None:
    """Who the object says has set the label."""
    found: str | None = kube.service(namespace)["metadata"].get("annotations", {}).get(f"{LABEL}-user")
    return found


def test_commands_are_for_some_and_name_who_gave_them(kube: Kube, namespace: str, recipes: None) -> None:
    """Without the verb a label is refused by name; with it the user is stamped, cannot be forged, and events quote it."""
    host = f"{namespace}.example.com"
    first_revision(kube, namespace, web_service(host=host))
    attempt = canary_at_step(kube, namespace, web_service(version="2", host=host))
    resource = "--resource=inferenceservices.serving-operator.dev"
    for role, verbs in (("edits", "get,patch"), ("commands", "get,patch,command")):
        kube.kubectl("create", "role", role, "-n", namespace, f"--verb={verbs}", resource)
    for user, role in (("eve", "edits"), ("alice", "commands")):
        kube.kubectl("create", "rolebinding", user, "-n", namespace, f"--role={role}", f"--user={user}")

    refused = kube.until(
        "the recipe is in force",
        lambda: done if (done := label_as(kube, namespace, "eve", "0123abcd-7")).returncode else None,
    )
    assert 'eve needs the RBAC verb "command"' in refused.stderr
    assert LABEL in refused.stderr

    kube.until(
        "the user is stamped",
        lambda: (
            label_as(kube, namespace, "alice", f"0123abcd-{next(_numbers)}").returncode == 0
            and annotation(kube, namespace) == "alice"
        ),
    )
    forged = ("annotate", "-n", namespace, "--as", "eve", "infsvc", "digits", "--overwrite")
    kube.kubectl(*forged, f"{LABEL}-user=mallory")
    kube.kubectl(
        "annotate",
        "-n",
        namespace,
        "--as",
        "eve",
        "infsvc",
        "digits",
        "serving-operator.dev/abort-user=mallory",
    )

    assert annotation(kube, namespace) == "alice"
    assert "serving-operator.dev/abort-user" not in kube.service(namespace)["metadata"]["annotations"]

    kube.kubectl(
        *("label", "-n", namespace, "--as", "alice", "infsvc", "digits"),
        f"serving-operator.dev/abort={attempt}",
    )
    kube.until(
        "the event names her and her tool",
        lambda: any(
            f"Abort {attempt} was accepted, given by alice (kubectl-label)" in event["note"]
            for event in kube.list(kinds.EVENT, namespace)
            if event["reason"] == "CommandAccepted"
        ),
    )


_numbers = iter(range(1, 1000))
