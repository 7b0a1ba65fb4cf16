"""When an object is as wanted, so that nothing is written."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_api.names import AUTOSCALER, OPERATOR
from serving_operator.children.deployment import deployment
from serving_operator.children.route import route
from serving_operator.covers import covers, covers_status, drops_created
from serving_operator.watched import kept
from serving_operator.world import Manifest
from tests.operator.children.services import MODEL, recorded, service


def as_stored(manifest: Manifest) -> Manifest:
    """A Deployment as the API server stores it: with its defaults, and quantities in its own spelling."""
    live = copy.deepcopy(manifest)
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 1}
    live["status"] = {"replicas": 1}
    template = live["spec"]["template"]["spec"]
    template |= {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler"}
    model = template["containers"][0]
    model |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"}
    model["env"].reverse()
    model["resources"] = {"limits": {"cpu": "1000m"}, "requests": {"cpu": 1}}
    return live


@pytest.fixture
def wanted() -> Manifest:
    """A Deployment."""
    made, record = recorded({"model": MODEL["model"] | {"resources": {"limits": {"cpu": "1"}}}})
    return deployment(made, record, 2)


def test_defaults_and_spelling_make_no_difference(wanted: Manifest) -> None:
    """What the server fills in, the order of keyed lists and the spelling of amounts are no drift."""
    assert covers(as_stored(wanted), wanted)


def test_nothing_covers_anything() -> None:
    """An object that is not there is not as wanted."""
    assert not covers(None, {"metadata": {}})


@pytest.mark.parametrize(
    "path",
    [
        ("spec", "replicas"),
        ("spec", "minReadySeconds"),
        ("spec", "selector", "matchLabels", "serving-operator.dev/service"),
        ("spec", "template", "spec", "containers", 0, "image"),
        ("spec", "template", "spec", "containers", 0, "env", 0, "name"),
        ("spec", "template", "spec", "containers", 0, "resources", "limits", "cpu"),
        ("spec", "template", "spec", "containers", 0, "command"),
        ("spec", "template", "spec", "securityContext", "runAsNonRoot"),
        ("metadata", "labels", "app.kubernetes.io/name"),
        ("metadata", "ownerReferences"),
    ],
    ids=str,
)
def test_drift_is_seen(wanted: Manifest, path: tuple[Any, ...]) -> None:
    """A change, or the loss, of anything stated is drift."""
    for value in ("7", 7, None, []):
        live = as_stored(wanted)
        holder = live
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value
        assert not covers(live, wanted)


def test_lists_without_keys_are_compared_whole() -> None:
    """A backend added to the route is drift: its list belongs to one writer."""
    wanted = route(service(), [("aaaaaaaa", 100)], {})
    live = copy.deepcopy(wanted)
    live["spec"]["rules"][0]["backendRefs"].append({"name": "evil", "port": 80})

    assert not covers(live, wanted)


def test_items_that_others_add_to_keyed_lists_are_theirs(wanted: Manifest) -> None:
    """A container that a webhook injects is no drift."""
    live = as_stored(wanted)
    live["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "mesh"})

    assert covers(live, wanted)


def owned(fields: dict[str, Any], manager: str = "serving-operator", **more: str) -> dict[str, Any]:
    """An entry of managedFields."""
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields} | more


CONTAINER = {
    "name": "c",
    "stdin": False,
    "env": [{"name": "EMPTY", "value": ""}, {"name": "FULL", "value": "1"}],
}
PROBED = CONTAINER | {"readinessProbe": {"initialDelaySeconds": 0, "periodSeconds": 5}}
STORED = {
    "name": "c",
    "env": [{"name": "EMPTY"}, {"name": "FULL", "value": "1"}],
    "readinessProbe": {"periodSeconds": 5},
}
OWNED = {
    "f:stdin": {},
    "f:env": {
        'k:{"name":"EMPTY"}': {"f:name": {}, "f:value": {}},
        'k:{"name":"FULL"}': {"f:name": {}, "f:value": {}},
    },
    "f:readinessProbe": {"f:initialDelaySeconds": {}, "f:periodSeconds": {}},
}


@pytest.mark.parametrize(
    ("why", "stored", "fields", "covered"),
    [
        ("the server keeps no zeros, and says that they are ours", STORED, OWNED, True),
        ("not ours any more: somebody has removed it", STORED, {**OWNED, "f:stdin": None}, False),
        ("another value is drift", STORED | {"readinessProbe": {"periodSeconds": 9}}, OWNED, False),
        ("a zero that became something is drift", STORED | {"stdin": True}, OWNED, False),
        (
            "what is missing and no zero is drift",
            STORED | {"env": [{"name": "EMPTY"}, {"name": "FULL"}]},
            OWNED,
            False,
        ),
    ],
)
def test_zeros_that_the_server_does_not_keep(
    why: str, stored: dict[str, Any], fields: dict[str, Any], covered: bool
) -> None:
    """As a real API server stores them: an empty text, a zero and a falsehood are left out, and managed by who applied."""
    fields = {path: inner for path, inner in fields.items() if inner is not None}
    entry = owned({"f:spec": {"f:template": {"f:containers": {'k:{"name":"c"}': fields}}}})
    live = kept(
        {
            "kind": "Deployment",
            "metadata": {"managedFields": [entry]},
            "spec": {"template": {"containers": [stored]}},
        }
    )

    assert covers(live, {"metadata": {}, "spec": {"template": {"containers": [PROBED]}}}) == covered, why


def test_a_dropped_label_of_ours_is_drift() -> None:
    """A label that we own and do not state any more must go; another manager's may stay."""
    wanted = {"metadata": {"name": "x", "labels": {"a": "1"}}}
    fields = {"f:metadata": {"f:labels": {"f:a": {}, "f:stable": {}}}}
    live: Manifest = {"metadata": {"name": "x", "labels": {"a": "1", "stable": "true"}}}

    live["metadata"]["managedFields"] = [owned(fields)]
    assert not covers(live, wanted)

    live["metadata"]["managedFields"] = [owned(fields, manager="kubectl")]
    assert covers(live, wanted)


