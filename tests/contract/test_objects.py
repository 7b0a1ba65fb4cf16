"""Versions, generations, defaults, validation, subresources and deletion."""

from __future__ import annotations

import copy

import pytest

from serving_io import Invalid, kinds
from tests.contract.questions import GROUP, WIDGET_CRD, Api, Manifest, config_map, deployment, scale, widget


async def test_generation_counts_spec_only(api: Api) -> None:
    """Labels and status leave the generation alone, spec counts it up."""
    await api.apply("widgets", widget())
    path = api.path("widgets", "w")
    labelled = await api.ask("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, "merge")
    status = await api.apply("widgets", widget(status={"message": "m"}), subresource="status")
    changed = await api.ask("PATCH", path, {"spec": {"size": 5}}, "merge")

    assert [r.body["metadata"]["generation"] for r in (labelled, status, changed)] == [1, 1, 2]


async def test_generation_of_a_deployment_counts_annotations(api: Api) -> None:
    """An annotation on a Deployment counts as a change of its spec, a label does not."""
    first = await api.apply("deployments", deployment(paused=True, replicas=0))
    path = api.path("deployments", "d")
    labelled = await api.ask("PATCH", path, {"metadata": {"labels": {"x": "y"}}}, "merge")
    annotated = await api.ask("PATCH", path, {"metadata": {"annotations": {"x": "y"}}}, "merge")
    before = labelled.body["metadata"]["generation"]

    assert first.body["metadata"]["generation"] == 1
    assert annotated.body["metadata"]["generation"] == before + 1


async def test_kinds_without_generation(api: Api) -> None:
    """Services, ConfigMaps and ControllerRevisions have none."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}]},
    }
    replies = [
        await api.ask("POST", api.path("services"), service),
        await api.ask("POST", api.path("configmaps"), config_map()),
        await api.ask("POST", api.path("controllerrevisions"), revision()),
    ]

    assert [r.status for r in replies] == [201, 201, 201]
    assert not any("generation" in r.body["metadata"] for r in replies)


async def test_versions_grow(api: Api) -> None:
    """Resource versions are one sequence over all kinds."""
    replies = [
        await api.apply("widgets", widget()),
        await api.apply("configmaps", config_map()),
        await api.apply("widgets", widget(color="Red")),
        await api.ask("GET", api.path("widgets")),
    ]
    versions = [int(r.version) for r in replies]

    assert versions == sorted(versions)
    assert len(set(versions[:3])) == 3


async def test_unchanged_put_is_no_write(api: Api) -> None:
    """A PUT of what is there does not count up the version."""
    first = await api.ask("POST", api.path("widgets"), widget(color="Red"), fieldManager="alpha")
    again = await api.ask("PUT", api.path("widgets", "w"), first.body, fieldManager="alpha")

    assert (again.status, again.version) == (200, first.version)


async def test_generated_names(api: Api) -> None:
    """`generateName` makes a name each time."""
    manifest = {**widget(), "metadata": {"generateName": "g-"}}
    names = [
        (await api.ask("POST", api.path("widgets"), manifest)).body["metadata"]["name"] for _ in range(2)
    ]

    assert all(name.startswith("g-") and len(name) == 7 for name in names)
    assert names[0] != names[1]


async def test_defaults(api: Api) -> None:
    """Defaults of the schema appear on create, in list items too; null asks for the default."""
    created = await api.ask("POST", api.path("widgets"), widget(parts=[{"name": "p"}], size=5))
    reset = await api.ask("PATCH", api.path("widgets", "w"), {"spec": {"size": None}}, "merge")

    assert created.body["spec"] == {"parts": [{"name": "p", "unit": "piece"}], "size": 5}
    assert reset.body["spec"]["size"] == 3


async def test_default_added_later_appears_without_a_write(api: Api) -> None:
    """A default that the CRD gains shows on stored objects; their version stays."""
    name = f"gadgets.{GROUP}"
    crd = copy.deepcopy(WIDGET_CRD)
    crd["metadata"]["name"] = name
    names = {"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"}
    crd["spec"] |= {"names": names}
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties.pop("late", None)
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    path = f"/apis/{GROUP}/v1/namespaces/{api.namespace}/gadgets"
    try:
        await api.ask("PATCH", f"{crds}/{name}", crd, "apply", fieldManager="contract", force="true")
        gadget = {**widget("g"), "kind": "Gadget"}
        created = await api.until("created", lambda: api.ask("POST", path, gadget), lambda r: r.status == 201)
        properties["late"] = {"type": "string", "default": "yes"}
        await api.ask("PATCH", f"{crds}/{name}", crd, "apply", fieldManager="contract", force="true")
        shown = await api.until(
            "the default shows", lambda: api.ask("GET", f"{path}/g"), lambda r: "late" in r.body["spec"]
        )
    finally:
        await api.ask("DELETE", f"{crds}/{name}")

    assert shown.body["spec"]["late"] == "yes"
    assert shown.version == created.version
    assert shown.body["metadata"]["generation"] == 1


async def test_unknown_fields_are_pruned(api: Api) -> None:
    """A create with an undeclared field stores the object without it."""
    reply = await api.ask("POST", api.path("widgets"), widget(weight=1))

    assert (reply.status, reply.body["spec"]) == (201, {"size": 3})


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"size": 11}, "spec.size"),
        ({"size": 0}, "spec.size"),
        ({"color": "Green"}, "spec.color"),
        ({"size": "big"}, "spec.size"),
        ({"parts": [{"count": 1}]}, "spec.parts[0].name"),
    ],
)
async def test_invalid_values_name_their_field(api: Api, spec: Manifest, field: str) -> None:
    """A create against the schema is refused; the cause names the field."""
    reply = await api.ask("POST", api.path("widgets"), widget("w", **spec))

    assert (reply.status, reply.body["reason"], reply.causes) == (422, "Invalid", {field})


async def test_names_and_labels_are_checked(api: Api) -> None:
    """A name that is no DNS name and a label value with a blank are refused."""
    name = await api.ask("POST", api.path("widgets"), widget("Bad_Name"))
    labelled = widget()
    labelled["metadata"]["labels"] = {"a": "b c"}
    label = await api.ask("POST", api.path("widgets"), labelled)

    assert (name.causes, label.causes) == ({"metadata.name"}, {"metadata.labels"})


async def test_apply_must_name_what_the_path_names(api: Api) -> None:
    """Another name in the body, managedFields in it, or no field manager: refused."""
    path = api.path("widgets", "w")
    other = await api.ask("PATCH", path, widget("other"), "apply", fieldManager="alpha")
    managed = widget()
    managed["metadata"]["managedFields"] = [{"manager": "alpha"}]
    stated = await api.ask("PATCH", path, managed, "apply", fieldManager="alpha")
    nobody = await api.ask("PATCH", path, widget(), "apply")

    assert (other.status, stated.status, nobody.status) == (400, 400, 422)


async def test_status_endpoint_writes_status_only(api: Api) -> None:
    """A merge patch on /status changes neither spec nor labels; one on the object no status."""
    await api.ask("POST", api.path("widgets"), {**widget(), "status": {"message": "created"}})
    body = {"metadata": {"labels": {"a": "b"}}, "spec": {"size": 9}, "status": {"message": "m"}}
    status = await api.ask("PATCH", api.path("widgets", "w", "status"), body, "merge")
    main = await api.ask("PATCH", api.path("widgets", "w"), {"status": {"message": "no"}}, "merge")

    assert (status.body["spec"], status.body["status"]) == ({"size": 3}, {"message": "m"})
    assert "labels" not in status.body["metadata"]
    assert main.body["status"] == {"message": "m"}


async def test_scale_of_a_deployment(api: Api) -> None:
    """GET of /scale tells replicas and the selector in words."""
    created = await api.apply("deployments", deployment(replicas=2))
    reply = await api.ask("GET", api.path("deployments", "d", "scale"))

    assert reply.body["spec"] == {"replicas": 2}
    assert reply.body["status"]["selector"] == "app=d"
    assert reply.body["metadata"]["uid"] == created.body["metadata"]["uid"]


async def test_scale_of_a_custom_kind(api: Api) -> None:
    """The paths of the CRD tell where replicas and selector are."""
    await api.apply("widgets", widget(external={"replicas": 2}))
    await api.apply("widgets", widget(status={"replicas": 1, "selector": "a=b"}), subresource="status")
    reply = await api.ask("GET", api.path("widgets", "w", "scale"))

    assert (reply.body["spec"], reply.body["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "a=b"})


async def test_scale_without_a_number(api: Api) -> None:
    """A custom object that leaves the path unset has no scale: 500, so a default is needed there."""
    await api.apply("widgets", widget())
    reply = await api.ask("GET", api.path("widgets", "w", "scale"))

    assert (reply.status, reply.body["reason"]) == (500, "InternalError")


async def test_scale_of_a_custom_kind_refuses_apply(api: Api) -> None:
    """Server-side apply on a custom object's /scale fails; PUT and patch are what works."""
    await api.apply("widgets", widget(external={"replicas": 2}))
    path = api.path("widgets", "w", "scale")
    applied = await api.apply("widgets", scale("w", 3), subresource="scale")
    put = await api.ask("PUT", path, scale("w", 4))

    assert (applied.status, put.status, put.body["spec"]) == (500, 200, {"replicas": 4})


async def test_quantities_are_canonical(api: Api) -> None:
    """A built-in kind stores quantities in one form; a custom kind would keep what was written."""
    manifest = deployment(replicas=0)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {
        "limits": {"cpu": "1000m", "memory": "1024Mi", "nvidia.com/gpu": "1"},
        "requests": {"cpu": "0.5"},
    }
    reply = await api.apply("deployments", manifest)

    assert reply.body["spec"]["template"]["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"},
        "requests": {"cpu": "500m"},
    }


