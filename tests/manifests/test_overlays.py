"""The base and its overlays as kustomize renders them: what each adds, and what none may lack."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from manifests.prometheus.monitors import RULES
from serving_api.names import AUTOSCALER, OPERATOR, SYSTEM_NAMESPACE
from tests.manifests.rendering import (
    KUBECTL,
    MANIFESTS,
    OVERLAYS,
    PROGRAMS,
    ROOT,
    Id,
    Manifest,
    by_id,
    of_kind,
    rendered,
)

FOLDERS = ("base", *(f"overlays/{overlay}" for overlay in OVERLAYS))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def rules(objects: dict[Id, Manifest], *names: str) -> list[Manifest]:
    """The rules of the roles with these names, in their order."""
    roles = {role["metadata"]["name"]: role for role in of_kind(objects, "Role", "ClusterRole")}
    return [rule for name in names for rule in roles[name]["rules"]]


@pytest.mark.parametrize("folder", FOLDERS)
def test_everything_is_labelled(folder: str) -> None:
    """Each object and each pod says what it is, which part, of what, and of which version: the one of the project."""
    for name, entry in rendered(folder).items():
        labelled = [entry["metadata"]]
        if entry["kind"] == "Deployment":
            labelled.append(entry["spec"]["template"]["metadata"])
            selector = entry["spec"]["selector"]["matchLabels"]
            assert "app.kubernetes.io/version" not in selector, "selectors cannot change"
        for metadata in labelled:
            labels = metadata["labels"]
            assert labels["app.kubernetes.io/name"] in (OPERATOR, AUTOSCALER), name
            assert labels["app.kubernetes.io/component"], name
            assert labels["app.kubernetes.io/part-of"] == OPERATOR, name
            assert labels["app.kubernetes.io/version"] == VERSION, name


@pytest.mark.parametrize("folder", FOLDERS)
def test_roles_are_bound_to_accounts_that_are_there(folder: str) -> None:
    """Each binding leads from a service account of the install to a role of the install, and each pod has its account."""
    objects = rendered(folder)
    accounts = {(place.namespace, place.name) for place in objects if place.kind == "ServiceAccount"}
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        role = Id(
            binding["roleRef"]["kind"],
            binding["metadata"].get("namespace", ""),
            binding["roleRef"]["name"],
        )
        assert role in objects
        assert {(subject["namespace"], subject["name"]) for subject in binding["subjects"]} <= accounts
    for deployment in of_kind(objects, "Deployment"):
        account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
        assert (deployment["metadata"]["namespace"], account) in accounts


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if "single-namespace" not in folder])
def test_overlays_only_add(folder: str) -> None:
    """Nothing of the base is missing in an overlay, and nothing but replicas and affinity is changed."""
    objects = rendered(folder)
    for name, entry in rendered("base").items():
        changed = objects[name]
        if folder.endswith("high-availability") and entry["kind"] == "Deployment":
            assert changed["spec"].pop("replicas") == 2
            assert entry["spec"].pop("replicas") == 1
            del changed["spec"]["template"]["spec"]["affinity"]
        assert changed == entry


def test_two_replicas_stand_apart_and_one_stays() -> None:
    """High availability: each program's pods avoid each other's node, and a budget lets one go at a time."""
    objects = rendered("overlays/high-availability")
    for program in PROGRAMS:
        deployment = objects[Id("Deployment", SYSTEM_NAMESPACE, f"serving-{program}")]
        pod_labels = deployment["spec"]["template"]["metadata"]["labels"].items()
        terms = deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"][
            "preferredDuringSchedulingIgnoredDuringExecution"
        ]
        assert [term["podAffinityTerm"]["topologyKey"] for term in terms] == [
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        ]
        for term in terms:
            assert term["podAffinityTerm"]["labelSelector"]["matchLabels"].items() <= pod_labels
        budget = objects[Id("PodDisruptionBudget", SYSTEM_NAMESPACE, f"serving-{program}")]["spec"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"]["matchLabels"].items() <= pod_labels


def test_a_single_namespace_needs_nothing_of_the_cluster() -> None:
    """Roles only, with exactly the base's rules; both programs watch the namespace that they are in, whichever that is."""
    objects = rendered("overlays/single-namespace")

    assert {entry["kind"] for entry in objects.values()} == {
        "Role",
        "RoleBinding",
        "ServiceAccount",
        "Deployment",
    }
    base = rendered("base")
    for program in (OPERATOR, AUTOSCALER):
        names = (program, f"{program}-lease")
        assert rules(objects, *names) == rules(base, *names)
    for deployment in of_kind(objects, "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        own = {"name": "WATCH_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
        assert own in container["env"]


def test_a_single_namespace_is_named_by_one_line(tmp_path: Path) -> None:
    """`namespace:` in a kustomization of one's own moves everything: accounts, roles, bindings and their subjects."""
    objects = with_kustomization(tmp_path, "overlays/single-namespace", namespace="team-a")

    assert {place.namespace for place in objects} == {"team-a"}
    for binding in of_kind(objects, "RoleBinding"):
        assert [subject["namespace"] for subject in binding["subjects"]] == ["team-a"]


def test_a_generated_config_map_restarts_the_programs(tmp_path: Path) -> None:
    """A `configMapGenerator` of one's own names the ConfigMap by its content, and the pods mount it by that name."""
    (tmp_path / "config.yaml").write_text("namespaces: [team-a]\n")
    generator = {"name": "serving-config", "namespace": SYSTEM_NAMESPACE, "files": ["config.yaml"]}
    objects = with_kustomization(tmp_path, "base", configMapGenerator=[generator])

    (config,) = of_kind(objects, "ConfigMap")
    assert config["metadata"]["name"].startswith("serving-config-")
    for deployment in of_kind(objects, "Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
        (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "config"]
        file = {"name": "CONFIG_FILE", "value": f"{mount['mountPath']}/config.yaml"}
        assert file in spec["containers"][0]["env"]


def with_kustomization(folder: Path, resource: str, **fields: object) -> dict[Id, Manifest]:
    """What a kustomization of one's own makes of a folder of ours."""
    there = Path(*[".."] * (len(folder.resolve().parts) - 1), *MANIFESTS.parts[1:], resource)
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [str(there)], **fields}))
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return by_id(done.stdout)


