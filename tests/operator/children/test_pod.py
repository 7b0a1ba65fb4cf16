"""What the pod of a revision looks like."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_api.configuration import parse
from serving_api.revision import revision_of
from serving_operator.children.pod import has_accelerators, pod_template
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.runtimes.resolve import resolve
from serving_operator.runtimes.storage import StoredModel
from serving_operator.world import DEFAULT_SETTINGS, Manifest
from tests.operator.children.security import violations
from tests.operator.children.services import CONTAINER, MODEL, pod, service


def container(predictor: dict[str, Any] | None = None) -> Manifest:
    """The model container of a service's pod."""
    found: Manifest = pod(predictor)["spec"]["containers"][0]
    return found


RICH = {
    "container": CONTAINER["container"]
    | {"resources": {"limits": {"nvidia.com/gpu": 1, "memory": "16Gi"}, "requests": {"memory": "8Gi"}}},
    "nodeSelector": {"gpu": "a100"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "priorityClassName": "high",
    "runtimeClassName": "nvidia",
    "schedulerName": "gang",
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccountName": "reader",
    "sharedMemory": "2Gi",
    "persistentVolumeClaims": [{"claimName": "cache", "mountPath": "/cache"}],
    "runAsUser": 2000,
    "runAsGroup": 3000,
    "fsGroup": 4000,
    "labels": {"team": "search"},
    "annotations": {"example.com/owner": "search"},
}


@pytest.mark.parametrize("predictor", [CONTAINER, MODEL, RICH], ids=["container", "model", "rich"])
def test_pod_keeps_the_restricted_standard(predictor: dict[str, Any]) -> None:
    """No pod breaks a control of the restricted Pod Security Standard, and none has a token."""
    made = pod(predictor)

    assert violations(made) == []
    assert made["spec"]["automountServiceAccountToken"] is False
    assert made["spec"]["enableServiceLinks"] is False
    assert made["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_check_of_the_standard_finds_a_breach() -> None:
    """The check itself is not blind: a pod without a security context breaks five controls."""
    assert set(violations({"spec": {"containers": [{"name": "model"}]}})) == {
        "allowPrivilegeEscalation",
        "runAsNonRoot",
        "seccompProfile",
        "capabilities.drop",
    }


@given(
    user=st.integers(1, 2**32 - 2),
    claims=st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True),
    memory=st.sampled_from([None, "64Mi", "2Gi"]),
    grace=st.one_of(st.none(), st.integers(1, 7200)),
    drain=st.integers(0, 120),
)
def test_every_pod_is_valid_in_itself(
    user: int, claims: list[str], memory: str | None, grace: int | None, drain: int
) -> None:
    """Whatever is asked for: names are unique, mounts have volumes, and the drain fits the grace period."""
    stated = {
        "runAsUser": user,
        "persistentVolumeClaims": [{"claimName": c, "mountPath": f"/data/{c}"} for c in claims],
        "sharedMemory": memory,
        "terminationGracePeriodSeconds": grace,
    }
    made = service({key: value for key, value in stated.items() if value})
    predictor = made.spec.predictor
    settings = dataclasses.replace(DEFAULT_SETTINGS, drain_seconds=drain)

    template = pod_template(made, revision_of(predictor), resolve(predictor, Catalogue()), settings=settings)

    spec, model = template["spec"], template["spec"]["containers"][0]
    volumes = [volume["name"] for volume in spec["volumes"]]
    paths = [mount["mountPath"] for mount in model["volumeMounts"]]
    assert violations(template) == []
    assert len(set(volumes)) == len(volumes)
    assert len(set(paths)) == len(paths)
    assert {mount["name"] for mount in model["volumeMounts"]} == set(volumes)
    sleep = model.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert sleep <= spec["terminationGracePeriodSeconds"]
    assert (sleep > 0) == (drain > 0)


def test_everything_stated_arrives_in_the_pod() -> None:
    """Every field of the predictor that shapes the pod is in the pod."""
    made = pod(RICH)
    spec, model = made["spec"], made["spec"]["containers"][0]

    for field in ("nodeSelector", "tolerations", "priorityClassName", "runtimeClassName", "schedulerName"):
        assert spec[field] == RICH[field]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["serviceAccountName"] == "reader"
    assert spec["securityContext"]["runAsUser"] == 2000
    assert spec["securityContext"]["runAsGroup"] == 3000
    assert spec["securityContext"]["fsGroup"] == 4000
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in spec["volumes"]
    assert {"name": "shared-memory", "mountPath": "/dev/shm"} in model["volumeMounts"]
    assert {"name": "claim-0", "mountPath": "/cache"} in model["volumeMounts"]
    assert made["metadata"]["labels"]["team"] == "search"
    assert made["metadata"]["annotations"]["example.com/owner"] == "search"


def test_accelerators_bring_their_tolerations() -> None:
    """The administrator's tolerations are added to the pod's own where it asks for the resource, and only there."""
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    own = {"key": "team", "operator": "Equal", "value": "search"}
    entry = {"resource": "nvidia.com/gpu", "tolerations": [taint]}
    configured = dataclasses.replace(
        DEFAULT_SETTINGS, accelerators=tuple(parse({"accelerators": [entry]}).accelerators)
    )

    def tolerations(tolerated: list[dict[str, str]], **limits: str) -> list[dict[str, str]]:
        container = {"image": "example.com/llm:1", "resources": {"limits": limits}}
        made = service({"container": container, "tolerations": tolerated})
        template = pod_template(
            made, revision_of(made.spec.predictor), resolve(made.spec.predictor, "llama"), settings=configured
        )
        found: list[dict[str, str]] = template["spec"].get("tolerations", [])
        return found

    assert tolerations([own], **{"nvidia.com/gpu": "1"}) == [own, taint]
    assert tolerations([taint], **{"nvidia.com/gpu": "1"}) == [taint]
    assert tolerations([], cpu="1") == []


def test_spreading_counts_the_pods_of_the_revision() -> None:
    """Pods are spread among those of their own revision: another one's leaving pods do not count."""
    made = pod(RICH)

    (constraint,) = made["spec"]["topologySpreadConstraints"]
    assert constraint["labelSelector"]["matchLabels"] == {
        "serving-operator.dev/service": "llama",
        "serving-operator.dev/revision": made["metadata"]["labels"]["serving-operator.dev/revision"],
    }


def test_requests_follow_limits() -> None:
    """What is limited and not requested is requested as limited; a stated request stays."""
    resources = container(RICH)["resources"]

    assert resources["requests"] == {"nvidia.com/gpu": "1", "memory": "8Gi"}


def test_own_labels_do_not_replace_ours() -> None:
    """A user's label cannot take a pod out of its revision's selector."""
    made = pod({"labels": {"team": "x"}})

    assert made["metadata"]["labels"]["serving-operator.dev/service"] == "llama"


def test_container_without_probes_is_asked_by_tcp() -> None:
    """A container that states no probes is ready when port http accepts connections."""
    made = container()

    assert made["readinessProbe"]["tcpSocket"] == {"port": "http"}
    assert "livenessProbe" not in made


def test_stated_probes_are_taken_as_they_are() -> None:
    """A stated readiness probe replaces the default one."""
    stated = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1}

    made = container({"container": CONTAINER["container"] | {"readinessProbe": stated}})

    assert made["readinessProbe"] == stated