def test_a_dropped_item_of_ours_is_drift() -> None:
    """An owner reference that we own and do not state any more must go."""
    old, new = {"uid": "old", "kind": "K"}, {"uid": "new", "kind": "K"}
    entry = owned({"f:metadata": {"f:ownerReferences": {'k:{"uid":"old"}': {".": {}}}}})
    live = {"metadata": {"ownerReferences": [old, new], "managedFields": [entry]}}

    assert not covers(live, {"metadata": {"ownerReferences": [new]}})
    assert covers(live, {"metadata": {"ownerReferences": [old]}})


@pytest.mark.parametrize(
    ("why", "entry", "drops"),
    [
        ("created and not stated any more", {"operation": "Update"}, True),
        ("an apply drops what is ours by apply", {"operation": "Apply"}, False),
        ("what others created is theirs", {"operation": "Update", "manager": "kubectl"}, False),
        ("a status is another resource", {"operation": "Update", "subresource": "status"}, False),
    ],
)
def test_what_an_apply_alone_would_leave(why: str, entry: dict[str, str], drops: bool) -> None:
    """Only a field that is ours by creation needs its ownership changed before an apply drops it."""
    fields = {"f:metadata": {"f:labels": {"f:a": {}, "f:old": {}}}}
    live = {"metadata": {"labels": {"a": "1", "old": "1"}, "managedFields": [owned(fields) | entry]}}

    assert drops_created(live, {"metadata": {"labels": {"a": "2"}, "uid": "1"}}) is drops, why
    assert not drops_created(live, {"metadata": {"labels": {"a": "2", "old": "1"}, "uid": "1"}})


def test_what_the_server_filled_in_is_dropped_from_a_deployment() -> None:
    """Of a Deployment only some ownership is kept in memory, and never those fields: its creation alone tells."""
    wanted = {"kind": "Deployment", "metadata": {"labels": {"a": "1"}}, "spec": {}}
    entry = owned({"f:metadata": {"f:labels": {"f:a": {}}}})
    live = {"metadata": {"labels": {"a": "1"}, "managedFields": [entry | {"operation": "Update"}]}}

    assert drops_created(live, wanted)
    assert not drops_created(live, wanted | {"kind": "Service"})
    live["metadata"]["managedFields"] = [entry]
    assert not drops_created(live, wanted)


def test_preconditions_are_no_content() -> None:
    """A uid or resourceVersion in what is wanted is a precondition, not a wish."""
    live = {"metadata": {"name": "x", "uid": "1", "resourceVersion": "5"}}

    assert covers(live, {"metadata": {"name": "x", "uid": "1", "resourceVersion": "4"}})


def test_status_is_covered_by_its_own_fields() -> None:
    """A condition of ours that is not stated any more is a change; one that others added is not."""
    entry = owned(
        {"f:status": {"f:conditions": {'k:{"type":"Ready"}': {}, 'k:{"type":"Stalled"}': {}}}},
        subresource="status",
    )
    ready, stalled = {"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "True"}
    live = {"metadata": {"managedFields": [entry]}, "status": {"conditions": [ready, stalled]}}

    assert covers_status(live, {"conditions": [stalled, ready]})
    assert not covers_status(live, {"conditions": [ready]})
    assert not covers_status(live, {"conditions": [ready, stalled | {"status": "False"}]})
    entry["fieldsV1"]["f:status"]["f:conditions"].pop('k:{"type":"Stalled"}')
    assert covers_status(live, {"conditions": [ready]})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=10,
    )
)
def test_everything_covers_itself(value: Any) -> None:
    """No content is drift against its own copy."""
    manifest = {"metadata": {"name": "x"}, "spec": value}

    assert covers(copy.deepcopy(manifest), manifest)


@pytest.mark.parametrize(
    ("managers", "covered"),
    [
        ([AUTOSCALER], False),
        ([AUTOSCALER, OPERATOR], True),
        ([OPERATOR], True),
        ([], True),
    ],
)
def test_a_number_that_others_alone_own_is_taken_over(managers: list[str], covered: bool) -> None:
    """The same number is stated once more after a change of mode, so that its owner is who sets it from now on."""
    wanted = deployment(*recorded(MODEL), 2)
    live = copy.deepcopy(wanted)
    live["metadata"]["managedFields"] = [
        {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        for manager in managers
    ]

    assert covers(live, wanted) is covered
