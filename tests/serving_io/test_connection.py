"""Where the API server is, and who we are to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_io import Cluster, ConfigurationError, connection, kinds
from serving_io.kubeconfig import namespace_of
from serving_io.transport import Transport
from tests.fakes.kube import FakeKube


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server without our CRDs."""
    with FakeKube(crds=None) as started:
        yield started


async def test_without_any_configuration() -> None:
    """Outside a cluster and without KUBECONFIG the error says what to set."""
    with pytest.raises(ConfigurationError, match="set KUBECONFIG"):
        await connection.api_client("test", {})


@pytest.mark.parametrize("content", [None, "", "{", "kind: Config\ncurrent-context: nowhere\n"])
async def test_with_a_bad_kubeconfig(tmp_path: Path, content: str | None) -> None:
    """A kubeconfig that is missing, empty or broken is named."""
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=str(path)):
        await connection.api_client("test", {"KUBECONFIG": str(path)})


async def test_kubeconfig_is_used(fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KUBECONFIG tells the address and the user."""
    monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig(tmp_path / "config", "somebody")))
    async with await Cluster.connect(field_manager="alpha") as cluster:
        await cluster.list(kinds.CONFIG_MAP)

    assert fake.log[0].user == "somebody"


def stated(current: str | None, *names: str) -> dict[str, Any]:
    """A kubeconfig with a cluster, a namespace and a token file for each name."""
    config: dict[str, Any] = {
        "clusters": [{"name": name, "cluster": {"server": f"http://{name}.example.com"}} for name in names],
        "users": [{"name": name, "user": {"tokenFile": f"{name}.token"}} for name in names],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name, "namespace": f"ml-{name}"}}
            for name in names
        ],
    }
    return config if current is None else config | {"current-context": current}


@pytest.mark.parametrize(
    ("files", "context", "chosen"),
    [
        ([stated("prod", "prod"), stated("dev", "dev")], None, "prod"),
        ([{"current-context": "dev"}, stated("prod", "prod"), stated(None, "dev")], None, "dev"),
        ([stated("", "prod"), stated("dev", "dev")], None, "dev"),
        ([stated("prod", "prod"), stated("dev", "dev")], "dev", "dev"),
        ([stated("prod", "prod"), None], None, "prod"),
        ([{}, stated("prod", "prod")], None, "prod"),
    ],
    ids=[
        "both name one",
        "the first describes none",
        "the first names none",
        "one is stated",
        "one is empty",
        "one has nothing",
    ],
)
async def test_of_several_files_the_first_current_context_counts(
    tmp_path: Path, files: list[dict[str, Any] | None], context: str | None, chosen: str
) -> None:
    """As with kubectl: address, namespace and token are those of the context that the first file to name one names."""
    for name in ("prod", "dev"):
        (tmp_path / f"{name}.token").write_text(f"of {name}")
    paths = [tmp_path / str(number) for number, _ in enumerate(files)]
    for file, content in zip(paths, files, strict=True):
        file.write_text("" if content is None else yaml.safe_dump(content))
    path = os.pathsep.join(map(str, paths))

    client = await connection.api_client("test", {"KUBECONFIG": path}, context=context)
    host = client.configuration.host
    token = await client.configuration.get_api_key_with_prefix("BearerToken")
    await client.close()  # type: ignore[no-untyped-call]

    assert (host, token) == (f"http://{chosen}.example.com", f"Bearer of {chosen}")
    assert namespace_of(path, context) == f"ml-{chosen}"


async def test_context_and_user_may_be_in_different_files(tmp_path: Path) -> None:
    """The token file of a user is found beside the file that describes the user first."""
    whole = stated("prod", "prod")
    (tmp_path / "users").mkdir()
    (tmp_path / "users/prod.token").write_text("first")
    (tmp_path / "prod.token").write_text("second")
    (tmp_path / "users/config").write_text(yaml.safe_dump({"users": whole["users"]}))
    (tmp_path / "config").write_text(yaml.safe_dump(whole))
    path = f"{tmp_path}/users/config{os.pathsep}{tmp_path}/config"

    client = await connection.api_client("test", {"KUBECONFIG": path})
    token = await client.configuration.get_api_key_with_prefix("BearerToken")
    await client.close()  # type: ignore[no-untyped-call]

    assert token == "Bearer first"


@pytest.mark.parametrize(
    ("bypassed", "proxy"),
    [
        ("example.com", "http://proxy:3128"),
        ("127.0.0.1", None),
        ("10.0.0.0/8, 127.0.0.0/8", None),
        ("10.0.0.0/8,fd00::/8", "http://proxy:3128"),
    ],
)
async def test_the_environment_is_asked_for_a_proxy_once(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bypassed: str, proxy: str | None
) -> None:
    """Not at each request, which would take a thread; addresses and networks in NO_PROXY have none."""
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", bypassed)
    path = fake.kubeconfig(tmp_path / "config", "somebody")

    client = await connection.api_client("test", {"KUBECONFIG": str(path)})
    found = client.rest_client.proxy
    session = client.rest_client._create_pool_manager()
    trusts = session.trust_env
    await session.close()
    await client.close()  # type: ignore[no-untyped-call]

    assert found == proxy
    assert not trusts


async def test_token_file_is_read_again(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that is rotated in its file is used from then on."""
    monkeypatch.setattr(connection, "TOKEN_RELOAD_SECONDS", 0.0)
    path, token = fake.kubeconfig(tmp_path / "config", "user"), tmp_path / "token"
    config = yaml.safe_load(path.read_text())
    config["users"][0]["user"] = {"tokenFile": "token"}
    path.write_text(yaml.safe_dump(config))
    token.write_text("one\n")
    client = await connection.api_client("test", {"KUBECONFIG": str(path)})
    async with Cluster(Transport(client), field_manager="alpha") as cluster:
        await cluster.list(kinds.CONFIG_MAP)
        token.write_text("two\n")
        await cluster.list(kinds.CONFIG_MAP)

    assert [request.user for request in fake.log] == ["one", "two"]
