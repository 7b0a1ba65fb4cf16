"""The administrator's configuration: what is read, what is refused, and that its sample and its reference are whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_api.configuration import Configuration, keys, parse
from serving_operator.administered import settings_of
from serving_operator.config import parse as operator_started
from tests.documents import yaml_blocks

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "manifests" / "config.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prometheu: {}", "prometheu: there is no such key"),
        ("operator: {min_ready_seconds: 5}", "operator.min_ready_seconds: there is no such key"),
        ("prometheus: {url: 'p:9090'}", "prometheus.url: String should match"),
        ("prometheus: {matcher: '{a}'}", "prometheus.matcher: String should match"),
        ("prometheus: {headers: {a: 1}}", "prometheus.headers.a: Input should be a valid string"),
        ("operator: {workers: 0}", "operator.workers: Input should be greater than or equal to 1"),
        ("autoscaler: {tickSeconds: '5'}", "autoscaler.tickSeconds: Input should be a valid number"),
        ("namespaces: team-a", "namespaces: Input should be a valid list"),
        ("namespaces: [A_]", "namespaces.0: String should match"),
        ("route: {hostnameTemplate: 'm.{space}'}", "hostnameTemplate must hold {name}"),
        (
            "route: {parentRefs: [{name: a, sectionname: b}]}",
            "route.parentRefs.0.sectionname: there is no such key",
        ),
        (
            "route: {allowed: [{namespaces: []}]}",
            "route.allowed.0.namespaces: List should have at least 1 item",
        ),
        (
            "accelerators: [{resource: gpu, tolerations: [{key: a}]}]",
            "accelerators.0.resource: String should match",
        ),
        ("[]", "expected keys such as namespaces, prometheus"),
    ],
)
def test_a_slip_of_the_pen_is_named(text: str, message: str) -> None:
    """A key or value that cannot be meant is refused with its place."""
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(yaml.safe_load(text))


def test_an_empty_file_is_all_defaults() -> None:
    """Nothing said changes nothing."""
    assert parse(None) == parse({}) == Configuration()


def test_the_sample_shows_every_key() -> None:
    """manifests/config.yaml is valid; with the comments that show a form taken for content it still is, and has each key."""
    text = SAMPLE.read_text()
    body = text[text.index("namespaces:") :]
    whole = re.sub(r"^( *)# ", r"\1", body, flags=re.MULTILINE)
    whole = whole.replace("allowed: []", "allowed:").replace("accelerators: []", "accelerators:")

    parse(yaml.safe_load(text))
    parse(yaml.safe_load(whole))

    assert {key for key, _ in keys()} == set(paths(yaml.safe_load(whole)))


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    """The dotted path of each key of the configuration that is set, as `keys` has it."""
    known = {key for key, _ in keys()}
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if path in known:
            yield path
        if isinstance(inner, dict):
            yield from paths(inner, f"{path}.")
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield from paths(inner[0], f"{path}[].")


def test_the_sample_states_the_defaults() -> None:
    """What the sample says of the operator is what it does without being told."""
    stated = operator_started(["--config", str(SAMPLE)], {})
    silent = operator_started(["--prometheus-url=http://prometheus.monitoring.svc:9090"], {})
    assert (stated.settings, stated.workers, stated.resync_seconds, stated.log_level, stated.prometheus) == (
        silent.settings,
        silent.workers,
        silent.resync_seconds,
        silent.log_level,
        silent.prometheus,
    )


def test_the_reference_says_what_the_types_say() -> None:
    """The table in docs/install.md has a row for each key, with the words of its type, and no others."""
    document = (ROOT / "docs" / "install.md").read_text()
    table = document.split("| key | what it says |\n|---|---|\n")[1].split("\n\n")[0]
    assert table.splitlines() == [f"| `{key}` | {text} |" for key, text in keys()]


def test_configurations_in_the_documents_are_read() -> None:
    """What a document shows of the file is taken by the programs."""
    shown = [block for block in yaml_blocks() if block.is_configuration]

    assert shown
    for block in shown:
        parse(block.objects[0])


@pytest.mark.parametrize("text", ["", SAMPLE.read_text(), "operator: {drainSeconds: 0, minReadySeconds: 1}"])
def test_tools_decide_by_the_settings_of_the_operator(text: str, tmp_path: Path) -> None:
    """What `servingctl` makes of a configuration is what the operator starts with."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    started = operator_started(["--config", str(path), "--lease-namespace", "x"], {})

    assert settings_of(parse(yaml.safe_load(text)), "x") == started.settings
