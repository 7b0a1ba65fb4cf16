"""Downloads from a real https server with a certificate authority of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from model_downloader.credentials import Credentials
from model_downloader.folder import Folder
from model_downloader.https import fetch
from model_downloader.outcome import Failed, NotFound, Refused
from model_downloader.source import Source
from tests.model_downloader.serving import Answer, download, https_server, pin

BODY = bytes(range(256)) * 40
PIN = hashlib.sha256(BODY).hexdigest()


def respond(path: str, headers: dict[str, str]) -> Answer:
    """A file, redirects of several kinds, and errors."""
    host = headers["Host"]
    match path:
        case "/model.bin" if "Range" in headers:
            at = int(headers["Range"].removeprefix("bytes=").removesuffix("-"))
            return (206, {}, BODY[at:]) if at < len(BODY) else (416, {}, b"")
        case "/model.bin":
            return 200, {}, BODY
        case "/moved":
            return 302, {"Location": "/model.bin"}, b""
        case "/downgrade":
            return 302, {"Location": f"http://{host}/model.bin"}, b""
        case "/loop":
            return 302, {"Location": "/loop"}, b""
        case "/metadata":
            return 302, {"Location": "https://169.254.169.254/latest/meta-data/"}, b""
        case "/busy":
            return 503, {}, b""
    return 404, {}, b""


def test_files_redirects_and_errors(tmp_path: Path) -> None:
    """What is pinned arrives; a redirect away from https, an endless one, another content and errors do not."""
    with https_server(tmp_path / "server", respond) as server:

        def got(path: str, pin: str = PIN, credentials: Credentials = server.credentials) -> Folder:
            folder = Folder(tmp_path / "out" / path.replace("/", "_"), 1_000_000)
            folder.start()
            fetch(Source("https", server.host, path, pin), folder, credentials)
            return folder

        assert (got("model.bin").partial / "model.bin").read_bytes() == BODY
        assert (got("moved").partial / "moved").read_bytes() == BODY
        for path, kind, says in (
            ("downgrade", Refused, "not https"),
            ("loop", Refused, "more than 5 times"),
            ("gone", NotFound, "answers 404"),
            ("busy", Failed, "answers 503"),
        ):
            with pytest.raises(kind, match=says):
                got(path)
        with pytest.raises(Refused, match=f"sha256={PIN} instead of {'0' * 64}"):
            got("model.bin", "0" * 64)
        with pytest.raises(Failed, match="certificate verify failed"):
            got("moved", credentials=Credentials())


def test_an_interrupted_download_goes_on(tmp_path: Path) -> None:
    """Only the missing bytes are asked for; more than there is begins anew."""
    asked = []

    def noted(path: str, headers: dict[str, str]) -> Answer:
        asked.append(headers.get("Range"))
        return respond(path, headers)

    with https_server(tmp_path / "server", noted) as server:
        for left in (BODY[:4000], BODY + b"more"):
            folder = Folder(tmp_path / str(len(left)), 1_000_000)
            folder.start()
            (folder.partial / "model.bin.part").write_bytes(left)
            fetch(Source("https", server.host, "model.bin", PIN), folder, server.credentials)
            assert (folder.partial / "model.bin").read_bytes() == BODY
    assert asked == ["bytes=4000-", f"bytes={len(BODY) + 4}-", None]


def test_the_program_as_a_pod_runs_it(tmp_path: Path) -> None:
    """Addresses inside are refused, by redirect too, unless allowed; the model appears whole, and once."""
    with https_server(tmp_path / "server", respond) as server:
        secret = f"--credentials={server.credentials.folder}"
        uri = f"https://{server.host}/model.bin#sha256={PIN}"
        message = tmp_path / "message"
        refused = download(uri, tmp_path / "a", secret, f"--message={message}")
        assert refused.returncode == 3
        assert "127.0.0.1 is no public address" in message.read_text()
        assert not (tmp_path / "a" / "model").exists()
        metadata = f"https://{server.host}/metadata#sha256={PIN}"
        steered = download(metadata, tmp_path / "b", secret, "--allow=127.0.0.0/8")
        assert (steered.returncode, "169.254.169.254 is no public" in steered.stderr) == (3, True)
        (tmp_path / "c" / "model").mkdir(parents=True)  # as a mount by its path makes it
        for _ in range(2):
            done = download(uri, tmp_path / "c", secret, "--allow=127.0.0.0/8")
            assert done.returncode == 0, done.stderr
        assert pin(uri.partition("#")[0], secret, "--allow=127.0.0.0/8") == uri
    assert "is there already" in done.stderr
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["model"]
    assert (tmp_path / "c" / "model" / "model.bin").read_bytes() == BODY
    unpinned = download("hf://org/model", tmp_path / "d")
    assert (unpinned.returncode, "--pin" in unpinned.stderr) == (3, True)


@pytest.mark.parametrize("stored", [b"abc-s3cret\nline2", "s3cret–".encode(), b"s3cret\xff"])
def test_a_token_that_no_header_may_hold_is_named_and_not_told(tmp_path: Path, stored: bytes) -> None:
    """Neither the log nor the message that the operator shows holds what is in the Secret; nothing is asked."""
    asked = []

    def noted(path: str, headers: dict[str, str]) -> Answer:
        asked.append(path)
        return respond(path, headers)

    with https_server(tmp_path / "server", noted) as server:
        (tmp_path / "server" / "HTTPS_TOKEN").write_bytes(stored)
        uri = f"https://{server.host}/model.bin#sha256={PIN}"
        message = tmp_path / "message"
        secret = f"--credentials={server.credentials.folder}"
        ended = download(uri, tmp_path / "a", secret, "--allow=127.0.0.0/8", f"--message={message}")
    assert ended.returncode == 3
    assert "HTTPS_TOKEN of the Secret" in message.read_text()
    assert "store it again without" in message.read_text()
    told = message.read_text() + ended.stdout + ended.stderr
    assert not any(word in told for word in ("s3cret", "line2"))
    assert asked == []


def test_every_key_is_read_without_its_last_newline(tmp_path: Path) -> None:
    """A newline at the end is no part of a key; one within it is refused by the key's name, whichever it is."""
    (tmp_path / "HF_TOKEN").write_text("hf_abc\n")
    (tmp_path / "AWS_SESSION_TOKEN").write_text("s3cret\nline2\n")
    credentials = Credentials(tmp_path)

    assert credentials.get("HF_TOKEN") == "hf_abc"
    assert credentials.get("HTTPS_TOKEN") is None
    with pytest.raises(Refused, match=r"^AWS_SESSION_TOKEN of the Secret"):
        credentials.get("AWS_SESSION_TOKEN")
