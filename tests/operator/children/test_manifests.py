"""What the children of a service look like."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving_api.revision import revision_of
from serving_api.scaling import Objective
from serving_operator.children.autoscaler import inference_autoscaler
from serving_operator.children.deployment import deployment
from serving_operator.children.disruption import disruption_budget
from serving_operator.children.metadata import revision_in
from serving_operator.children.revision import attempt_of, controller_revision, recovered, restated
from serving_operator.children.route import route, weights
from serving_operator.children.services import revision_service, stable_service
from serving_operator.covers import covers
from serving_operator.runtimes.catalogue import Catalogue
from serving_operator.world import Manifest
from tests.operator.children.services import CONTAINER, MODEL, recorded, service

SHARE = {"of": ["llama-a"], "weightPercent": 100, "reservePercent": 100}


def every_child() -> list[Manifest]:
    """One of each."""
    made, record = recorded(MODEL)
    revision = revision_of(made.spec.predictor)
    return [
        record,
        deployment(made, record, 2),
        revision_service(made, record),
        stable_service(made, revision_in(record)),
        disruption_budget(made, revision),
        route(made, [(revision, 100)], {}),
        autoscaler(made),
    ]


def autoscaler(made: Any, **more: Any) -> Manifest:
    """Its InferenceAutoscaler."""
    return inference_autoscaler(
        made,
        "0a1b2c3d",
        objective=Objective(threshold_milliseconds=300),
        min_replicas=1,
        max_replicas=4,
        share=SHARE,
        scale_down="Allowed",
        runtimes=Catalogue(),
        **more,
    )


@pytest.mark.parametrize(
    "child", every_child(), ids=lambda child: f"{child['kind']}-{child['metadata']['name']}"
)
def test_child_is_controlled_and_found(child: Manifest) -> None:
    """Every child names its controller, so that it goes with it, and carries the labels by which it is watched."""
    metadata = child["metadata"]

    assert metadata["namespace"] == "team"
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "serving-operator"
    assert metadata["labels"]["serving-operator.dev/service"] == "llama"
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "serving-operator.dev/v1alpha1",
            "kind": "InferenceService",
            "name": "llama",
            "uid": "uid-of-llama",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_record_holds_what_a_deployment_needs() -> None:
    """A ControllerRevision keeps fields, runtime, ports and the rendered pod, and its attempt."""
    made, record = recorded(MODEL)

    assert set(record["data"]) == {"fields", "runtime", "podTemplate", "ports"}
    assert record["data"]["runtime"]["name"] == "mlserver"
    assert record["data"]["ports"] == {"http": 8080, "metrics": 8082}
    assert record["revision"] == 1
    assert attempt_of(record) == {"id": "x"}
    assert deployment(made, record, 1)["spec"]["template"] == record["data"]["podTemplate"]


def test_record_of_another_revision_is_refused() -> None:
    """A record cannot be made of a revision that the spec does not ask for."""
    with pytest.raises(ValueError, match="not for 00000000"):
        controller_revision(service(), "00000000", 1, {}, stable=False, runtimes=Catalogue())


def test_restating_keeps_the_data() -> None:
    """A new attempt or rank changes label, annotation and number; the immutable data stays as recorded."""
    made, record = recorded()
    older = record | {"data": record["data"] | {"rendered": "by an older operator"}}

    again = restated(made, older, 2, {"id": "y"}, stable=True)

    assert again["data"] == older["data"]
    assert again["revision"] == 2
    assert again["metadata"]["labels"]["serving-operator.dev/stable"] == "true"
    assert attempt_of(again) == {"id": "y"}


def test_lost_record_is_recovered_from_its_deployment() -> None:
    """The template of a Deployment is enough to record its revision again."""
    made, record = recorded(MODEL)
    live = deployment(made, record, 3)

    again = recovered(made, live, 1, {"id": "x"}, stable=False, runtimes=Catalogue())

    assert again["data"]["podTemplate"] == record["data"]["podTemplate"]
    assert again["data"]["ports"] == record["data"]["ports"]
    assert again["metadata"]["name"] == record["metadata"]["name"]


@pytest.mark.parametrize("text", ["", "not json", "[1]"])
def test_unreadable_attempt_is_empty(text: str) -> None:
    """An annotation that somebody has broken reads as no attempt."""
    assert attempt_of({"metadata": {"annotations": {"serving-operator.dev/attempt": text}}}) == {}


def test_replicas_are_stated_only_when_asked() -> None:
    """Without a number the field is somebody else's: an apply then leaves it alone."""
    made, record = recorded()

    assert deployment(made, record, 3)["spec"]["replicas"] == 3
    assert "replicas" not in deployment(made, record, None)["spec"]


