"""What a write may state about the object it was decided on, and what the server makes of it."""

from __future__ import annotations

import json

import pytest

from serving_io import AlreadyExists, Conflict, Invalid, NamespaceTerminating, NotFound, kinds
from serving_io.errors import error_from
from tests.contract.questions import Api, Manifest, config_map, deployment, scale, widget

NO_SUCH_UID = "00000000-0000-0000-0000-000000000000"


def _at(manifest: Manifest, **metadata: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], **metadata}}


async def test_create_only(api: Api) -> None:
    """POST to a taken name is refused and changes nothing."""
    first = await api.ask("POST", api.path("configmaps"), config_map(key="1"))
    again = await api.ask("POST", api.path("configmaps"), config_map(key="2"))
    live = await api.ask("GET", api.path("configmaps", "c"))

    assert (first.status, again.status, again.body["reason"]) == (201, 409, "AlreadyExists")
    assert live.version == first.version


async def test_create_only_in_our_client(api: Api) -> None:
    """Our client tells a taken name from other conflicts."""
    manifest = _at(config_map(), namespace=api.namespace)
    await api.cluster().create(manifest)
    with pytest.raises(AlreadyExists):
        await api.cluster().create(manifest)


async def test_apply_with_the_uid(api: Api) -> None:
    """An apply that states the right uid is carried out."""
    first = await api.apply("configmaps", config_map(key="1"))
    uid = first.body["metadata"]["uid"]
    reply = await api.apply("configmaps", _at(config_map(key="2"), uid=uid))

    assert (reply.status, reply.body["data"]) == (200, {"key": "2"})


@pytest.mark.parametrize("plural", ["configmaps", "widgets"])
async def test_apply_with_another_uid(api: Api, plural: str) -> None:
    """An apply that states another object's uid is refused: 422 on metadata.uid, not 409."""
    manifest = config_map() if plural == "configmaps" else widget()
    name = manifest["metadata"]["name"]
    await api.apply(plural, manifest)
    reply = await api.apply(plural, _at(manifest, uid=NO_SUCH_UID))

    assert (reply.status, reply.causes) == (422, {"metadata.uid"})
    assert (await api.ask("GET", api.path(plural, name))).status == 200


async def test_apply_with_another_uid_in_our_client(api: Api) -> None:
    """Our client reports it as the conflict that it is."""
    manifest = _at(config_map(), namespace=api.namespace)
    await api.cluster().create(manifest)
    with pytest.raises(Conflict):
        await api.cluster().apply(_at(manifest, uid=NO_SUCH_UID))


async def test_apply_with_a_uid_creates_nothing(api: Api) -> None:
    """An apply that states a uid does not resurrect an object that is gone."""
    reply = await api.apply("configmaps", _at(config_map(), uid=NO_SUCH_UID))

    assert (reply.status, reply.body["reason"]) == (409, "Conflict")
    assert (await api.ask("GET", api.path("configmaps", "c"))).status == 404


async def test_apply_with_only_a_version_creates(api: Api) -> None:
    """A resourceVersion alone does not stop an apply from resurrecting an object."""
    reply = await api.apply("configmaps", _at(config_map(), resourceVersion="5"))

    assert reply.status == 201


async def test_apply_with_a_stale_version(api: Api) -> None:
    """An apply decided on an older version is refused."""
    first = await api.apply("widgets", widget(color="Red"))
    second = await api.apply("widgets", widget(color="Blue"))
    stale = await api.apply("widgets", _at(widget(color="Red"), resourceVersion=first.version))
    fresh = await api.apply("widgets", _at(widget(color="Red"), resourceVersion=second.version))

    assert (stale.status, stale.body["reason"], fresh.status) == (409, "Conflict", 200)


async def test_stale_version_on_an_apply_that_changes_nothing(api: Api) -> None:
    """A stale version is refused even where the apply would change nothing."""
    first = await api.apply("widgets", widget(color="Red"))
    await api.apply("widgets", widget(color="Blue"))
    reply = await api.apply("widgets", _at(widget(color="Blue"), resourceVersion=first.version))

    assert reply.status == 409