def test_environment_tells_who_the_pod_is() -> None:
    """Every pod knows its service, its revision and its address; HOME is writable."""
    by_name = {variable["name"]: variable for variable in container()["env"]}

    paths = {
        name: variable["valueFrom"]["fieldRef"]["fieldPath"]
        for name, variable in by_name.items()
        if "valueFrom" in variable
    }
    assert paths == {
        "SERVING_SERVICE": "metadata.labels['serving-operator.dev/service']",
        "SERVING_REVISION": "metadata.labels['serving-operator.dev/revision']",
        "POD_IP": "status.podIP",
    }
    assert by_name["HOME"] == {"name": "HOME", "value": "/tmp"}


def test_a_users_variable_goes_before_ours() -> None:
    """A variable that the runtime presets and the user states is there once, with the user's value."""
    made = container({"model": MODEL["model"] | {"env": [{"name": "MLSERVER_DEBUG", "value": "true"}]}})

    assert [v["value"] for v in made["env"] if v["name"] == "MLSERVER_DEBUG"] == ["true"]


def test_stored_model_is_mounted_read_only() -> None:
    """The model's folder of its claim is at /mnt/models, and cannot be written."""
    made = pod(MODEL)

    assert {"name": "model", "persistentVolumeClaim": {"claimName": "models"}} in made["spec"]["volumes"]
    assert {
        "name": "model",
        "mountPath": "/mnt/models",
        "readOnly": True,
        "subPath": "digits/v1",
    } in made["spec"]["containers"][0]["volumeMounts"]