@pytest.mark.parametrize(
    ("limits", "surge", "unavailable"), [({"nvidia.com/gpu": 1}, 0, 1), ({"cpu": 1}, 1, 0)]
)
def test_devices_are_not_taken_twice(limits: dict[str, int], surge: int, unavailable: int) -> None:
    """A pod with devices goes before its successor comes; others come first."""
    made, record = recorded({"container": CONTAINER["container"] | {"resources": {"limits": limits}}})

    assert deployment(made, record, 1)["spec"]["strategy"]["rollingUpdate"] == {
        "maxSurge": surge,
        "maxUnavailable": unavailable,
    }


def test_services_select_one_revision() -> None:
    """Both Services send port 80 to port http of one revision's pods; they differ in their name."""
    made, record = recorded()
    revision = record["metadata"]["labels"]["serving-operator.dev/revision"]

    one, stable = revision_service(made, record), stable_service(made, revision_in(record))

    assert one["metadata"]["name"] == f"llama-{revision}"
    assert stable["metadata"]["name"] == "llama"
    assert one["spec"] == stable["spec"]
    assert one["spec"]["selector"] == {
        "serving-operator.dev/service": "llama",
        "serving-operator.dev/revision": revision,
    }
    assert one["spec"]["ports"] == [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}]
    assert "serving-operator.dev/revision" not in stable["metadata"]["labels"]


@pytest.mark.parametrize(
    ("field", "edit"),
    [("type", "NodePort"), ("sessionAffinity", "ClientIP"), ("internalTrafficPolicy", "Local")],
)
def test_edits_of_what_the_server_would_fill_in_are_drift(field: str, edit: str) -> None:
    """A Service states its defaulted fields, and one that has them edited is not as wanted."""
    made, record = recorded()
    for wanted in (revision_service(made, record), stable_service(made, revision_in(record))):
        assert covers(wanted, wanted)
        assert not covers(wanted | {"spec": wanted["spec"] | {field: edit}}, wanted)


def test_route_gives_each_revision_its_share() -> None:
    """Weights, hostnames, parents and timeout are in the route, and the weights are read back from it."""
    made = service({"timeout": 7})

    rendered = route(made, [("aaaaaaaa", 90), ("bbbbbbbb", 10)], {"note": "x"})

    assert weights(rendered) == {"aaaaaaaa": 90, "bbbbbbbb": 10}
    assert rendered["metadata"]["annotations"] == {"note": "x"}
    assert rendered["spec"]["hostnames"] == ["llama.example.com"]
    assert rendered["spec"]["parentRefs"] == [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw", "namespace": "infra"}
    ]
    assert rendered["spec"]["rules"][0]["timeouts"] == {"request": "7s"}


def test_weights_of_foreign_backends_are_left_out() -> None:
    """A backend that somebody put into the route is no revision; a missing weight counts 1, as the API says."""
    live = {
        "metadata": {"name": "llama"},
        "spec": {"rules": [{"backendRefs": [{"name": "other", "weight": 5}, {"name": "llama-aaaaaaaa"}]}]},
    }

    assert weights(live) == {"aaaaaaaa": 1}


def test_autoscaler_carries_what_the_user_chose() -> None:
    """Bounds, objective, share, mode, GPU target and hold are handed on."""
    made = service(
        MODEL, scaling={"mode": "Advise", "gpu": {"targetUtilizationPercent": 70}, "scaleDownHoldSeconds": 20}
    )

    spec = autoscaler(made)["spec"]

    assert spec == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama-0a1b2c3d"},
        "minReplicas": 1,
        "maxReplicas": 4,
        "objective": {"indicator": "RequestLatency", "thresholdMilliseconds": 300, "percent": 99},
        "signals": {"profile": "mlserver"},
        "share": SHARE,
        "scaleDown": "Allowed",
        "mode": "Advise",
        "gpu": {"targetUtilizationPercent": 70},
        "scaleDownHoldSeconds": 20,
    }


def test_signals_are_those_of_the_recorded_runtime() -> None:
    """A stable revision on a model keeps its metrics when the spec turns to a container; a stated profile holds."""
    _, record = recorded(MODEL)

    assert autoscaler(service(CONTAINER))["spec"]["signals"] == {"profile": "gateway"}
    kept = autoscaler(service(CONTAINER), revision_object=record)
    assert kept["spec"]["signals"] == {"profile": "mlserver"}
    stated = service(MODEL, scaling={"signals": {"profile": "gateway"}})
    assert autoscaler(stated, revision_object=record)["spec"]["signals"] == {"profile": "gateway"}


def test_manifests_are_plain_json() -> None:
    """Every child can be sent as it is."""
    for child in every_child():
        assert json.loads(json.dumps(child)) == child
