"""A pod gets its model by a claim, an image or a download, and keeps the restricted standard by each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from serving_api.revision import revision_of
from serving_io.errors import Forbidden, NotFound
from serving_operator.asked import StorageSecrets
from serving_operator.children.pod import pod_template
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.runtimes.resolve import resolve
from serving_operator.runtimes.storage import Downloads
from serving_operator.status.diagnosis import diagnose
from serving_operator.status.quota import demand
from serving_operator.world import Manifest, SecretState, Settings
from tests.operator.children.security import violations
from tests.operator.children.services import service
from tests.operator.rollout.simulation import START, Simulation, inference_service

PIN, COMMIT = "0" * 64, "a" * 40
URIS = {
    "pvc": "pvc://models/digits/v1",
    "s3": f"s3://models/digits#sha256={PIN}",
    "https": f"https://example.com/digits.tar.gz#sha256={PIN}",
    "hf": f"hf://org/llm:{COMMIT}",
    "oci": f"oci://registry.example.com/models/digits@sha256:{PIN}",
}
SETTINGS = Settings(downloads=Downloads("example.com/downloader:1", ("10.96.0.0/12",), 1000))


def model(uri: str, **more: Any) -> dict[str, Any]:
    """A predictor with a stored model."""
    return {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": uri} | more}


def pod(uri: str, **more: Any) -> Manifest:
    """The pod of a model."""
    made = service(model(uri, **more))
    predictor = made.spec.predictor
    return pod_template(made, revision_of(predictor), resolve(predictor, Catalogue()), settings=SETTINGS)


@pytest.mark.parametrize("scheme", URIS)
def test_every_pod_keeps_the_restricted_standard(scheme: str) -> None:
    """Init containers included: no privilege, no token, a read-only root and a model that the server cannot change."""
    made = pod(URIS[scheme])
    spec = made["spec"]

    assert violations(made) == []
    assert spec["automountServiceAccountToken"] is False
    assert all(
        container["securityContext"]["readOnlyRootFilesystem"]
        for container in [*spec["containers"], *spec.get("initContainers", ())]
    )
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in [*spec["containers"], *spec.get("initContainers", ())]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    (mount,) = (m for m in spec["containers"][0]["volumeMounts"] if m["mountPath"] == "/mnt/models")
    assert mount["readOnly"] is True


def test_an_image_is_a_volume_without_a_download() -> None:
    """oci:// names an image by its digest; the kubelet mounts it."""
    spec = pod(URIS["oci"])["spec"]

    reference = URIS["oci"].removeprefix("oci://")
    volume = {"name": "model", "image": {"reference": reference, "pullPolicy": "IfNotPresent"}}
    assert volume in spec["volumes"]
    assert "initContainers" not in spec


@pytest.mark.parametrize("scheme", ["s3", "https", "hf"])
def test_a_download_is_told_its_limits(scheme: str) -> None:
    """URI, limit and allowed networks are arguments; the model appears in a folder of the shared volume."""
    spec = pod(URIS[scheme])["spec"]
    (first,) = spec["initContainers"]

    assert first["image"] == "example.com/downloader:1"
    assert first["args"] == [
        URIS[scheme],
        "--to=/mnt/store",
        "--limit-megabytes=1000",
        "--message=/dev/termination-log",
        "--allow=10.96.0.0/12",
    ]
    assert {"name": "model", "mountPath": "/mnt/store"} in first["volumeMounts"]
    assert first["resources"]["limits"]["memory"] == "1Gi"
    assert demand({"spec": spec})["limits.memory"] == 1 << 30
    served = {"name": "model", "mountPath": "/mnt/models", "readOnly": True, "subPath": "model"}
    assert served in spec["containers"][0]["volumeMounts"]


def test_credentials_reach_the_init_container_alone() -> None:
    """As files of a Secret: neither the model server nor any variable has them."""
    spec = pod(URIS["s3"], storage={"secretName": "bucket"})["spec"]
    (first,) = spec["initContainers"]

    assert {"name": "model-credentials", "secret": {"secretName": "bucket"}} in spec["volumes"]
    assert "--credentials=/mnt/credentials" in first["args"]
    assert all("bucket" not in str(container) for container in spec["containers"])
    assert [variable["name"] for variable in first["env"]] == ["HOME"]


