"""What the cache believes, and whom it tells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_api.names import ServiceKey
from serving_operator.cache import Cache, Place
from serving_operator.watched import kept
from serving_operator.world import Manifest, ObjectId

KEY = ServiceKey("team", "llama")
LABELS = {"serving-operator.dev/service": "llama", "app.kubernetes.io/managed-by": "serving-operator"}


def made(kind: str, name: str, version: int, **more: Any) -> Manifest:
    """An object with our labels; `metadata` and the rest may be added to."""
    metadata = {
        "name": name,
        "namespace": "team",
        "uid": name,
        "resourceVersion": str(version),
        "labels": LABELS,
    }
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata | more.pop("metadata", {})} | more


def service(version: int = 1, **more: Any) -> Manifest:
    """The InferenceService."""
    return made("InferenceService", "llama", version, **more)


def owned(uid: str = "llama") -> Manifest:
    """Metadata that name a controller."""
    owner = {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "name": "llama",
        "uid": uid,
        "controller": True,
    }
    return {"ownerReferences": [owner]}


@pytest.fixture
def cache() -> Cache:
    """A cache that knows the service."""
    filled = Cache()
    filled.put(service())
    return filled


def test_older_states_never_replace_newer_ones(cache: Cache) -> None:
    """The answer to a write is known at once; the watch's older events change nothing and wake nobody."""
    newer, older = made("Deployment", "d", 9, spec={"replicas": 3}), made("Deployment", "d", 8)

    assert cache.put(newer) == {KEY}
    assert cache.put(older) == set()
    assert cache.put(newer) == set()
    assert cache.get(Place("Deployment", "team", "d")) == newer
    assert cache.drop(older) == set()


def test_a_late_event_does_not_bring_back_the_dead(cache: Cache) -> None:
    """After a deletion only a newer state is believed."""
    cache.put(made("Deployment", "d", 5))
    cache.drop(made("Deployment", "d", 7))

    assert cache.put(made("Deployment", "d", 6)) == set()
    assert cache.put(made("Deployment", "d", 8)) == {KEY}


def test_an_object_that_only_left_sight_can_be_put_back(cache: Cache) -> None:
    """A watch reports an object that loses our label as deleted, at its present version; a live read finds it."""
    cache.put(made("Deployment", "d", 5))
    unlabelled = made("Deployment", "d", 7, metadata={"labels": {}} | owned())
    cache.drop(unlabelled)

    assert cache.put(unlabelled) == {KEY}


def test_a_list_ends_ghosts_and_spares_what_is_newer(cache: Cache) -> None:
    """What a LIST does not hold is gone, unless it came after the list."""
    for name, version in (("ghost", 5), ("new", 30), ("kept", 6)):
        cache.put(made("Deployment", name, version))

    concerned = cache.replace("Deployment", [made("Deployment", "kept", 6)], 20)

    assert concerned == {KEY}
    assert cache.get(Place("Deployment", "team", "ghost")) is None
    assert cache.get(Place("Deployment", "team", "new")) is not None
    assert cache.get(Place("Deployment", "team", "kept")) is not None


def test_a_list_tells_of_what_the_watches_have_missed(cache: Cache) -> None:
    """Only an older state of the first is known, of the second the same, of the third nothing."""
    cache.put(made("Deployment", "older", 5))
    cache.put(made("Deployment", "same", 6))
    listed = [made("Deployment", name, version) for name, version in (("older", 7), ("same", 6), ("new", 8))]
    assert cache.behind(listed) == [Place("Deployment", "team", "older")]


def test_objects_are_found_by_label_and_by_controller(cache: Cache) -> None:
    """An object whose label was taken away is still found by its controller, and the other way round."""
    by_owner = made("Service", "a", 2, metadata=owned() | {"labels": {}})
    by_label = made("Service", "b", 3)

    assert cache.put(by_owner) == {KEY}
    assert cache.put(by_label) == {KEY}

    world = cache.world(KEY, routes_served=True)
    assert world is not None
    assert set(world.objects) == {ObjectId("Service", "a")}
    assert set(world.strangers) == {ObjectId("Service", "b")}


