"""LIST in chunks, selectors, WATCH and discovery."""

from __future__ import annotations

import pytest

from serving_io import Kind, kinds, post_event
from tests.contract.questions import GROUP, Api, Manifest, widget

WIDGET = Kind(f"{GROUP}/v1", "Widget", "widgets")


async def _five(api: Api) -> None:
    for number in range(5):
        manifest = widget(f"w{number}")
        manifest["metadata"]["labels"] = {"n": str(number), "odd": str(number % 2)}
        await api.ask("POST", api.path("widgets"), manifest)


def _names(items: list[Manifest]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


async def test_list_in_chunks(api: Api) -> None:
    """Pages follow by token, at one version, though objects change in between."""
    await _five(api)
    first = await api.ask("GET", api.path("widgets"), limit="2")
    await api.ask("DELETE", api.path("widgets", "w3"))
    token = first.body["metadata"]["continue"]
    rest = await api.ask("GET", api.path("widgets"), limit="9", **{"continue": token})

    assert _names(first.body["items"]) == ["w0", "w1"]
    assert _names(rest.body["items"]) == ["w2", "w3", "w4"]
    assert rest.version == first.version
    assert first.body["metadata"]["remainingItemCount"] == 3


async def test_list_of_our_client(api: Api) -> None:
    """Our client reads all chunks and states apiVersion and kind on each item."""
    await _five(api)
    listing = await api.cluster().list(WIDGET, api.namespace, chunk_size=2)

    assert _names(listing.items) == ["w0", "w1", "w2", "w3", "w4"]
    assert {(item["apiVersion"], item["kind"]) for item in listing.items} == {(f"{GROUP}/v1", "Widget")}


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("odd=1", ["w1", "w3"]),
        ("odd==1,n!=3", ["w1"]),
        ("n in (1,2)", ["w1", "w2"]),
        ("n notin (1,2)", ["w0", "w3", "w4"]),
        ("odd", ["w0", "w1", "w2", "w3", "w4"]),
        ("!odd", []),
    ],
)
async def test_label_selectors(api: Api, selector: str, names: list[str]) -> None:
    """Labels select."""
    await _five(api)
    reply = await api.ask("GET", api.path("widgets"), labelSelector=selector)

    assert _names(reply.body["items"]) == names


async def test_field_selectors(api: Api) -> None:
    """The name selects; other fields of a custom kind are refused."""
    await _five(api)
    named = await api.ask("GET", api.path("widgets"), fieldSelector="metadata.name=w3")
    other = await api.ask("GET", api.path("widgets"), fieldSelector="spec.size=3")

    assert (_names(named.body["items"]), other.status) == (["w3"], 400)


async def test_watch_continues_from_a_list(api: Api) -> None:
    """A watch from a LIST's version tells every change after it, in order."""
    await _five(api)
    listing = await api.cluster().list(WIDGET, api.namespace)
    await api.ask("PATCH", api.path("widgets", "w0"), {"spec": {"size": 4}}, "merge")
    await api.ask("DELETE", api.path("widgets", "w1"))
    await api.ask("POST", api.path("widgets"), widget("w9"))
    events = [
        (event.type, event.object["metadata"]["name"])
        async for event in api.cluster().watch(
            WIDGET, listing.resource_version, api.namespace, server_timeout_seconds=1
        )
        if event.type != "BOOKMARK"
    ]

    assert events == [("MODIFIED", "w0"), ("DELETED", "w1"), ("ADDED", "w9")]


async def test_watch_versions_grow(api: Api) -> None:
    """Every event carries its own version, deletions too."""
    await _five(api)
    version = (await api.ask("GET", api.path("widgets"))).version
    await api.ask("PATCH", api.path("widgets", "w0"), {"spec": {"size": 4}}, "merge")
    await api.ask("DELETE", api.path("widgets", "w0"))
    events = await api.watched(api.path("widgets"), resourceVersion=version)
    versions = [int(manifest["metadata"]["resourceVersion"]) for _, manifest in events]

    assert [kind for kind, _ in events] == ["MODIFIED", "DELETED"]
    assert int(version) < versions[0] < versions[1]


async def test_watch_with_a_selector(api: Api) -> None:
    """An object that leaves the selection is DELETED for its watcher, one that enters is ADDED."""
    await _five(api)
    version = (await api.ask("GET", api.path("widgets"))).version
    for name, odd in (("w1", "0"), ("w2", "1")):
        await api.ask("PATCH", api.path("widgets", name), {"metadata": {"labels": {"odd": odd}}}, "merge")
    events = await api.watched(api.path("widgets"), resourceVersion=version, labelSelector="odd=1")

    assert [(kind, manifest["metadata"]["name"]) for kind, manifest in events] == [
        ("DELETED", "w1"),
        ("ADDED", "w2"),
    ]


async def test_watch_without_a_version(api: Api) -> None:
    """A watch without a version starts with everything that is there."""
    await _five(api)
    events = await api.watched(api.path("widgets"))

    assert [kind for kind, _ in events] == ["ADDED"] * 5


async def test_watch_with_initial_events(api: Api) -> None:
    """`sendInitialEvents` ends the first part with an annotated bookmark."""
    await _five(api)
    events = await api.watched(
        api.path("widgets"),
        seconds=5,  # the bookmark comes when the watch cache knows that it is as new as the store
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
    )
    first_bookmark = next(manifest for kind, manifest in events if kind == "BOOKMARK")

    assert [kind for kind, _ in events[:6]] == ["ADDED"] * 5 + ["BOOKMARK"]
    assert first_bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_watch_tells_no_empty_writes(api: Api) -> None:
    """A write that changes nothing is no event."""
    first = await api.apply("widgets", widget(color="Red"))
    await api.apply("widgets", widget(color="Red"))
    events = await api.watched(api.path("widgets"), resourceVersion=first.version)

    assert events == []


async def test_discovery(api: Api) -> None:
    """What is served can be asked for; what is not is no error."""
    cluster = api.cluster()
    unserved = Kind("nothing.example.org/v1", "Nothing", "nothings")
    unknown = Kind("apps/v1", "Nothing", "nothings")

    assert [await cluster.served(kind) for kind in (kinds.DEPLOYMENT, kinds.POD, WIDGET)] == [True] * 3
    assert [await cluster.served(kind) for kind in (unserved, unknown)] == [False, False]


async def test_resources_of_a_custom_group(api: Api) -> None:
    """Subresources are listed with their object's kind, a scale with its own."""
    reply = await api.ask("GET", f"/apis/{GROUP}/v1")
    listed = {entry["name"]: entry["kind"] for entry in reply.body["resources"]}

    assert listed["widgets"] == listed["widgets/status"] == "Widget"
    assert listed["widgets/scale"] == "Scale"


async def test_events_for_people(api: Api) -> None:
    """Our events are accepted, also with a long note about an object with a long name."""
    about = (await api.apply("widgets", widget("w" * 63))).body
    event = await post_event(
        api.cluster(), about, type="Warning", reason="Tried", note="ä" * 2000, action="Trying"
    )

    assert event["regarding"]["uid"] == about["metadata"]["uid"]
    assert event["note"].endswith("…")
    assert len(event["note"].encode()) <= 1024


async def test_continue_token_that_is_none(api: Api) -> None:
    """A continue token that is no token is refused."""
    reply = await api.ask("GET", api.path("widgets"), limit="1", **{"continue": "abc"})

    assert reply.status == 400
