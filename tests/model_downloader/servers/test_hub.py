"""Downloads by huggingface_hub from a server that answers as the Hub documents it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_downloader.credentials import Credentials
from model_downloader.folder import Folder
from model_downloader.outcome import NotFound, Refused
from model_downloader.source import Source
from tests.model_downloader.serving import Answer, http_server

COMMIT = "c" * 40
FILES = {"config.json": b"{}", "model/weights.safetensors": b"\3" * 5000}


def respond(path: str) -> Answer:
    """The model's description at one commit, and its files."""
    path = path.partition("?")[0]
    if path == f"/api/models/org/llm/revision/{COMMIT}":
        siblings = [{"rfilename": name, "size": len(data)} for name, data in FILES.items()]
        return 200, {}, json.dumps({"id": "org/llm", "sha": COMMIT, "siblings": siblings}).encode()
    if path == f"/api/models/org/evil/revision/{COMMIT}":
        siblings = [{"rfilename": "../../evil", "size": 1}]
        return 200, {}, json.dumps({"id": "org/evil", "sha": COMMIT, "siblings": siblings}).encode()
    for name, data in FILES.items():
        if path == f"/org/llm/resolve/{COMMIT}/{name}":
            etag = hashlib.sha256(data).hexdigest()
            return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, data
    return 404, {"X-Error-Code": "RepoNotFound"}, b""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Credentials]:
    """A running server, as the credentials that name it."""
    folder = tmp_path_factory.mktemp("hub")
    with http_server(lambda path, _: respond(path)) as port:
        (folder / "HF_ENDPOINT").write_text(f"http://127.0.0.1:{port}")
        yield Credentials(folder)


def test_a_commit_arrives_whole(hub: Credentials, tmp_path: Path) -> None:
    """The files of that commit, and none of the library's own."""
    from model_downloader.hub import fetch

    folder = Folder(tmp_path, 1_000_000)
    folder.start()
    assert fetch(Source("hf", "org", "llm", COMMIT), folder, hub) == COMMIT
    found = {p.relative_to(folder.partial).as_posix(): p for p in folder.partial.rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == FILES


def test_hostile_large_and_missing_models_are_told_apart(hub: Credentials, tmp_path: Path) -> None:
    """A name that leads out and a size beyond the limit are refused before a byte; no such model is not found."""
    from model_downloader.hub import fetch

    for name, most_bytes, kind, says in (
        ("evil", 1000, Refused, "leads out"),
        ("llm", 1000, Refused, "model-download-limit"),
        ("gone", 1000, NotFound, "no such model"),
    ):
        folder = Folder(tmp_path / name, most_bytes)
        folder.start()
        with pytest.raises(kind, match=says):
            fetch(Source("hf", "org", name, COMMIT), folder, hub)
    assert not (tmp_path / "evil" / "evil").exists()
