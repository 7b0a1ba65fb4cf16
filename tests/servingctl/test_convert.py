"""KServe's manifests become ours with an account of every field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servingctl.conversion.convert import Options, convert
from servingctl.conversion.ledger import described
from servingctl.linting.service import problems
from servingctl.paths import leaves, spelled, value_at
from tests.servingctl.kserve import CASES, MODEL, OBJECTIVE, ROUTED, isvc
from tests.servingctl.run import run


def holds_account(manifest: dict[str, Any], options: Options) -> None:
    """Every leaf has exactly one entry; what is carried is there, unchanged; what is made, the API server takes."""
    made = convert(manifest, options)

    assert [entry.path for entry in made.entries] == list(leaves(manifest))
    assert all(entry.words for entry in made.entries if entry.fate != "Carried")
    by_kind = {one["kind"]: one for one in made.manifests}
    for entry in made.entries:
        if made.verdict == "Refused" or entry.fate != "Carried" or entry.path == ("apiVersion",):
            continue
        for target in entry.targets:
            found = value_at(by_kind, target)
            assert entry.is_renamed or found == value_at(manifest, entry.path)
    if made.verdict != "Refused":
        assert problems(made.manifests[0]) == []
    else:
        assert made.manifests == ()


@pytest.mark.parametrize("name", CASES)
def test_verdict(name: str) -> None:
    """Each documented field has the fate, and the words, that the migration guide tells."""
    case = CASES[name]
    made = convert(case.manifest, case.options)
    said = {spelled(entry.path): described(entry) for entry in made.entries}

    refused = [f"{spelled(entry.path)}: {entry.words}" for entry in made.entries if entry.fate == "Refused"]
    assert made.verdict == case.verdict, refused or said
    for path, words in case.says.items():
        assert words in said[path], said[path]
    holds_account(case.manifest, case.options)


def test_hpa_is_that_of_kserve() -> None:
    """Without an objective a service is scaled as before: by an HPA on our service, of the same bounds and target."""
    _, autoscaler = convert(CASES["KServe's HPA"].manifest).manifests

    assert autoscaler["spec"]["scaleTargetRef"] == {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "name": "iris",
    }
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (2, 5)


def test_route() -> None:
    """A Gateway and a template of host names make a route."""
    service = convert(isvc(f"{{model: {MODEL}}}"), ROUTED).manifests[0]

    assert service["spec"]["route"] == {
        "parentRefs": [{"name": "public", "namespace": "infra"}],
        "hostnames": ["iris.models.example.com"],
    }


@pytest.mark.parametrize(
    ("mode", "options", "taken"),
    [
        ("Serverless", Options(), "a Service of type ExternalName in Knative mode by the name iris"),
        ("RawDeployment", ROUTED, "an HTTPRoute in Standard mode with the Gateway API by the name iris"),
        ("RawDeployment", Options(), ""),
        (None, ROUTED, "a Service of type ExternalName in Knative mode and an HTTPRoute in Standard mode"),
    ],
)
def test_what_has_its_name_already_is_told(mode: str | None, options: Options, taken: str) -> None:
    """Where KServe has an object by the name of one of ours, the result needs another name beside it."""
    annotations = {"serving.kserve.io/deploymentMode": mode} if mode else {}
    advice = convert(isvc(f"{{model: {MODEL}}}", annotations=annotations), options).advice
    said = [line for line in advice if "another name" in line]

    assert len(said) == bool(taken)
    assert all(taken in line for line in said)


SCALARS = st.sampled_from([None, True, 0, 1, 7, "", "a", "v2", "pvc://m/n", "http", {}, [], "Always", 0.5])
KEYS = st.sampled_from(
    sorted(
        {
            part
            for case in CASES.values()
            for path in leaves(case.manifest)
            for part in path
            if isinstance(part, str)
        }
    )
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """One of the cases with subtrees replaced by, or added from, made-up ones."""
    manifest = yaml.safe_load(yaml.safe_dump(CASES[draw(st.sampled_from(sorted(CASES)))].manifest))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(leaves(manifest))))
        node = value_at(manifest, path[: draw(st.integers(0, max(len(path) - 1, 0)))])
        if isinstance(node, dict):
            node[draw(KEYS | st.sampled_from(sorted(node) or ["foo"]))] = draw(TREES)
        elif isinstance(node, list) and node:
            node[draw(st.integers(0, len(node) - 1))] = draw(TREES)
    return manifest | {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(mutated(), st.sampled_from([Options(), OBJECTIVE, ROUTED]))
def test_nothing_is_dropped_silently(manifest: dict[str, Any], options: Options) -> None:
    """Whatever the input holds, no leaf of it is neither carried nor named with its reason."""
    holds_account(manifest, options)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Manifests on stdout, the account on stderr; what is no InferenceService is named; refusals exit with 1."""
    file = tmp_path / "in.yaml"
    others = [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}]
    file.write_text(yaml.safe_dump_all([CASES["KServe's HPA"].manifest, CASES["a bucket"].manifest, *others]))

    ran = run(capsys, "convert", str(file))

    assert [one["kind"] for one in yaml.safe_load_all(ran.out)] == [
        "InferenceService",
        "HorizontalPodAutoscaler",
    ]
    assert "2 services: 1 lossless, 1 refused; passed over: v1 Secret s" in ran.err
    assert ran.code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--gateway", "infra/public"), "takes both"),
        (("--gateway", "infra/public", "--hostname", "{host}"), "only {name} and {namespace}"),
    ],
)
def test_command_line_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    """What is missing or wrong on the command line is named, with exit code 2."""
    file = tmp_path / "in.yaml"
    file.write_text(yaml.safe_dump(CASES["a bucket"].manifest))

    ran = run(capsys, "convert", str(file), *arguments)

    assert (ran.code, words in ran.err) == (2, True)
