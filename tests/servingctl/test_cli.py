"""The command line itself: help, completion, exit codes, tables, and what is rendered."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from serving_api.names import STABLE_LABEL
from servingctl.__main__ import complete_for_kubectl
from servingctl.cli import COMMANDS
from servingctl.rendering import render
from servingctl.tables import age, table
from tests.api.manifests import GONE, service
from tests.servingctl.run import Ran, run

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Each command has help with examples."""
    ran = run(capsys, name, "--help")

    assert (ran.code, f"servingctl {name}" in ran.out, "Examples:" in ran.out) == (0, True, True)


def test_help_lists_the_commands_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """All commands are listed, each with a line, and the exit codes are explained."""
    ran = run(capsys, "--help")

    assert all(words in ran.out for words in (*COMMANDS, "Exit codes:"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    """Each shell gets a script that asks servingctl."""
    ran = run(capsys, "completion", shell)

    assert (ran.code, f"_SERVINGCTL_COMPLETE={shell}_complete" in ran.out) == (0, True)


def test_kubectl_asks_for_completions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kubectl serving pro<TAB>` gets the command, and no files."""
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-serving", "pro"])
    complete_for_kubectl()

    assert capsys.readouterr().out.splitlines() == ["promote", ":4"]


def test_wrong_command(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no command is named, with exit code 2."""
    ran = run(capsys, "promot")

    assert (ran.code, "promot" in ran.err) == (2, True)


def test_table() -> None:
    """Columns are as wide as their longest cell; the last one is wrapped under itself; nothing is a dash."""
    made = table(("A", "WORDS"), [("abc", "one two three four five six seven eight"), (None, "x")], width=36)

    assert made.splitlines() == [
        "A     WORDS",
        "abc   one two three four five six",
        "      seven eight",
        "-     x",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "5s"), (119, "119s"), (150, "2m"), (7200, "2h"), (200000, "2d")]
)
def test_age(seconds: int, said: str) -> None:
    """Ages are told in one unit."""
    now = datetime.fromtimestamp(1_000_000, UTC)
    since = datetime.fromtimestamp(1_000_000 - seconds, UTC).isoformat()

    assert age(since, now) == said


def test_render_is_what_serves(capsys: pytest.CaptureFixture[str]) -> None:
    """All children of a committed first revision are there, named by the revision, all traffic on it."""
    ran = run(capsys, "render", str(ROOT / "manifests/demo/service-v1.yaml"))
    made = {one["kind"]: one for one in yaml.safe_load_all(ran.out)}

    assert set(made) == {
        "ControllerRevision",
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "InferenceAutoscaler",
        "HTTPRoute",
    }
    (backend,) = made["HTTPRoute"]["spec"]["rules"][0]["backendRefs"]
    assert (backend["name"], backend["weight"]) == (made["Deployment"]["metadata"]["name"], 100)
    assert STABLE_LABEL not in made["ControllerRevision"]["metadata"]["labels"], (
        "only earlier releases marked it"
    )


@pytest.mark.parametrize(
    ("edits", "missing"),
    [
        ({"spec__route": GONE}, "HTTPRoute"),
        (
            {
                "spec__scaling": {"class": "External", "external": {"replicas": 2}},
                "spec__objective": GONE,
                "spec__predictor__minReplicas": GONE,
                "spec__predictor__maxReplicas": GONE,
            },
            "InferenceAutoscaler",
        ),
    ],
)
def test_render_makes_only_what_is_asked_for(edits: dict[str, object], missing: str) -> None:
    """No route without spec.route, no autoscaler with class External."""
    made = [child["kind"] for child in render(service(**edits), "default").children]

    assert missing not in made
    assert made.count("Deployment") == 1


def test_render_uses_the_runtimes_among_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cluster's runtime and one of the service's namespace serve its model; one of another namespace does not."""
    file = tmp_path / "a.yaml"
    model = {"modelFormat": {"name": "onnx"}, "storageUri": "pvc://models/digits"}
    file.write_text(yaml.safe_dump(service(spec__predictor__container=GONE, spec__predictor__model=model)))

    def ran(*others: str) -> Ran:
        return run(capsys, "render", str(file), *others, "-n", "vision", "-o", "name")

    own = (ROOT / "manifests/runtimes/onnxruntime.yaml").read_text().replace("ClusterServing", "Serving")
    (tmp_path / "own.yaml").write_text(own.replace("name: onnxruntime", "name: own"))
    (tmp_path / "other.yaml").write_text(own.replace("name: onnxruntime", "name: own\n  namespace: other"))

    alone = ran()
    assert (alone.code, "No runtime selects itself for model format onnx" in alone.err) == (1, True), alone
    assert ran(str(ROOT / "manifests/runtimes")).code == 0
    assert ran(str(tmp_path / "own.yaml")).code == 0
    assert ran(str(tmp_path / "other.yaml")).code == 1


def test_render_refuses_what_the_server_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is rendered of a service that would not be accepted; the field and its line are named."""
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(service(spec__predictor__maxReplicas=GONE)))

    ran = run(capsys, "render", str(file))

    assert (ran.code, ran.out, "predictor.maxReplicas is required" in ran.err) == (1, "", True)
