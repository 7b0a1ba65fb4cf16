"""What the API server would refuse is found beforehand, by line; what would surprise is a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from servingctl.documents import UnreadableError, documents
from servingctl.linting import cel
from servingctl.linting.lint import lint
from servingctl.linting.service import problems, unevaluated
from servingctl.paths import spelled
from tests.api.manifests import ACCEPTED, REFUSED, REFUSED_AUTOSCALERS, Refused, autoscaler, edited, service
from tests.servingctl.run import run

ROOT = Path(__file__).parents[2]


def levels(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Level and field of each finding."""
    (document,) = documents(yaml.safe_dump(manifest), "a.yaml")
    return [(finding.level, finding.field) for finding in lint(document)]


def test_every_rule_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what the API server accepts nothing is refused, and no rule that it meets is left to the API server."""
    left: list[str] = []

    def noted(rule: str, value: Any) -> bool:
        try:
            return holds(rule, value)
        except cel.Unevaluated:
            left.append(rule)
            raise

    holds = cel.holds
    monkeypatch.setattr(cel, "holds", noted)
    found = {why: problems(edited(service(), edits)) for why, edits in ACCEPTED}

    assert {why: entries for why, entries in found.items() if entries} == {}
    assert left == []
    assert unevaluated() == []


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.why)
def test_what_the_server_refuses_is_an_error(case: Refused) -> None:
    """Each manifest that the API server refuses is refused here, too, and by the name of the same field."""
    found = [spelled(problem.path) for problem in problems(edited(service(), case.edits))]

    assert any(case.field in path or path in f"spec.{case.field}" for path in found), found


@pytest.mark.parametrize("case", REFUSED_AUTOSCALERS, ids=lambda case: case.why)
def test_so_is_a_refused_autoscaler(case: Refused) -> None:
    """With words that say what is allowed where a rule says so; the valid one has no finding."""
    assert problems(autoscaler()) == []
    assert [spelled(problem.path) for problem in problems(edited(autoscaler(), case.edits))] == [case.field]


ADVICE = {
    "image": ({"predictor.container.image": "a/b"}, "spec.predictor.container.image"),
    "memory": ({}, "spec.predictor.container.resources"),
    "probe": ({}, "spec.predictor.container.readinessProbe"),
    "timeout": ({"predictor.timeout": 1, "objective.thresholdMilliseconds": 1000}, "spec.predictor.timeout"),
    "grace": ({"predictor.terminationGracePeriodSeconds": 5}, "spec.predictor.terminationGracePeriodSeconds"),
    "evidence": ({"rollout": {"analysis": {}}}, "spec.rollout.analysis.source"),
    "bounds": ({"predictor.minReplicas": 4}, "spec.predictor.maxReplicas"),
}


@pytest.mark.parametrize("name", ADVICE)
def test_advice(name: str) -> None:
    """What is accepted and would surprise is a warning on its field."""
    edits, field = ADVICE[name]
    made = service(**{f"spec.{path}".replace(".", "__"): value for path, value in edits.items()})

    assert ("Warning", field) in levels(made)


def test_a_careful_service_has_no_findings() -> None:
    """There is a manifest with nothing to say about: the demo's."""
    manifest = yaml.safe_load((ROOT / "manifests/demo/service-v2.yaml").read_text())

    assert levels(manifest) == []


def test_bucket_of_the_objective() -> None:
    """A threshold between MLServer's buckets is named with the nearest ones."""
    manifest = yaml.safe_load((ROOT / "manifests/demo/service-v2.yaml").read_text())
    manifest["spec"]["objective"]["thresholdMilliseconds"] = 300

    assert levels(manifest) == [("Warning", "spec.objective.thresholdMilliseconds")]


def test_line_of_a_finding() -> None:
    """A finding has the line of its field, or of what would hold it."""
    text = yaml.safe_dump(service(), sort_keys=False) + "---\n"
    text += yaml.safe_dump(service(spec__predictor__maxReplicas=0), sort_keys=False)
    second = documents(text, "a.yaml")[1]
    (finding,) = [entry for entry in lint(second) if entry.level == "Error"]

    assert text.splitlines()[finding.line - 1].strip() == "maxReplicas: 0"


def test_what_kubectl_prints_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A List's objects are looked at one by one, each with its own lines and paths."""
    items = [service(), {"apiVersion": "v1", "kind": "Secret"}, service(spec__predictor__maxReplicas=0)]
    whole = {"apiVersion": "v1", "kind": "List", "items": items}
    text = yaml.safe_dump(whole, sort_keys=False) + "  kind: InferenceService\n"
    file = tmp_path / "a.yaml"
    file.write_text(text)

    ran = run(capsys, "lint", str(file), "-o", "json")
    found = json.loads(ran.out)
    errors = [entry for entry in found["findings"] if entry["level"] == "Error"]

    assert (ran.code, found["objects"]) == (1, 2)
    assert [(entry["field"], text.splitlines()[entry["line"] - 1].strip()) for entry in errors] == [
        ("kind", "kind: InferenceService"),
        ("spec.predictor.maxReplicas", "maxReplicas: 0"),
    ]


def test_a_list_with_a_key_twice() -> None:
    """Of items that stand twice nobody knows which are meant: that is the one error."""
    (document,) = documents("kind: List\nitems: [{kind: A}]\nitems: [{kind: B}]\n", "a.yaml")

    assert [(finding.level, finding.field) for finding in lint(document)] == [("Error", "items")]


def test_a_key_twice() -> None:
    """YAML lets a key stand twice, and the first one is lost: that is an error."""
    (document,) = documents(yaml.safe_dump(service()) + "kind: InferenceService\n", "a.yaml")

    assert ("Error", "kind") in [(finding.level, finding.field) for finding in lint(document)]


def test_runtimes_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """The ready runtimes have no finding; a wrong field of one has, and a kind that is none of ours names those that are."""
    ran = run(capsys, "lint", str(ROOT / "manifests/runtimes"))
    meta = {"apiVersion": "serving-operator.dev/v1alpha1", "metadata": {"name": "a"}}

    assert (ran.code, ran.out.splitlines()[0]) == (0, "4 objects, 0 errors, 0 warnings")
    assert ("Error", "spec.supportedModelFormats") in levels(meta | {"kind": "ServingRuntime", "spec": {}})
    (near,) = lint(documents(yaml.safe_dump(meta | {"kind": "Runtime"}), "a.yaml")[0])
    assert "InferenceAutoscaler, ServingRuntime or ClusterServingRuntime" in near.message


def test_no_yaml() -> None:
    """What is no YAML is told with its line."""
    with pytest.raises(UnreadableError, match=r"a\.yaml:2"):
        documents("a: b\n  c: d: e\n", "a.yaml")


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with an error exits with 1, a missing one with 2, a clean one with 0 and says what it cannot tell."""
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(service(spec__predictor__replicas=2)))

    bad = run(capsys, "lint", str(file))
    missing = run(capsys, "lint", str(tmp_path / "b.yaml"))
    good = run(capsys, "lint", str(ROOT / "manifests/demo/service-v1.yaml"))

    assert (bad.code, "spec.predictor.replicas" in bad.out) == (1, True)
    assert (missing.code, "does not exist" in missing.err) == (2, True)
    assert (good.code, "only the API server checks" in good.out) == (0, True)