async def test_deployment_defaults(api: Api) -> None:
    """What a Deployment gets without being asked."""
    reply = await api.apply("deployments", deployment())
    spec, pod = reply.body["spec"], reply.body["spec"]["template"]["spec"]

    assert (spec["replicas"], spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"]) == (1, 600, 10)
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert pod["terminationGracePeriodSeconds"] == 30
    assert pod["containers"][0]["imagePullPolicy"] == "IfNotPresent"


async def test_deployment_selector_is_immutable(api: Api) -> None:
    """A Deployment cannot be pointed at other pods."""
    await api.apply("deployments", deployment(replicas=0))
    other = deployment(replicas=0)
    other["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    reply = await api.apply("deployments", other)

    assert (reply.status, reply.causes) == (422, {"spec.selector"})


def revision(**data: object) -> Manifest:
    """A ControllerRevision."""
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "r"},
        "data": {"zebra": 1, "apple": {"text": "ä <b> & c\u2028", "none": None, "empty": {}}, **data},
        "revision": 1,
    }


async def test_revision_data_is_immutable(api: Api) -> None:
    """A ControllerRevision's data cannot be changed."""
    manifest = {**revision(), "metadata": {"name": "r", "namespace": api.namespace}}
    await api.cluster().create(manifest)
    changed = {**manifest, "data": {"other": 1}}
    with pytest.raises(Invalid) as refused:
        await api.cluster().apply(changed)

    assert [cause.field for cause in refused.value.causes] == ["data"]