async def test_status_with_a_stale_version(api: Api) -> None:
    """A status decided on an older version is refused."""
    first = await api.apply("widgets", widget())
    await api.apply("widgets", widget(color="Red"))
    stale = _at(widget(status={"message": "m"}), resourceVersion=first.version)
    reply = await api.apply("widgets", stale, subresource="status")

    assert (reply.status, reply.body["reason"]) == (409, "Conflict")


async def test_status_of_a_custom_kind_ignores_the_uid(api: Api) -> None:
    """The uid does not protect a custom object's status: only the resourceVersion does."""
    await api.apply("widgets", widget())
    reply = await api.apply(
        "widgets", _at(widget(status={"message": "m"}), uid=NO_SUCH_UID), subresource="status"
    )

    assert (reply.status, reply.body["status"]) == (200, {"message": "m"})


async def test_status_of_a_deployment_heeds_the_uid(api: Api) -> None:
    """On a built-in kind the uid is looked at."""
    await api.apply("deployments", deployment(replicas=1))
    # Not 0: the controller may have counted updated pods by now, and fewer pods than those would be refused as well.
    status = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "uid": NO_SUCH_UID},
        "status": {"replicas": 1},
    }
    reply = await api.apply("deployments", status, subresource="status")

    assert (reply.status, reply.causes) == (422, {"metadata.uid"})


async def test_status_of_an_object_that_is_gone(api: Api) -> None:
    """A status apply creates nothing."""
    reply = await api.apply("widgets", widget(status={"message": "m"}), subresource="status")

    assert (reply.status, reply.body["reason"]) == (404, "NotFound")


async def test_scale_with_another_uid(api: Api) -> None:
    """An apply on /scale that states another uid is refused."""
    created = await api.apply("deployments", deployment(replicas=1))
    wrong = await api.apply("deployments", scale("d", 1, uid=NO_SUCH_UID), "beta", subresource="scale")
    uid = created.body["metadata"]["uid"]
    right = await api.apply("deployments", scale("d", 1, uid=uid), "beta", subresource="scale")

    assert (wrong.status, wrong.body["reason"], right.status) == (409, "Conflict", 200)


async def test_scale_with_a_stale_version(api: Api) -> None:
    """An apply on /scale that states an older version is refused."""
    await api.apply("deployments", deployment(replicas=1))
    reply = await api.apply("deployments", scale("d", 1, resourceVersion="1"), "beta", subresource="scale")

    assert reply.status == 409


async def test_scale_in_our_client(api: Api) -> None:
    """Our client owns replicas through /scale, with the uid as a precondition."""
    created = await api.apply("deployments", deployment(replicas=1))
    uid = created.body["metadata"]["uid"]
    answer = await api.cluster("beta").apply_scale(kinds.DEPLOYMENT, "d", api.namespace, 1, uid=uid)

    assert answer["spec"] == {"replicas": 1}
    with pytest.raises(Conflict):
        await api.cluster("beta").apply_scale(kinds.DEPLOYMENT, "d", api.namespace, 2, uid=NO_SUCH_UID)


async def test_merge_patch_with_another_uid(api: Api) -> None:
    """A merge patch that states another uid is refused."""
    await api.apply("configmaps", config_map())
    body = {"metadata": {"uid": NO_SUCH_UID, "labels": {"a": "b"}}}
    reply = await api.ask("PATCH", api.path("configmaps", "c"), body, "merge")

    assert (reply.status, reply.causes) == (422, {"metadata.uid"})


async def test_merge_patch_with_a_stale_version(api: Api) -> None:
    """A merge patch that states an older version is refused."""
    first = await api.apply("widgets", widget())
    await api.apply("widgets", widget(color="Red"))
    body = {"metadata": {"resourceVersion": first.version, "labels": {"a": "b"}}}
    reply = await api.ask("PATCH", api.path("widgets", "w"), body, "merge")

    assert (reply.status, reply.body["reason"]) == (409, "Conflict")


async def test_put_with_another_uid(api: Api) -> None:
    """A PUT that states another uid is a conflict."""
    await api.apply("configmaps", config_map())
    reply = await api.ask("PUT", api.path("configmaps", "c"), _at(config_map(), uid=NO_SUCH_UID))

    assert (reply.status, reply.body["reason"]) == (409, "Conflict")