def test_the_kubelet_expands_nothing_in_an_address() -> None:
    """$(NAME) in an argument would be replaced by a variable."""
    uri = f"https://example.com/$(HOME)#sha256={PIN}"

    assert pod(uri)["spec"]["initContainers"][0]["args"][0] == uri.replace("$", "$$")


@pytest.mark.parametrize("field", ["runAsUser", "runAsGroup", "fsGroup"])
def test_root_is_refused(field: str) -> None:
    """0 is no user or group of a model."""
    with pytest.raises(ValidationError):
        service({field: 0})


def simulation(secret: SecretState | None) -> Simulation:
    """A cluster with a service whose storage names a Secret."""
    raw = inference_service("a")
    raw["spec"]["predictor"] = model(URIS["s3"], storage={"secretName": "bucket"}) | {"maxReplicas": 8}
    made = Simulation(raw)
    made.storage_secret = secret
    return made


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("Unlabelled", "label secret bucket serving-operator.dev/storage=true"),
        ("Missing", "create it with the label"),
        ("Unreadable", "--clusterrole=serving-operator-storage"),
    ],
)
def test_no_pod_is_made_with_a_secret_that_is_not_opened(secret: SecretState, says: str) -> None:
    """Without the label nothing is made, and Stalled says who has to do what; with it the revision begins."""
    cluster = simulation(secret)
    cluster.run(10)
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert stalled["reason"] == f"StorageSecret{secret}"
    assert says in stalled["message"]
    assert cluster.of_kind("Deployment") == {}
    cluster.storage_secret = "Labelled"
    cluster.run(60)
    assert cluster.condition("Stalled") is None
    assert len(cluster.of_kind("Deployment")) == 1


def test_where_the_operator_has_roles_only_its_namespace_has_a_role_to_bind() -> None:
    """A ClusterRole of that name is not there: the overlay of one namespace makes it a Role."""
    cluster = simulation("Unreadable")
    cluster.settings = replace(SETTINGS, one_namespace=True)
    cluster.run(10)
    stalled = cluster.condition("Stalled")
    assert stalled is not None
    assert " --role=serving-operator-storage " in stalled["message"]


class Secrets:
    """Answers with the metadata of Secrets, or refuses."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer
        self.asked = 0

    async def metadata(self, *_: object) -> dict[str, Any]:
        """What a Cluster says of an object."""
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"labels": {"serving-operator.dev/storage": "true"}}, "Labelled"),
        ({"labels": {"serving-operator.dev/storage": "no"}}, "Unlabelled"),
        ({}, "Unlabelled"),
        (NotFound(404, "NotFound", "x"), "Missing"),
        (Forbidden(403, "Forbidden", "x"), "Unreadable"),
    ],
)
async def test_the_label_decides(answer: dict[str, Any] | Exception, state: str) -> None:
    """The label's value true opens a Secret; it is asked for once in ten seconds, and only if a service names one."""
    cluster = Secrets(answer)
    secrets = StorageSecrets(cluster)  # type: ignore[arg-type]
    raw = simulation(None).service

    assert await secrets.of(raw, START) == state
    assert await secrets.of(raw, START) == state
    assert await secrets.of(inference_service("a"), START) is None
    assert cluster.asked == 1


def test_why_a_download_failed_is_said() -> None:
    """The downloader's last sentence is in the cause, so that it is in Stalled."""
    ended = {"exitCode": 3, "message": "1.0 of 2.0 MB\n10.0.0.1 is no public address."}
    waiting = {
        "metadata": {"name": "p"},
        "status": {"initContainerStatuses": [{"name": "model-download", "lastState": {"terminated": ended}}]},
    }
    cause = diagnose([waiting], None)
    assert cause is not None
    assert cause.reason == "InitFailed"
    assert "code 3: 10.0.0.1 is no public address." in cause.message
    unpulled = {"name": "model-download", "image": "x:1", "state": {"waiting": {"reason": "ErrImagePull"}}}
    waiting["status"]["initContainerStatuses"] = [unpulled]
    cause = diagnose([waiting], None)
    assert cause is not None
    assert cause.reason == "ImagePullFailed"
