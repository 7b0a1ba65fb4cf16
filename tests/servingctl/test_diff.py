"""`servingctl diff`: what the operator would change, and nothing that it would not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from servingctl.rendering import render
from tests.servingctl.demo import DEMO, ROOT, Ctl, manifest, revision


def test_diff_of_a_new_service(ctl: Ctl) -> None:
    """What is not in the cluster yet is new, with its revision and all that would be made."""
    ran = ctl("diff", "-f", str(DEMO))

    assert ran.code == 1
    assert f"demo/digits: new; its first revision is {revision(1)}" in ran.out
    assert f"create controllerrevision/digits-{revision(1)}" in ran.out
    assert f"deployment/digits-{revision(1)}" in ran.out
    assert ctl.fake.writes("person") == []


def test_diff_names_the_fields_of_a_new_revision(ctl: Ctl) -> None:
    """A file that shapes other pods is a canary, by the fields that are named, beside the committed revision."""
    ctl.status(1, stable={"id": f"{revision(1)}-1", "revision": revision(1)})
    ctl.own(render(manifest(1), "demo").children[0])

    ran = ctl("diff", "-f", str(ROOT / "manifests/demo/service-v2.yaml"))

    assert f"revision {revision(1)} is committed, {revision(2)} becomes a canary" in ran.out
    assert "predictor.model.storageUri: pvc://models/digits/v1 -> pvc://models/digits/v2" in ran.out
    first = ran.out.partition(f"create controllerrevision/digits-{revision(2)}")[2].partition("\n\n")[0]
    assert f"--- digits-{revision(1)}" in first
    assert "+      storageUri: pvc://models/digits/v2" in first
    assert "automountServiceAccountToken" not in first


@pytest.mark.parametrize(
    ("external", "replicas"), [({}, []), ({"replicas": 2}, ["-replicas:7", "+replicas:2"])]
)
def test_diff_keeps_the_replicas_that_a_file_leaves_out(
    ctl: Ctl, tmp_path: Path, external: dict[str, int], replicas: list[str]
) -> None:
    """Of class External the number may be written by somebody else: applying a file without it keeps the live one."""
    live = manifest(1)
    for field in ("objective", "rollout"):
        del live["spec"][field]
    for field in ("minReplicas", "maxReplicas"):
        del live["spec"]["predictor"][field]
    live["spec"]["scaling"] = {"class": "External", "external": {"replicas": 7}}
    ctl.fake.write(live)
    stable = {"id": f"{revision(1)}-1", "revision": revision(1)}
    ctl.fake.write({**live, "status": {"stable": stable}}, subresource="status")
    ctl.own(*render(live, "demo").children)
    live["spec"]["scaling"]["external"] = external
    file = tmp_path / "service.yaml"
    file.write_text(yaml.safe_dump(live))

    ran = ctl("diff", "-f", str(file))

    changed = [line.replace(" ", "") for line in ran.out.splitlines() if line.startswith(("- ", "+ "))]
    assert (ran.code, changed) == (1 if external else 0, replicas), ran
