"""The demo's manifests agree with the API, with each other and with the program that applies them."""

import json
from pathlib import Path
from typing import Any

import yaml

from loadtests.demo import rates, setup
from serving_api.service import InferenceServiceSpec

FOLDER = Path(__file__).parents[3] / "manifests/demo"
MLSERVER_EDGES_MILLISECONDS = (5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)


def manifest(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return loaded


SERVICES = [manifest(f"service-v{version}.yaml") for version in (1, 2, 3, 4)]


def test_versions_differ_in_their_model_alone() -> None:
    """Each version names its own folder of the volume, and nothing else changes."""
    stored = [
        one["spec"]["predictor"]["model"].pop("storageUri")
        for one in map(json.loads, map(json.dumps, SERVICES))
    ]
    assert stored == [f"pvc://models/digits/v{version}" for version in (1, 2, 3, 4)]
    for one in SERVICES:
        rest = json.loads(json.dumps(one))
        rest["spec"]["predictor"]["model"]["storageUri"] = ""
        first = json.loads(json.dumps(SERVICES[0]))
        first["spec"]["predictor"]["model"]["storageUri"] = ""
        assert rest == first


def test_services_are_what_the_api_knows() -> None:
    """Every field is one that the API has: writing the parsed spec loses none."""

    def is_within(given: Any, parsed: Any) -> bool:
        if isinstance(given, dict):
            return all(key in parsed and is_within(value, parsed[key]) for key, value in given.items())
        if isinstance(given, list):
            return len(given) == len(parsed) and all(map(is_within, given, parsed))
        return bool(given == parsed)

    for one in SERVICES:
        assert is_within(one["spec"], InferenceServiceSpec.model_validate(one["spec"]).wire())


def test_the_program_knows_its_service() -> None:
    """Name, namespace and host that the program uses are those of the manifests."""
    metadata, spec = SERVICES[0]["metadata"], SERVICES[0]["spec"]
    assert (metadata["name"], metadata["namespace"]) == (setup.SERVICE, setup.NAMESPACE)
    assert spec["route"]["hostnames"] == [setup.HOST]
    assert manifest("namespace.yaml")["metadata"]["name"] == setup.NAMESPACE
    assert manifest("train/kustomization.yaml")["namespace"] == setup.NAMESPACE


def test_the_objective_can_be_measured() -> None:
    """Its threshold is an edge of the runtime's latency histogram."""
    assert SERVICES[0]["spec"]["objective"]["thresholdMilliseconds"] in MLSERVER_EDGES_MILLISECONDS


def test_the_peak_needs_three_replicas() -> None:
    """The peak is more work than two replicas do within two thirds of their time, and fits the bounds."""
    assert 2 * 0.67 < rates.PEAK_WORK < SERVICES[0]["spec"]["predictor"]["maxReplicas"] * 0.67


def test_the_training_job_is_restricted() -> None:
    """The Job's pod meets the restricted Pod Security Standard and carries no token."""
    pod = manifest("train/job.yaml")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_request_is_one_that_the_good_versions_answer() -> None:
    """Four images of 64 pixels, as the open inference protocol wants them."""
    (tensor,) = json.loads((FOLDER / "request.json").read_text())["inputs"]
    assert tensor["shape"] == [len(tensor["data"]), 64]
    assert all(len(image) == 64 and all(0 <= pixel <= 16 for pixel in image) for image in tensor["data"])
