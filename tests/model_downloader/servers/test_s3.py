"""Downloads from a server that speaks S3."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from model_downloader import s3
from model_downloader.credentials import Credentials
from model_downloader.folder import Folder
from model_downloader.outcome import Failed, NotFound, Refused
from model_downloader.source import Source
from tests.model_downloader.serving import download

FILES = {"config.json": b"{}", "weights/part-1.bin": b"\1" * 3_000_000, "weights/part-2.bin": b"\2" * 10}


def digest(files: dict[str, bytes]) -> str:
    """The digest of a tree, by hand."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Credentials]]:
    """A bucket `models` with the files under llm/v1, and the credentials for it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    folder = tmp_path_factory.mktemp("secret")
    for key, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        (folder / key).write_text(f"{value}\n")
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="models")
    for name, data in FILES.items():
        client.put_object(Bucket="models", Key=f"llm/v1/{name}", Body=data)
    client.put_object(Bucket="models", Key="llm/v10/other", Body=b"not of this model")
    yield client, Credentials(folder)
    server.stop()


def folder_in(path: Path, most_bytes: int = 10_000_000) -> Folder:
    """A folder to fetch into."""
    made = Folder(path, most_bytes)
    made.start()
    return made


def test_a_folder_arrives_whole(store: tuple[Any, Credentials], tmp_path: Path) -> None:
    """Every object under the prefix and none beside it; the digest is that of sha256sum."""
    folder = folder_in(tmp_path)

    assert s3.fetch(Source("s3", "models", "llm/v1", digest(FILES)), folder, store[1]) == digest(FILES)
    found = {p.relative_to(folder.partial).as_posix(): p for p in folder.partial.rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == FILES


def test_one_object_is_a_folder_with_it(store: tuple[Any, Credentials], tmp_path: Path) -> None:
    """The key of an object names the file alone."""
    folder = folder_in(tmp_path)
    pin = digest({"config.json": b"{}"})

    assert s3.fetch(Source("s3", "models", "llm/v1/config.json", pin), folder, store[1]) == pin
    assert (folder.partial / "config.json").read_bytes() == b"{}"


def test_an_interrupted_download_goes_on(store: tuple[Any, Credentials], tmp_path: Path) -> None:
    """What an earlier try left is kept; were it wrong, the digest would tell."""
    folder = folder_in(tmp_path)
    folder.place("weights/part-1.bin").with_name("part-1.bin.part").write_bytes(b"\1" * 1_000_000)
    folder.place("config.json").write_bytes(b"{}")

    assert s3.fetch(Source("s3", "models", "llm/v1", digest(FILES)), folder, store[1]) == digest(FILES)


def test_what_changed_is_refused_and_dropped(store: tuple[Any, Credentials], tmp_path: Path) -> None:
    """Later pods get the same or nothing: another content is no model, and names the pin it would have."""
    folder = folder_in(tmp_path)

    with pytest.raises(Refused, match=f"s3://models/llm/v1#sha256={digest(FILES)}"):
        s3.fetch(Source("s3", "models", "llm/v1", "0" * 64), folder, store[1])
    assert not folder.partial.exists()


def test_errors_have_their_cause(store: tuple[Any, Credentials], tmp_path: Path) -> None:
    """Nothing there, too large, and a store that does not answer are told apart."""
    with pytest.raises(NotFound, match="no object"):
        s3.fetch(Source("s3", "models", "gone"), folder_in(tmp_path / "a"), store[1])
    with pytest.raises(NotFound, match="bucket"):
        s3.fetch(Source("s3", "nowhere", "gone"), folder_in(tmp_path / "b"), store[1])
    with pytest.raises(Refused, match="model-download-limit"):
        s3.fetch(Source("s3", "models", "llm/v1"), folder_in(tmp_path / "c", 1000), store[1])
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "AWS_ENDPOINT_URL").write_text("http://127.0.0.1:1")
    with pytest.raises(Failed, match=r"127\.0\.0\.1"):
        s3.fetch(Source("s3", "models", "llm/v1"), folder_in(tmp_path / "d"), Credentials(closed))


def test_a_key_cannot_lead_out(store: tuple[Any, Credentials], tmp_path: Path) -> None:
    """A key with .. in it is refused, and nothing is written beside the folder."""
    client, credentials = store
    client.put_object(Bucket="models", Key="evil/../../escaped", Body=b"x")

    with pytest.raises(Refused, match="leads out"):
        s3.fetch(Source("s3", "models", "evil"), folder_in(tmp_path / "x"), credentials)
    assert not (tmp_path / "escaped").exists()


def test_the_program_refuses_a_store_inside(store: tuple[Any, Credentials], tmp_path: Path) -> None:
    """The guard hears of the connects of s3fs too; an allowed network lets them through."""
    uri = f"s3://models/llm/v1#sha256={digest(FILES)}"
    secret = f"--credentials={store[1].folder}"

    refused = download(uri, tmp_path / "a", secret)
    assert (refused.returncode, "127.0.0.1 is no public address" in refused.stderr) == (3, True)
    allowed = download(uri, tmp_path / "b", secret, "--allow=127.0.0.0/8")
    assert allowed.returncode == 0, allowed.stderr
    assert (tmp_path / "b" / "model" / "config.json").read_bytes() == b"{}"