async def test_put_with_a_stale_version(api: Api) -> None:
    """A PUT decided on an older version is refused."""
    first = await api.apply("widgets", widget())
    await api.apply("widgets", widget(color="Red"))
    reply = await api.ask("PUT", api.path("widgets", "w"), _at(widget(), resourceVersion=first.version))

    assert (reply.status, reply.body["reason"]) == (409, "Conflict")


@pytest.mark.parametrize("plural", ["widgets", "leases"])
async def test_put_needs_a_version(api: Api, plural: str) -> None:
    """A PUT of a custom object or a Lease without a version is invalid: no unconditional write."""
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "w"}, "spec": {}}
    manifest = widget() if plural == "widgets" else lease
    await api.ask("POST", api.path(plural), manifest)
    reply = await api.ask("PUT", api.path(plural, "w"), manifest)

    assert (reply.status, reply.causes) == (422, {"metadata.resourceVersion"})


async def test_delete_with_another_uid(api: Api) -> None:
    """A DELETE that states another uid deletes nothing."""
    await api.apply("configmaps", config_map())
    with pytest.raises(Conflict):
        await api.cluster().delete(kinds.CONFIG_MAP, "c", api.namespace, uid=NO_SUCH_UID)

    assert (await api.ask("GET", api.path("configmaps", "c"))).status == 200


async def test_delete_with_a_stale_version(api: Api) -> None:
    """A DELETE that states an older version deletes nothing; the right one deletes."""
    first = await api.apply("configmaps", config_map())
    second = await api.apply("configmaps", config_map(key="v"))
    with pytest.raises(Conflict):
        await api.cluster().delete(kinds.CONFIG_MAP, "c", api.namespace, resource_version=first.version)
    await api.cluster().delete(
        kinds.CONFIG_MAP,
        "c",
        api.namespace,
        uid=first.body["metadata"]["uid"],
        resource_version=second.version,
    )

    assert (await api.ask("GET", api.path("configmaps", "c"))).status == 404


async def test_delete_of_what_is_gone(api: Api) -> None:
    """Our client says so."""
    with pytest.raises(NotFound):
        await api.cluster().delete(kinds.CONFIG_MAP, "c", api.namespace)


async def test_field_that_the_schema_lacks(api: Api) -> None:
    """An apply with an undeclared field is answered 500; our client calls it invalid all the same."""
    reply = await api.apply("widgets", widget(weight=1))
    error = error_from(reply.status, json.dumps(reply.body))

    assert (reply.status, type(error)) == (500, Invalid)


async def test_terminating_namespace(api: Api) -> None:
    """A namespace that is being deleted takes nothing new and names its reason as a cause."""
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    await api.apply("configmaps", held)
    await api.ask("DELETE", f"/api/v1/namespaces/{api.namespace}")
    with pytest.raises(NamespaceTerminating):
        await api.cluster().create(_at(config_map("late"), namespace=api.namespace))
    with pytest.raises(NamespaceTerminating):
        await api.cluster().apply(_at(config_map("late"), namespace=api.namespace))
    freed = {"metadata": {"finalizers": None}}
    assert (await api.ask("PATCH", api.path("configmaps", "held"), freed, "merge")).status == 200


async def test_missing_namespace(api: Api) -> None:
    """A namespace that does not exist is a 404, also for an apply."""
    path = "/api/v1/namespaces/there-is-none/configmaps"
    posted = await api.ask("POST", path, config_map())
    applied = await api.ask("PATCH", f"{path}/c", config_map(), "apply", fieldManager="alpha")

    assert (posted.status, applied.status) == (404, 404)


async def test_invalid_in_our_client(api: Api) -> None:
    """Our client names the field of an invalid object."""
    with pytest.raises(Invalid) as refused:
        await api.cluster().create(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "c", "namespace": api.namespace, "labels": {"a": "b c"}},
            }
        )

    assert [cause.field for cause in refused.value.causes] == ["metadata.labels"]
