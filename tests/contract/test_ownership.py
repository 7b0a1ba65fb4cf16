"""Server-side apply: who owns a field, and what happens to it."""

from __future__ import annotations

from tests.contract.questions import Api, config_map, deployment, owned, scale, widget


async def test_apply_creates_and_owns_what_it_states(api: Api) -> None:
    """An apply to a free name creates the object; defaults belong to nobody."""
    reply = await api.apply("widgets", widget(color="Red"))

    assert reply.status == 201
    assert reply.body["spec"] == {"color": "Red", "size": 3}
    assert owned(reply.body, "alpha") == {"f:spec": {"f:color": {}}}


async def test_apply_of_the_same_is_no_write(api: Api) -> None:
    """An apply that changes nothing leaves the resourceVersion as it is."""
    first = await api.apply("widgets", widget(color="Red", notes={"a": "b"}))
    again = await api.apply("widgets", widget(color="Red", notes={"a": "b"}))

    assert (again.status, again.version) == (200, first.version)


async def test_create_owns_as_update(api: Api) -> None:
    """A POST is an Update of its field manager, defaults included."""
    reply = await api.ask("POST", api.path("widgets"), widget(color="Red"), fieldManager="alpha")
    fields = owned(reply.body, "alpha", "Update")

    assert fields is not None
    assert set(fields["f:spec"]) - {"."} == {"f:color", "f:size"}


async def test_conflict_without_force(api: Api) -> None:
    """Changing a field that another manager owns is refused, with the field as a cause."""
    await api.apply("widgets", widget(color="Red"))
    reply = await api.apply("widgets", widget(color="Blue"), "beta", force=False)

    assert (reply.status, reply.body["reason"], reply.causes) == (409, "Conflict", {".spec.color"})
    assert reply.body["details"]["causes"][0]["reason"] == "FieldManagerConflict"


async def test_agreement_is_shared_ownership(api: Api) -> None:
    """Applying the value that is there needs no force and makes a second owner."""
    await api.apply("widgets", widget(color="Red"))
    reply = await api.apply("widgets", widget(color="Red"), "beta", force=False)

    assert reply.status == 200
    assert owned(reply.body, "alpha") == owned(reply.body, "beta") == {"f:spec": {"f:color": {}}}


async def test_force_takes_a_field(api: Api) -> None:
    """A forced apply changes the field and the former owner loses it."""
    await api.apply("widgets", widget(color="Red", size=4))
    reply = await api.apply("widgets", widget(color="Blue"), "beta")

    assert reply.body["spec"] == {"color": "Blue", "size": 4}
    assert owned(reply.body, "alpha") == {"f:spec": {"f:size": {}}}


async def test_forced_apply_rewrites_a_foreign_object(api: Api) -> None:
    """Force asks nothing about whose object it is: only a precondition protects a foreign one."""
    await api.ask("POST", api.path("configmaps"), config_map(key="theirs"), fieldManager="kubectl")
    reply = await api.apply("configmaps", config_map(key="ours"))

    assert (reply.status, reply.body["data"]) == (200, {"key": "ours"})


async def test_forced_apply_adds_an_owner_to_a_namesake(api: Api) -> None:
    """Owner references merge by uid: a forced apply adds a second one without a word."""

    def reference(uid: str, *, controller: bool) -> dict[str, object]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": uid, "controller": controller}

    theirs = config_map()
    theirs["metadata"]["ownerReferences"] = [
        reference("11111111-1111-1111-1111-111111111111", controller=False)
    ]
    namespace_uid = (await api.ask("GET", f"/api/v1/namespaces/{api.namespace}")).body["metadata"]["uid"]
    theirs["metadata"]["ownerReferences"][0]["uid"] = namespace_uid
    ours = config_map()
    owner = await api.apply("configmaps", config_map("o"))
    ours["metadata"]["ownerReferences"] = [reference(owner.body["metadata"]["uid"], controller=True)]
    await api.apply("configmaps", ours, "theirs")
    second = await api.apply("configmaps", config_map("o2"))
    ours["metadata"]["ownerReferences"] = [reference(second.body["metadata"]["uid"], controller=False)]
    reply = await api.apply("configmaps", ours)

    assert {o["uid"] for o in reply.body["metadata"]["ownerReferences"]} == {
        owner.body["metadata"]["uid"],
        second.body["metadata"]["uid"],
    }


async def test_dropped_field_is_removed(api: Api) -> None:
    """What an apply states no more, and nobody else owns, goes; emptied containers go with it."""
    full = widget(
        notes={"a": "1", "b": "2"}, parts=[{"name": "p", "count": 1}, {"name": "q"}], tags=["t", "u"]
    )
    await api.apply("widgets", full)
    some = await api.apply("widgets", widget(notes={"a": "1"}, parts=[{"name": "p"}], tags=["t"]))
    none = await api.apply("widgets", widget())

    assert some.body["spec"] == {
        "notes": {"a": "1"},
        "parts": [{"name": "p", "unit": "piece"}],
        "size": 3,
        "tags": ["t"],
    }
    assert none.body["spec"] == {"size": 3}