def test_what_users_may_do_is_added_to_the_roles_that_clusters_have() -> None:
    """view reads, edit writes, admin commands: on our kinds and their subresources; never a status, nor what is the cluster's."""
    objects = rendered("base")
    may: dict[str, set[tuple[str, str]]] = {}
    for role in of_kind(objects, "ClusterRole"):
        labels = role["metadata"]["labels"]
        for name in ("view", "edit", "admin"):
            if labels.get(f"rbac.authorization.k8s.io/aggregate-to-{name}") == "true":
                may[name] = {
                    (verb, kind)
                    for rule in role["rules"]
                    for verb in rule["verbs"]
                    for kind in rule["resources"]
                }
    kinds = {"inferenceservices", "inferenceautoscalers", "servingruntimes"}
    assert {verb for verb, _ in may["view"]} == {"get", "list", "watch"}
    assert {("list", kind) for kind in kinds | {"clusterservingruntimes"}} <= may["view"]
    assert {("create", kind) for kind in kinds} | {("deletecollection", kind) for kind in kinds} <= may[
        "edit"
    ]
    assert ("patch", "inferenceservices/scale") in may["edit"]
    assert may["admin"] == {("command", "inferenceservices")}
    written = {kind for _, kind in may["edit"] | may["admin"]}
    assert not any(kind.endswith("/status") or kind.startswith("cluster") for kind in written)


def test_policies_shut_out_all_but_what_is_needed() -> None:
    """Both programs are denied everything first, then are given the scrape, the API server, names and Prometheus; no other pod is."""
    policies = of_kind(rendered("overlays/network-policies"), "NetworkPolicy")
    deny, allow = sorted((policy["spec"] for policy in policies), key=len)

    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    assert {"ingress", "egress"} & set(deny) == set()
    for policy in (deny, allow):
        (chosen,) = policy["podSelector"]["matchExpressions"]
        assert (chosen["key"], set(chosen["values"])) == ("app.kubernetes.io/name", {OPERATOR, AUTOSCALER})
    (scrape,) = allow["ingress"]
    assert [port["port"] for port in scrape["ports"]] == ["http"]
    reached = {port["port"] for rule in allow["egress"] for port in rule["ports"]}
    assert reached == {443, 6443, 53, 9090}


def test_monitors_say_what_the_scrape_configuration_says() -> None:
    """Each job is a PodMonitor with the same relabelings in the same order, for no fewer pods; the rules are the same groups."""
    objects = rendered("overlays/prometheus-operator")
    jobs = yaml.safe_load((MANIFESTS / "prometheus" / "scrape-config.yaml").read_text())["scrape_configs"]
    for job in jobs:
        monitor = objects[Id("PodMonitor", SYSTEM_NAMESPACE, job["job_name"])]["spec"]
        (endpoint,) = monitor["podMetricsEndpoints"]
        lowered = [
            {key.lower(): value for key, value in relabeling.items()}
            for relabeling in endpoint["relabelings"]
        ]
        assert lowered == [
            {key.replace("_", ""): value for key, value in relabeling.items()}
            for relabeling in job["relabel_configs"]
        ]
        assert endpoint.get("honorLabels", False) == job.get("honor_labels", False)
        # Whatever a Prometheus' own default is, the rules' windows of 60 s hold four scrapes.
        assert endpoint["interval"] == job["scrape_interval"] == "15s"
    everyones = objects[Id("PodMonitor", SYSTEM_NAMESPACE, "serving-pods")]["spec"]
    assert (everyones["namespaceSelector"], everyones["selector"]) == ({"any": True}, {})
    rule = objects[Id("PrometheusRule", SYSTEM_NAMESPACE, "serving-rules")]["spec"]
    files = [yaml.safe_load((MANIFESTS / "prometheus" / name).read_text()) for name in RULES]
    assert rule == {"groups": [group for file in files for group in file["groups"]]}