def test_children_of_a_deleted_namesake_are_strangers(cache: Cache) -> None:
    """What another service of the same name controls is not ours."""
    cache.put(made("Service", "a", 2, metadata=owned("old")))

    world = cache.world(KEY, routes_served=True)

    assert world is not None
    assert set(world.objects) == set()
    assert set(world.strangers) == {ObjectId("Service", "a")}


def test_pods_and_endpoints_are_apart(cache: Cache) -> None:
    """Pods and EndpointSlices are what is observed, not children."""
    cache.put(made("Pod", "b", 2, spec={"containers": []}))
    cache.put(made("Pod", "a", 3, spec={"containers": []}))
    cache.put(made("EndpointSlice", "e", 4))

    world = cache.world(KEY, routes_served=True)

    assert world is not None
    assert [pod["metadata"]["name"] for pod in world.pods] == ["a", "b"]
    assert [item["metadata"]["name"] for item in world.endpoint_slices] == ["e"]
    assert not world.objects
    assert not world.strangers


def test_a_gateway_wakes_those_that_refer_to_it() -> None:
    """A Gateway concerns the services whose route names it, by their latest spec."""
    cache = Cache()
    gateway = made("Gateway", "gw", 2, metadata={"labels": {}})
    cache.put(service(1, spec={"route": {"parentRefs": [{"name": "gw"}]}}))
    assert cache.put(gateway) == {KEY}

    world = cache.world(KEY, routes_served=True)
    assert world is not None
    assert set(world.gateways) == {("team", "gw")}

    cache.put(service(3, spec={"route": {"parentRefs": [{"name": "gw", "namespace": "infra"}]}}))
    assert cache.put(gateway | {"metadata": gateway["metadata"] | {"resourceVersion": "4"}}) == set()


def test_what_is_lost_is_remembered(cache: Cache) -> None:
    """A Deployment that was deleted leaves its replicas, a ControllerRevision its content."""
    cache.put(made("Deployment", "d", 2, spec={"replicas": 5}))
    cache.put(made("ControllerRevision", "r", 3, data={"x": 1}))
    cache.drop(made("Deployment", "d", 4))
    cache.missing(Place("ControllerRevision", "team", "r"))

    world = cache.world(KEY, routes_served=True)

    assert world is not None
    assert world.last_replicas == {"d": 5}
    assert world.last_revisions["r"]["data"] == {"x": 1}
    cache.memory.forget_service(KEY)
    again = cache.world(KEY, routes_served=True)
    assert again is not None
    assert again.last_replicas == {}


@pytest.mark.parametrize("owner", ["service-1", "service-0"])
def test_of_a_former_service_of_the_name_nothing_is_remembered(cache: Cache, owner: str) -> None:
    """Its children go after the present one has come, which begins by itself; of its own it remembers what was lost."""
    service = cache.service(KEY)
    assert service is not None
    uid = {"service-1": service["metadata"]["uid"], "service-0": "of-a-former-one"}[owner]
    metadata = {"ownerReferences": [{"uid": uid, "controller": True}]}
    for kind, name in (("Deployment", "d"), ("ControllerRevision", "r")):
        cache.put(made(kind, name, 2, metadata=metadata))
        cache.drop(made(kind, name, 4, metadata=metadata))

    world = cache.world(KEY, routes_served=True)

    assert world is not None
    assert (set(world.last_replicas), set(world.last_revisions)) == (
        ({"d"}, {"r"}) if owner == "service-1" else (set(), set())
    )


