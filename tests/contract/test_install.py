"""The install on a real API server: every overlay is accepted, the chart fits the schemas, and nothing is left of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from localcluster.pinned import program
from serving_api.names import API_VERSION, SERVICE_KIND, SYSTEM_NAMESPACE
from serving_api.service import InferenceService
from serving_operator.children.metadata import controller_reference
from tests.contract import schemas
from tests.contract.installation import Admin
from tests.contract.test_chart import VALUES, template
from tests.manifests.rendering import OVERLAYS, ROOT, Id, by_id, rendered
from tests.manifests.test_overlays import with_kustomization
from tests.system.authorization import Check, granted

pytestmark = pytest.mark.real_api


@pytest.fixture(scope="module")
def is_in_use(real_kubeconfig: str) -> bool:
    """Whether the product is installed on the cluster: then it stays."""
    return Admin(real_kubeconfig).has_the_product


@pytest.fixture(scope="module")
def admin(real_kubeconfig: str, is_in_use: bool) -> Iterator[Admin]:
    """The administrator, with our kinds and those of the Prometheus operator served; afterwards as before."""
    made = Admin(real_kubeconfig)
    try:
        made.serve_kinds()
        made.kubectl("apply", "--server-side", "-f", "manifests/base/namespace.yaml")
        yield made
    finally:
        made.remove_kinds(ours=not is_in_use)


@pytest.mark.parametrize("folder", ["base", *(f"overlays/{overlay}" for overlay in OVERLAYS)])
def test_the_api_server_takes_every_overlay(admin: Admin, folder: str) -> None:
    """A dry run with strict validation refuses nothing, defaults and admission included."""
    objects = rendered(folder)

    said = admin.apply(objects.values(), "--dry-run=server")

    assert said.count("(server dry run)") == len(objects)


def test_kubeconform_finds_no_fault(admin: Admin, tmp_path: Path) -> None:
    """Every overlay and the chart fit the schemas of their kinds, and one wrong field does not."""
    files = {f"{overlay}.yaml": [*rendered(f"overlays/{overlay}").values()] for overlay in OVERLAYS}
    files["chart.yaml"] = [
        *by_id(template(values={key: True for value in VALUES.values() for key in value})).values()
    ]
    everything = [entry for objects in files.values() for entry in objects]
    (tmp_path / "schemas").mkdir()
    schemas.write(admin, tmp_path / "schemas", everything)
    for name, objects in files.items():
        (tmp_path / name).write_text(yaml.safe_dump_all(objects))

    def complaints(*names: str) -> str:
        done = subprocess.run(
            [
                str(program("kubeconform")),
                "-strict",
                "-schema-location",
                str(tmp_path / "schemas" / schemas.LOCATION),
                *(str(tmp_path / name) for name in names),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    assert complaints(*files) == ""
    wrong = rendered("base")[Id("Deployment", SYSTEM_NAMESPACE, "serving-operator")]
    wrong["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    assert "imagee" in complaints("wrong.yaml")


@pytest.mark.parametrize("name", ["serving-operator", "serving-autoscaler"])
def test_roles_of_a_single_namespace_are_enough_there(admin: Admin, name: str, tmp_path: Path) -> None:
    """What the programs ask of the API server, by the audit log of the base install, is granted in their namespace, and there only."""
    namespace = f"c-{name.removeprefix('serving-')}"
    objects = with_kustomization(tmp_path, "overlays/single-namespace", namespace=namespace)
    admin.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
    admin.apply([entry for entry in objects.values() if entry["kind"] != "Deployment"])
    checks = sorted(granted(name))
    user = f"system:serviceaccount:{namespace}:{name}"
    try:
        assert answers(admin, user, namespace, checks) == [True] * len(checks)
        assert answers(admin, user, "default", checks) == [False] * len(checks)
        assert answers(admin, user, "", checks) == [False] * len(checks)
    finally:
        admin.kubectl("delete", "namespace", namespace, "--wait=false")


def answers(admin: Admin, user: str, namespace: str, checks: list[Check]) -> list[bool]:
    """What the authorizer says to each question."""
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "resourceAttributes": {
                    "namespace": namespace,
                    "verb": check.verb,
                    "group": check.group,
                    "resource": check.resource.partition("/")[0],
                    "subresource": check.resource.partition("/")[2],
                    "name": check.name,
                },
            },
        }
        for check in checks
    ]
    said = admin.kubectl("create", "-o", "yaml", "-f", "-", stdin=yaml.safe_dump_all(reviews))
    return [bool(answer["status"].get("allowed")) for answer in yaml.load_all(said, yaml.CSafeLoader)]


def test_what_users_may_do_reaches_the_roles_of_the_cluster(admin: Admin) -> None:
    """view, edit and admin take up the rules for our kinds."""
    admin.kubectl("apply", "--server-side", "-f", "manifests/base/rbac-users.yaml")

    def verbs(role: str) -> set[str]:
        rules = admin.get("clusterrole", role)["rules"]
        ours = [rule for rule in rules if "serving-operator.dev" in rule.get("apiGroups", ())]
        return {verb for rule in ours for verb in rule["verbs"]}

    for role, wanted in (
        ("view", {"list"}),
        ("edit", {"list", "patch"}),
        ("admin", {"list", "patch", "command"}),
    ):
        admin.until(f"{role} has {wanted}", lambda role=role, wanted=wanted: wanted <= verbs(role))  # type: ignore[misc]
    assert "patch" not in verbs("view")
    assert "command" not in verbs("edit")


def test_nothing_is_left_after_the_uninstall(admin: Admin, is_in_use: bool, tmp_path: Path) -> None:
    """The commands of docs/install.md, in their order: services with their children, CRDs, programs with their Leases."""
    if is_in_use:
        pytest.skip("the product is installed on this cluster, and would be removed")
    replicas = [{"name": f"serving-{name}", "count": 0} for name in ("operator", "autoscaler")]
    installed = with_kustomization(tmp_path, "base", replicas=replicas)
    admin.apply(installed.values())
    admin.kubectl("create", "namespace", "c-uninstall")
    spec = {
        "predictor": {"container": {"image": "example.com/llm:1"}},
        "scaling": {"class": "External", "external": {"replicas": 1}},
    }
    service = {"apiVersion": API_VERSION, "kind": SERVICE_KIND, "metadata": {"name": "llm"}, "spec": spec}
    stored = yaml.safe_load(
        admin.kubectl("create", "-n", "c-uninstall", "-o", "yaml", "-f", "-", stdin=yaml.safe_dump(service))
    )
    owner = controller_reference(InferenceService.parse(stored))
    child = {"name": "llm", "namespace": "c-uninstall", "ownerReferences": [owner], "labels": LABEL}
    port = {"ports": [{"port": 80}]}
    lease = {"name": "serving-operator", "namespace": SYSTEM_NAMESPACE, "labels": LABEL}
    admin.apply(
        [
            {"apiVersion": "v1", "kind": "Service", "metadata": child, "spec": port},
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": lease},
        ]
    )
    assert len(left(admin)) > len(installed)

    for line in documented("## Uninstall"):
        admin.kubectl(*line.split()[1:])

    assert left(admin) == []
    admin.kubectl("delete", "namespace", "c-uninstall")


LABEL = {"app.kubernetes.io/part-of": "serving-operator"}


def documented(heading: str) -> list[str]:
    """The kubectl commands of the first block below a heading of docs/install.md."""
    below = (ROOT / "docs" / "install.md").read_text().split(f"{heading}\n")[1]
    block = re.split(r"^```\n", below, flags=re.MULTILINE)[1]
    return [line for line in block.splitlines() if line.startswith("kubectl ")]


def left(admin: Admin) -> list[str]:
    """Every object of any kind that says it is part of us."""
    kinds = admin.kubectl("api-resources", "--verbs=list,delete", "--cached=false", "-o", "name").split()
    (selector,) = (f"{key}={value}" for key, value in LABEL.items())
    return admin.kubectl("get", ",".join(kinds), "-A", "-l", selector, "-o", "name").split()