@pytest.mark.parametrize(
    ("predictor", "port"),
    [
        (CONTAINER, "8080"),
        (MODEL, "8082"),
        (
            {
                "container": CONTAINER["container"]
                | {
                    "ports": [
                        {"name": "http", "containerPort": 9000},
                        {"name": "metrics", "containerPort": 9001},
                    ]
                }
            },
            "9001",
        ),
    ],
)
def test_prometheus_is_told_where_to_scrape(predictor: dict[str, Any], port: str) -> None:
    """Port metrics is scraped where there is one, else http."""
    assert pod(predictor)["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": port,
        "prometheus.io/path": "/metrics",
    }


@pytest.mark.parametrize(
    ("timeout", "stated", "grace"),
    [
        ({}, {}, 75),
        ({"timeout": 5}, {}, 75),
        ({"timeout": 61}, {}, 76),
        ({"timeout": 3600}, {}, 3615),
        ({"timeout": 600}, {"terminationGracePeriodSeconds": 30}, 30),
    ],
)
def test_grace_period_covers_drain_and_the_longest_request(
    timeout: dict[str, Any], stated: dict[str, Any], grace: int
) -> None:
    """Without a stated grace period a pod has drain, the timeout (its default at least) and a margin."""
    assert pod(timeout | stated)["spec"]["terminationGracePeriodSeconds"] == grace


def test_a_short_grace_period_is_all_drain() -> None:
    """A pod answers until its end where it is told to end early."""
    assert pod({"terminationGracePeriodSeconds": 3})["spec"]["containers"][0]["lifecycle"] == {
        "preStop": {"sleep": {"seconds": 3}}
    }


def test_accelerators_are_recognised_by_their_limit() -> None:
    """Extended resources have a slash in their name; cpu and memory do not."""
    assert has_accelerators(pod(RICH))
    assert not has_accelerators(pod(MODEL))


@pytest.mark.parametrize(
    ("uri", "claim", "folder"),
    [("pvc://models/a/b/", "models", "a/b"), ("pvc://models", "models", None), ("pvc://m/x", "m", "x")],
)
def test_storage_uri_names_claim_and_folder(uri: str, claim: str, folder: str | None) -> None:
    """pvc://CLAIM/PATH is split at the first slash."""
    stored = StoredModel(uri)
    assert stored.volumes() == [{"name": "model", "persistentVolumeClaim": {"claimName": claim}}]
    assert stored.mount().get("subPath") == folder


def test_other_storage_schemes_are_refused() -> None:
    """A scheme that nothing here can fetch is an error that names those that can be."""
    with pytest.raises(ValueError, match="expected one of pvc://"):
        StoredModel("ftp://host/model")


@pytest.mark.parametrize(
    ("predictor", "threshold", "asks"),
    [
        (MODEL, 300, "httpGet"),
        (MODEL | {"modelLoadSeconds": 1801}, 901, "httpGet"),
        (CONTAINER, None, ""),
        (CONTAINER | {"modelLoadSeconds": 1801}, 361, "tcpSocket"),
    ],
    ids=["model", "slow model", "container", "slow container"],
)
def test_a_model_has_its_time_to_load(predictor: dict[str, Any], threshold: int | None, asks: str) -> None:
    """The startup probe asks what the readiness probe asks, and fails for as long as the model may load."""
    made = container(predictor)
    probe = made.get("startupProbe")
    assert (probe or {}).get("failureThreshold") == threshold
    assert probe is None or probe[asks] == made["readinessProbe"][asks]


def test_a_container_loads_by_its_own_readiness() -> None:
    """Its address, command and time-out are taken over; how often and for how long follows from the time to load."""
    ready = {"httpGet": {"path": "/ready", "port": 8080}, "timeoutSeconds": 3, "periodSeconds": 60}
    stated = {"container": CONTAINER["container"] | {"readinessProbe": ready}, "modelLoadSeconds": 60}
    probe = container(stated)["startupProbe"]
    assert (probe["httpGet"], probe["timeoutSeconds"]) == (ready["httpGet"], 3)
    assert probe["periodSeconds"] * probe["failureThreshold"] == 60