@pytest.mark.parametrize("told", ["before the answer", "after the answer"])
def test_a_deployment_that_we_deleted_is_not_lost(cache: Cache, told: str) -> None:
    """Its replicas are forgotten, whether watch or answer is first; those of the next of its name are remembered."""
    cache.put(made("Deployment", "d", 2, spec={"replicas": 5}))
    if told == "before the answer":
        cache.drop(made("Deployment", "d", 3))
    cache.memory.give_up(KEY, ObjectId("Deployment", "d"), "d")
    cache.drop(made("Deployment", "d", 3))
    assert cache.memory.replicas(KEY) == {}

    cache.put(made("Deployment", "d", 4, spec={"replicas": 7}, metadata={"uid": "another"}))
    cache.drop(made("Deployment", "d", 5, metadata={"uid": "another"}))
    assert cache.memory.replicas(KEY) == {"d": 7}


def test_what_is_there_again_is_lost_no_more(cache: Cache) -> None:
    """A restored Deployment speaks for itself; of the lost ones the last twenty are remembered."""
    for number in range(25):
        cache.put(made("Deployment", f"d{number}", 2, spec={"replicas": number}))
        cache.drop(made("Deployment", f"d{number}", 3))
    assert cache.memory.replicas(KEY) == {f"d{number}": number for number in range(5, 25)}

    cache.put(made("Deployment", "d24", 4, spec={"replicas": 1}))
    assert "d24" not in cache.memory.replicas(KEY)


@pytest.mark.parametrize("told", ["by the deletion", "before it"])
def test_pods_that_were_taken_are_remembered(cache: Cache, told: str) -> None:
    """Their last words say why they are gone; a watch may tell them with the deletion only. Others leave nothing."""
    condition = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    taken = {"status": {"conditions": [condition]}}
    for number in range(25):
        cache.put(made("Pod", f"p{number}", 2, spec={"nodeName": "n"}))
        if told == "before it":
            cache.put(made("Pod", f"p{number}", 3, **taken))
            cache.missing(Place("Pod", "team", f"p{number}"))
        else:
            cache.drop(made("Pod", f"p{number}", 3, **taken))
    cache.put(made("Pod", "ended", 4))
    cache.drop(made("Pod", "ended", 5))

    world = cache.world(KEY, routes_served=True)

    assert world is not None
    assert world.pods == ()
    assert [pod["metadata"]["name"] for pod in world.disrupted_pods] == [f"p{n}" for n in range(5, 25)]
    cache.memory.forget_service(KEY)
    again = cache.world(KEY, routes_served=True)
    assert again is not None
    assert again.disrupted_pods == ()


def test_unseen_strangers_give_way_to_what_the_watch_shows(cache: Cache) -> None:
    """A stranger that a live read found is known until the watch shows an object in its place."""
    cache.memory.remember_stranger(KEY, made("Service", "a", 2, metadata={"labels": {}}))
    world = cache.world(KEY, routes_served=True)
    assert world is not None
    assert set(world.strangers) == {ObjectId("Service", "a")}

    cache.put(made("Service", "a", 3, metadata=owned()))

    world = cache.world(KEY, routes_served=True)
    assert world is not None
    assert not world.strangers
    assert not cache.memory.strangers(KEY)