async def test_dropped_label_is_removed(api: Api) -> None:
    """A label that an apply states no more disappears from the object."""
    labelled = config_map(key="v")
    labelled["metadata"]["labels"] = {"keep": "1", "drop": "1"}
    await api.apply("configmaps", labelled)
    labelled["metadata"]["labels"] = {"keep": "1"}
    reply = await api.apply("configmaps", labelled)

    assert reply.body["metadata"]["labels"] == {"keep": "1"}


async def test_dropped_field_that_another_owns_stays(api: Api) -> None:
    """Co-ownership keeps a field when one owner drops it: this is how a field is handed over."""
    await api.apply("widgets", widget(color="Red"))
    await api.apply("widgets", widget(color="Red"), "beta")
    reply = await api.apply("widgets", widget())

    assert reply.body["spec"]["color"] == "Red"
    assert owned(reply.body, "beta") == {"f:spec": {"f:color": {}}}


async def test_dropped_replicas_return_to_one(api: Api) -> None:
    """A Deployment whose replicas nobody owns any more has the default again, which loses capacity."""
    await api.apply("deployments", deployment(replicas=4))
    reply = await api.apply("deployments", deployment())

    assert reply.body["spec"]["replicas"] == 1


async def test_unchanged_merge_patch_takes_no_ownership(api: Api) -> None:
    """A merge patch of the number that is there leaves the owners as they are."""
    await api.apply("deployments", deployment(replicas=1))
    path = api.path("deployments", "d", "scale")
    patched = await api.ask("PATCH", path, {"spec": {"replicas": 1}}, "merge", fieldManager="beta")
    live = await api.ask("GET", api.path("deployments", "d"))

    assert patched.status == 200
    assert owned(live.body, "beta", "Update", "scale") is None


async def test_unchanged_apply_on_scale_takes_ownership(api: Api) -> None:
    """An apply on /scale of the number that is there makes its manager an owner of replicas."""
    await api.apply("deployments", deployment(replicas=1))
    reply = await api.apply("deployments", scale("d", 1), "beta", subresource="scale")
    live = await api.ask("GET", api.path("deployments", "d"))

    assert reply.status == 200
    assert owned(live.body, "beta", "Apply", "scale") == {"f:spec": {"f:replicas": {}}}
    assert owned(live.body, "alpha")["f:spec"]["f:replicas"] == {}  # type: ignore[index]


async def test_replicas_are_handed_over(api: Api) -> None:
    """Once the other manager owns replicas through /scale, dropping them changes no number."""
    await api.apply("deployments", deployment(replicas=3))
    await api.apply("deployments", scale("d", 3), "beta", subresource="scale")
    reply = await api.apply("deployments", deployment())

    assert reply.body["spec"]["replicas"] == 3
    assert "f:replicas" not in owned(reply.body, "alpha")["f:spec"]  # type: ignore[index]


async def test_scale_splits_what_a_creation_owns(api: Api) -> None:
    """An apply on /scale by another leaves a creator two entries, of replicas and of the rest; the next write loses the first."""

    async def scaled_by(manager: str) -> list[set[str]]:
        await api.apply("deployments", scale("d", 1), manager, subresource="scale")
        live = await api.ask("GET", api.path("deployments", "d"))
        return [
            set(entry["fieldsV1"]["f:spec"])
            for entry in live.body["metadata"]["managedFields"]
            if (entry["manager"], entry["operation"]) == ("alpha", "Update")
        ]

    await api.ask("POST", api.path("deployments"), deployment(replicas=1), fieldManager="alpha")
    *split, rest = sorted(await scaled_by("beta"), key=len)

    # A real cluster's controller may have been the next to write.
    possible = [[{"f:replicas"}]] if api.is_fake else [[{"f:replicas"}], []]
    assert split in possible
    assert "f:replicas" not in rest
    assert await scaled_by("gamma") == [rest]


async def test_changed_apply_on_scale_takes_replicas(api: Api) -> None:
    """A forced apply on /scale of another number takes the field from its owner."""
    await api.apply("deployments", deployment(replicas=1))
    await api.apply("deployments", scale("d", 2), "beta", subresource="scale")
    live = await api.ask("GET", api.path("deployments", "d"))

    assert live.body["spec"]["replicas"] == 2
    assert "f:replicas" not in owned(live.body, "alpha")["f:spec"]  # type: ignore[index]


async def test_merge_patch_on_scale_owns_as_update(api: Api) -> None:
    """What an HPA or kubectl scale writes is an Update entry of subresource scale, also on custom kinds."""
    await api.apply("widgets", widget(external={"replicas": 1}))
    path = api.path("widgets", "w", "scale")
    await api.ask("PATCH", path, {"spec": {"replicas": 2}}, "merge", fieldManager="hpa")
    live = await api.ask("GET", api.path("widgets", "w"))

    assert live.body["spec"]["external"] == {"replicas": 2}
    assert owned(live.body, "hpa", "Update", "scale") == {"f:spec": {"f:external": {"f:replicas": {}}}}
    assert owned(live.body, "alpha") is None or "f:external" not in owned(live.body, "alpha")["f:spec"]  # type: ignore[index]


