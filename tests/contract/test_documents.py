"""Every YAML in the documents is what the API server takes: whole objects, parts of a service, and kustomizations."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from localcluster.foreign import crds
from serving_api.names import SERVICE_KIND
from serving_api.service import InferenceServiceSpec
from tests.contract.installation import Admin
from tests.documents import ROOT, Block, yaml_blocks
from tests.manifests.rendering import Manifest, by_id, text

pytestmark = pytest.mark.real_api

BLOCKS = [block for block in yaml_blocks() if not block.is_configuration]
FOREIGN_FILES = {
    "applications.argoproj.io": ("argo-cd", "application-crd.yaml"),
    "kustomizations.kustomize.toolkit.fluxcd.io": (
        "flux-kustomize-controller",
        "kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    ),
    "gitrepositories.source.toolkit.fluxcd.io": (
        "flux-source-controller",
        "source.toolkit.fluxcd.io_gitrepositories.yaml",
    ),
}
KUSTOMIZATION = {"resources", "components", "configMapGenerator", "images", "patches"}
OF_A_SERVICE = {field.alias or name for name, field in InferenceServiceSpec.model_fields.items()}
OF_A_FLUX_KUSTOMIZATION = {"healthCheckExprs"}


@pytest.fixture(scope="module")
def admin(real_kubeconfig: str) -> Iterator[Admin]:
    """The administrator, with our kinds, and those of Argo CD and Flux that the documents use; afterwards as before."""
    made = Admin(real_kubeconfig)
    is_in_use = made.has_the_product
    try:
        made.serve_kinds()
        for source, file in FOREIGN_FILES.values():
            made.kubectl("apply", "--server-side", "-f", str(crds(source) / file))
        made.established(*FOREIGN_FILES)
        yield made
    finally:
        made.kubectl("delete", "crd", "--ignore-not-found", *FOREIGN_FILES)
        made.remove_kinds(ours=not is_in_use)


@pytest.fixture(scope="module")
def namespace(admin: Admin) -> Iterator[str]:
    """A namespace that stands for all that the documents name."""
    name = f"docs-{uuid.uuid4().hex[:8]}"
    admin.kubectl("create", "namespace", name)
    yield name
    admin.kubectl("delete", "namespace", name, "--wait=false")


def the_service() -> Manifest:
    """The service that the README begins with."""
    return BLOCKS[0].objects[0]


def completed(block: Block, folder: Path) -> list[Manifest]:
    """The objects that a reader gets from a block, what is left out filled in from the other blocks."""
    keys = block.keys
    if {"apiVersion", "kind"} <= keys:
        return block.objects
    if keys <= OF_A_SERVICE:
        return [merged(the_service(), {"spec": block.objects[0]})]
    if keys <= OF_A_FLUX_KUSTOMIZATION:
        (whole,) = (
            entry for other in BLOCKS for entry in other.objects if entry.get("kind") == "Kustomization"
        )
        return [merged(whole, {"spec": block.objects[0]})]
    assert keys <= KUSTOMIZATION, f"{block} is nothing that this test knows how to apply"
    return kustomized(block, folder)


def merged(whole: Manifest, part: Manifest) -> Manifest:
    """The whole with what the part says; lists are replaced."""
    made = dict(whole)
    for key, value in part.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = merged(made[key], value) if both else value
    return made


def kustomized(block: Block, folder: Path) -> list[Manifest]:
    """What kustomize makes of a block beside a clone, a configuration and the README's service."""
    own = folder / "own"
    own.mkdir(exist_ok=True)
    (folder / "serving-operator").symlink_to(ROOT)
    (own / "config.yaml").write_text("prometheus: {url: 'http://prometheus.monitoring.svc:9090'}\n")
    (own / "digits.yaml").write_text(yaml.safe_dump(the_service()))
    kustomization = {"resources": ["../serving-operator/manifests/base"]} | block.objects[0]
    (own / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return [*by_id(text(own)).values()]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_api_server_takes_what_the_documents_show(
    block: Block, admin: Admin, namespace: str, tmp_path: Path
) -> None:
    """A dry run with strict validation refuses nothing."""
    objects = completed(block, tmp_path)
    for entry in objects:
        if "namespace" in entry["metadata"] or entry["kind"] == SERVICE_KIND:
            entry["metadata"]["namespace"] = namespace

    said = admin.apply(objects, "--dry-run=server")

    assert said.count("(server dry run)") == len(objects)
