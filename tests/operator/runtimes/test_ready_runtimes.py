"""The runtimes under manifests/runtimes: valid, non-root, pinned, and with their sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_api.revision import revision_of
from serving_api.runtime import ServingRuntime
from serving_operator.children.pod import pod_template
from serving_operator.runtimes.built_in import MLSERVER
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.runtimes.resolve import resolve
from serving_operator.world import DEFAULT_SETTINGS
from tests.manifests.rendering import rendered
from tests.operator.children.security import violations
from tests.operator.children.services import service

FOLDER = Path(__file__).parents[3] / "manifests" / "runtimes"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")


def read(path: Path) -> dict[str, Any]:
    """The one object of a file."""
    (found,) = yaml.safe_load_all(path.read_text())
    return dict(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_ready_runtime_runs_non_root(path: Path) -> None:
    """Every format's pod is restricted; uid, HOME, a writable cache and the source of both are stated; the tag is pinned."""
    raw = read(path)
    parsed = ServingRuntime.parse(raw)
    container = parsed.spec.containers[0]
    env = {variable.name: variable.value or "" for variable in container.env or ()}

    assert raw["metadata"]["name"] == path.stem
    assert parsed.spec.run_as_user
    assert env["HOME"].startswith("/tmp")
    assert any("CACHE" in name or name.endswith(("_HOME", "_DIR")) for name in env if name != "HOME")
    assert all(v.startswith("/tmp") for n, v in env.items() if "CACHE" in n or n.endswith(("_HOME", "_DIR")))
    assert ":" in container.image
    assert not container.image.endswith(":latest")
    assert "# Source:" in path.read_text()
    assert container.startup_probe
    assert container.readiness_probe
    assert container.liveness_probe
    for entry in parsed.spec.supported_model_formats:
        model = {"modelFormat": {"name": entry.name}, "storageUri": "pvc://models/m", "runtime": path.stem}
        made = service({"model": model})
        predictor = made.spec.predictor
        found = resolve(predictor, Catalogue(clusterwide=(raw,)))
        template = pod_template(made, revision_of(predictor), found, settings=DEFAULT_SETTINGS)
        assert violations(template) == []
        assert template["spec"]["securityContext"]["runAsUser"] == parsed.spec.run_as_user


def test_no_format_is_selected_by_two_of_them() -> None:
    """All of them can be applied together: no model without a runtime meets two."""
    selecting = [
        (entry["name"], entry.get("version"), entry.get("priority", 1))
        for path in FILES
        for entry in read(path)["spec"]["supportedModelFormats"]
        if entry.get("autoSelect")
    ]

    assert len(set(selecting)) == len(selecting)


def test_kustomization_lists_them_all() -> None:
    """`kubectl apply -k manifests/runtimes` brings every file."""
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]

    assert sorted(listed) == [path.name for path in FILES]


def test_a_namespace_gets_the_same() -> None:
    """`kubectl apply -k manifests/runtimes-namespaced` brings every file as a ServingRuntime, of whichever namespace it is told."""
    wanted = [read(path) | {"kind": "ServingRuntime"} for path in FILES]

    assert list(rendered("runtimes-namespaced").values()) == wanted


def test_built_in_is_what_the_manifest_says() -> None:
    """To apply the file changes what nobody runs: it equals the built-in runtime."""
    assert read(FOLDER / "mlserver.yaml")["spec"] == MLSERVER["spec"]