async def test_revision_of_our_client_can_be_labelled(api: Api) -> None:
    """The server compares the data's bytes: what our client created can be patched and applied again."""
    manifest = {**revision(), "metadata": {"name": "r", "namespace": api.namespace}}
    created = await api.cluster().create(manifest)
    uid = created["metadata"]["uid"]
    labels = {"metadata": {"uid": uid, "labels": {"stable": "true"}}}
    patched = await api.cluster().patch(kinds.CONTROLLER_REVISION, "r", api.namespace, labels)
    applied = await api.cluster().apply(
        {**manifest, "metadata": {**manifest["metadata"], "uid": uid, "annotations": {"a": "b"}}}
    )

    assert patched["metadata"]["labels"] == {"stable": "true"}
    assert applied["metadata"]["annotations"] == {"a": "b"}


async def test_json_patch(api: Api) -> None:
    """A failing test stops a JSON patch; a passing one lets it through."""
    await api.apply("widgets", widget())
    path = api.path("widgets", "w")

    async def attempt(expected: int) -> int:
        operations = [
            {"op": "test", "path": "/spec/size", "value": expected},
            {"op": "replace", "path": "/spec/size", "value": 5},
            {"op": "add", "path": "/metadata/annotations", "value": {"example.org/a": "1"}},
        ]
        return (await api.ask("PATCH", path, operations, "json")).status

    assert (await attempt(4), await attempt(3)) == (422, 200)
    assert (await api.ask("GET", path)).body["metadata"]["annotations"] == {"example.org/a": "1"}


async def test_finalizers_hold_an_object(api: Api) -> None:
    """A deleted object with a finalizer is marked and stays until the finalizer goes."""
    held = widget()
    held["metadata"]["finalizers"] = ["example.org/hold"]
    await api.ask("POST", api.path("widgets"), held)
    path = api.path("widgets", "w")
    deleted = await api.ask("DELETE", path)
    still = await api.ask("GET", path)
    await api.ask("PATCH", path, {"metadata": {"finalizers": []}}, "merge")
    gone = await api.ask("GET", path)

    assert deleted.body["metadata"]["generation"] == 2
    assert "deletionTimestamp" in still.body["metadata"]
    assert (still.status, gone.status) == (200, 404)


async def _family(api: Api) -> Manifest:
    owner = (await api.apply("widgets", widget("parent"))).body
    child = config_map("child")
    child["metadata"]["ownerReferences"] = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": "parent",
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    await api.apply("configmaps", child)
    return owner


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_children_go_with_their_owner(api: Api, propagation: str) -> None:
    """Whoever deletes the owner, the garbage collector deletes the child."""
    await _family(api)
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
    await api.ask("DELETE", api.path("widgets", "parent"), options)
    child = api.path("configmaps", "child")
    if not await api.collects_garbage():
        assert (await api.ask("GET", child)).status == 200
        return
    await api.until("the child is gone", lambda: api.ask("GET", child), lambda r: r.status == 404)


async def test_orphans_lose_their_owner(api: Api) -> None:
    """With propagation Orphan the child stays and its reference goes."""
    await _family(api)
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Orphan"}
    await api.ask("DELETE", api.path("widgets", "parent"), options)
    child = api.path("configmaps", "child")
    if not await api.collects_garbage():
        assert (await api.ask("GET", child)).status == 200
        return
    reply = await api.until(
        "the reference is gone",
        lambda: api.ask("GET", child),
        lambda r: r.status == 200 and "ownerReferences" not in r.body["metadata"],
    )

    assert reply.status == 200
