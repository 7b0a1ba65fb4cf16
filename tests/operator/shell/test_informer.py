"""What Kopf does at each event is what it is used for, and no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import kopf
import pytest

from serving_operator.observe import Sessions, connection, settings
from serving_operator.watched import WATCHED
from tests.fakes.kube import FakeKube


def test_no_object_is_copied_for_a_comparison() -> None:
    """Kopf compares objects for handlers that are not used: whatever it is given, nothing of it is looked at."""
    storage = settings(WATCHED).persistence.diffbase_storage
    nothing_can_be_read = object()

    assert storage.build(body=nothing_can_be_read) == {}
    assert storage.fetch(body=nothing_can_be_read) is None


async def test_watches_take_the_way_of_all_other_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that the environment names is theirs, too: behind one the operator would see nothing without it."""
    with FakeKube(crds=None) as fake:
        monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig(tmp_path / "config", "somebody")))
    monkeypatch.setenv("no_proxy", "")
    for proxy in ("http://somebody:secret@proxy:3128", ""):
        monkeypatch.setenv("http_proxy", proxy)
        assert (await connection()).proxy_url == (proxy or None)


class Session:
    """Stands for what a request opens with credentials."""

    closed = False

    async def close(self) -> None:
        """As a session has it."""
        self.closed = True


async def test_what_was_opened_with_credentials_that_were_found_invalid_is_closed() -> None:
    """A request that had them already opens a session once more: Kopf forgets it, and its sockets stay open."""
    vault, opened = Sessions(), []

    def opens(_: object) -> Session:
        opened.append(Session())
        return opened[-1]

    await vault.populate({"login": kopf.ConnectionInfo(server="http://localhost")})
    async for key, info, _ in vault.extended(opens):
        finding = asyncio.create_task(vault.invalidate(key, info))
        await asyncio.sleep(0)
        (item,) = vault._invalid[key]
        item.caches = {"as `extended` does for a request that is on its way": opens(info)}
        await vault.close()
        assert [session.closed for session in opened] == [True, True]
        finding.cancel()
        break