async def test_containers_merge_by_name(api: Api) -> None:
    """Two managers state different fields of one container, and two containers of one pod."""
    await api.apply("deployments", deployment(replicas=1))
    more = deployment()
    more["spec"]["template"]["spec"]["containers"] = [
        {"name": "model", "env": [{"name": "A", "value": "1"}]},
        {"name": "sidecar", "image": "example.org/sidecar:1"},
    ]
    reply = await api.apply("deployments", more, "beta")
    containers = reply.body["spec"]["template"]["spec"]["containers"]

    assert [c["name"] for c in containers] == ["model", "sidecar"]
    assert containers[0]["image"] == "example.org/model:1"
    assert containers[0]["env"] == [{"name": "A", "value": "1"}]


async def test_selector_is_replaced_as_a_whole(api: Api) -> None:
    """A Service's selector is atomic: switching it leaves nothing of the old one."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80, "name": "http"}], "selector": {"service": "s", "revision": "1"}},
    }
    first = await api.apply("services", service)
    service["spec"]["selector"] = {"service": "s", "track": "2"}  # type: ignore[index]
    reply = await api.apply("services", service, "beta")

    assert reply.body["spec"]["selector"] == {"service": "s", "track": "2"}
    assert owned(first.body, "alpha")["f:spec"]["f:selector"] == {}  # type: ignore[index]


async def test_plain_lists_are_replaced_as_a_whole(api: Api) -> None:
    """A list without a merge rule is atomic."""
    await api.apply("widgets", widget(path=["a", "b"]))
    reply = await api.apply("widgets", widget(path=["c"]), "beta")

    assert reply.body["spec"]["path"] == ["c"]


async def test_apply_ignores_status_on_the_main_resource(api: Api) -> None:
    """Status is written through its subresource only."""
    stated = {**widget(color="Red"), "status": {"message": "no"}}
    reply = await api.apply("widgets", stated)

    assert (reply.status, "status" in reply.body) == (201, False)
    assert owned(reply.body, "alpha") == {"f:spec": {"f:color": {}}}


async def test_conditions_have_owners_of_their_own(api: Api) -> None:
    """Two managers each own a condition; one that drops its own leaves the other's."""
    await api.apply("widgets", widget())
    one = [{"type": "Ready", "status": "True"}]
    two = [{"type": "Scaling", "status": "True"}]
    await api.apply("widgets", widget(status={"conditions": one}), subresource="status")
    both = await api.apply("widgets", widget(status={"conditions": two}), "beta", subresource="status")
    left = await api.apply("widgets", widget(status={"message": "m"}), subresource="status")

    assert both.body["status"]["conditions"] == one + two
    assert left.body["status"] == {"conditions": two, "message": "m"}


async def test_last_apply_of_status_wins_only_its_fields(api: Api) -> None:
    """Managers of different endpoints are different: a status write keeps the spec's entry."""
    await api.apply("widgets", widget(color="Red"))
    reply = await api.apply("widgets", widget(status={"message": "m"}), subresource="status")

    assert owned(reply.body, "alpha") == {"f:spec": {"f:color": {}}}
    assert owned(reply.body, "alpha", "Apply", "status") == {"f:status": {"f:message": {}}}


async def test_ownership_by_creation_can_become_one_by_apply(api: Api) -> None:
    """A JSON patch may rewrite managedFields: what a POST owned can then be dropped by an apply."""
    created = await api.ask(
        "POST", api.path("widgets"), widget(color="Red", notes={"a": "b"}), fieldManager="alpha"
    )
    kept = await api.apply("widgets", widget(color="Red"))
    entries = [
        {**entry, "operation": "Apply"}
        for entry in created.body["metadata"]["managedFields"]
        if entry["operation"] == "Update"
    ]
    operations = [
        {"op": "test", "path": "/metadata/uid", "value": created.body["metadata"]["uid"]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": kept.version},
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
    ]
    patched = await api.ask("PATCH", api.path("widgets", "w"), operations, "json", fieldManager="alpha")
    dropped = await api.apply("widgets", widget(color="Red"))

    assert kept.body["spec"]["notes"] == {"a": "b"}
    assert owned(patched.body, "alpha", "Update") is None
    assert dropped.body["spec"] == {"color": "Red", "size": 3}


async def test_empty_managed_fields_change_no_owner(api: Api) -> None:
    """A PUT without managedFields, as from a client that does not know them, leaves the owners."""
    first = await api.apply("widgets", widget(color="Red"))
    manifest = {**first.body, "metadata": {**first.body["metadata"], "managedFields": []}}
    reply = await api.ask("PUT", api.path("widgets", "w"), manifest, fieldManager="beta")

    assert owned(reply.body, "alpha") == {"f:spec": {"f:color": {}}}