def test_our_own_deletion_is_known_at_once(cache: Cache) -> None:
    """An object that we asked to be deleted is seen as leaving before any event says so."""
    place = Place("Deployment", "team", "d")
    cache.put(made("Deployment", "d", 2))

    cache.mark_deleting(place, "2026-01-01T00:00:00Z")

    found = cache.get(place)
    assert found is not None
    assert found["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"


def test_a_service_that_is_not_known_has_no_world() -> None:
    """Without the service there is nothing to decide."""
    assert Cache().world(KEY, routes_served=True) is None


def test_only_what_decisions_read_is_kept() -> None:
    """Of a pod its placement and state; of a Deployment's managers who owns the replicas, our labels, and zeros that it lacks."""
    pod = made(
        "Pod", "p", 1, spec={"nodeName": "n", "volumes": [1], "containers": [{"name": "m", "env": [1]}]}
    )
    assert kept(pod)["spec"] == {"nodeName": "n", "containers": [{"name": "m"}]}

    entries = [
        {
            "manager": "serving-operator",
            "operation": "Apply",
            "time": "x",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:a": {}}},
                "f:spec": {
                    "f:template": {"f:spec": {"f:hostNetwork": {}, "f:volumes": {}}},
                    "f:replicas": {},
                },
            },
        },
        {"manager": "serving-autoscaler", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "kube-controller-manager", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]
    template = {"spec": {"volumes": []}}
    deployment = made("Deployment", "d", 1, metadata={"managedFields": entries}, spec={"template": template})
    assert kept(deployment)["metadata"]["managedFields"] == [
        {
            "manager": "serving-operator",
            "operation": "Apply",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:a": {}}},
                "f:spec": {"f:template": {"f:spec": {"f:hostNetwork": {}}}, "f:replicas": {}},
            },
        },
        {"manager": "serving-autoscaler", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
    ]
    # Lists are reduced as they come, and then once more as whatever comes to the cache.
    assert kept(kept(deployment)) == kept(deployment)
    assert kept(kept(pod)) == kept(pod)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12), st.data())
def test_any_order_of_late_events_ends_in_the_last_state(steps: list[tuple[str, bool]], data: Any) -> None:
    """Events of one history, delivered late and repeatedly after the last one, change nothing."""
    cache, history = Cache(), []
    cache.put(service())
    for version, (name, is_there) in enumerate(steps, start=2):
        history.append((made("Service", name, version), is_there))
    for manifest, is_there in history:
        (cache.put if is_there else cache.drop)(manifest)
    expected = {name: cache.get(Place("Service", "team", name)) for name in "abc"}

    for manifest, is_there in data.draw(st.lists(st.sampled_from(history), max_size=8)) if history else ():
        (cache.put if is_there else cache.drop)(manifest)

    assert {name: cache.get(Place("Service", "team", name)) for name in "abc"} == expected


def test_runtimes_are_told_to_the_services_that_may_use_them(cache: Cache) -> None:
    """A ServingRuntime wakes the services of its namespace that have a model, a ClusterServingRuntime all such."""
    model = {"predictor": {"model": {"modelFormat": {"name": "onnx"}}}}
    cache.put(made("InferenceService", "digits", 1, spec=model))
    cache.put(made("InferenceService", "far", 1, spec=model, metadata={"namespace": "other"}))
    near, far = ServiceKey("team", "digits"), ServiceKey("other", "far")
    own = made("ServingRuntime", "ort", 1)
    everywhere = made("ClusterServingRuntime", "triton", 1, metadata={"namespace": ""})

    assert cache.put(own) == {near}
    assert cache.put(everywhere) == {near, far}
    seen = cache.world(near, routes_served=True)
    assert seen is not None
    assert [found["metadata"]["name"] for found in seen.runtimes.namespaced] == ["ort"]
    assert [found["metadata"]["name"] for found in seen.runtimes.clusterwide] == ["triton"]
    unseen = cache.world(far, routes_served=True)
    assert unseen is not None
    assert unseen.runtimes.namespaced == ()
    assert cache.drop(own | {"metadata": own["metadata"] | {"resourceVersion": "2"}}) == {near}


def test_what_many_objects_say_alike_is_kept_once() -> None:
    """Thousands of services have the same fields and much the same values: each text is one in memory."""
    text = '{"kind": "Pod", "metadata": {"name": "a"}, "status": {"conditions": [{"reason": "PodReady"}]}}'

    first, second = (kept(json.loads(text)) for _ in range(2))

    (one,), (other,) = first["status"]["conditions"], second["status"]["conditions"]
    assert one["reason"] is other["reason"]
    assert next(iter(one)) is next(iter(other))
    assert kept(json.loads(text)) == json.loads(text) | {"spec": {"containers": []}}
