"""Release files are kept only if they are whole and are what their publisher says."""

import hashlib
import io
import socket
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from localcluster import download

PROGRAM = b"\x7fELF" + bytes(range(256)) * 64


class Publisher:
    """An HTTP server of files; `cut` names files of which only half is sent."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = publisher.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if self.path in publisher.cut else content)

            def log_message(self, format: str, *arguments: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def publish(self, name: str, content: bytes, digest: str | None = None) -> str:
        """Offer a program as its publisher would; the path of its file."""
        release = download.release(name, self.url)
        if release.member is not None:
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w:gz") as writer:
                member = tarfile.TarInfo(release.member)
                member.size = len(content)
                writer.addfile(member, io.BytesIO(content))
            content = archive.getvalue()
        path = release.url.removeprefix(self.url)
        digest = digest or hashlib.sha256(content).hexdigest()
        self.files[path] = content
        bare = release.digests_url.endswith(".sha256")
        listing = digest if bare else f"{'0' * 64}  other.tar.gz\n{digest}  {path.rsplit('/', 1)[1]}\n"
        self.files[release.digests_url.removeprefix(self.url)] = listing.encode()
        return path


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A publisher on loopback, gone after the test."""
    publisher = Publisher()
    thread = Thread(target=publisher.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield publisher
    publisher.server.shutdown()
    thread.join()
    publisher.server.server_close()


@pytest.mark.parametrize("name", ["kube-apiserver", "etcd", "prometheus"])
def test_a_verified_program_is_installed_and_executable(
    publisher: Publisher, tmp_path: Path, name: str
) -> None:
    """A bare file and a file out of an archive both arrive byte for byte, and nothing else stays."""
    publisher.publish(name, PROGRAM)
    download.program(tmp_path, name, publisher.url)
    assert (tmp_path / name).read_bytes() == PROGRAM
    assert (tmp_path / name).stat().st_mode & 0o111 == 0o111
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["kube-scheduler", "etcd"])
def test_a_wrong_checksum_is_refused_and_leaves_nothing(
    publisher: Publisher, tmp_path: Path, name: str
) -> None:
    """A file that differs from what was published is deleted, and the error names both digests."""
    publisher.publish(name, PROGRAM, digest="ab" * 32)
    with pytest.raises(download.ChecksumError, match="published is abab"):
        download.program(tmp_path, name, publisher.url)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_download_leaves_nothing_and_can_be_repeated(
    publisher: Publisher, tmp_path: Path
) -> None:
    """A connection that ends early is an error that says how much came; the next attempt is clean."""
    path = publisher.publish("kube-apiserver", PROGRAM)
    publisher.cut.add(path)
    with pytest.raises(download.DownloadError, match=f"of {len(PROGRAM)} bytes|IncompleteRead"):
        download.program(tmp_path, "kube-apiserver", publisher.url)
    assert list(tmp_path.iterdir()) == []
    publisher.cut.clear()
    download.program(tmp_path, "kube-apiserver", publisher.url)
    assert (tmp_path / "kube-apiserver").read_bytes() == PROGRAM


def test_a_failed_download_keeps_the_program_that_was_there(publisher: Publisher, tmp_path: Path) -> None:
    """An earlier program is replaced by a verified one only."""
    (tmp_path / "etcd").write_bytes(b"earlier")
    publisher.publish("etcd", PROGRAM, digest="cd" * 32)
    with pytest.raises(download.ChecksumError):
        download.program(tmp_path, "etcd", publisher.url)
    assert (tmp_path / "etcd").read_bytes() == b"earlier"


def test_a_listing_without_the_file_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    """Without a published digest nothing is downloaded."""
    publisher.publish("etcd", PROGRAM)
    release = download.release("etcd", publisher.url)
    publisher.files[release.digests_url.removeprefix(publisher.url)] = b"00  something-else\n"
    with pytest.raises(download.ChecksumError, match="names no SHA-256"):
        download.program(tmp_path, "etcd", publisher.url)


def test_an_unknown_file_and_a_closed_port_are_download_errors(publisher: Publisher, tmp_path: Path) -> None:
    """Whatever keeps a file from being had is one kind of error, so that the caller can go on to build it."""
    with pytest.raises(download.DownloadError, match="404"):
        download.program(tmp_path, "etcd", publisher.url)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(download.DownloadError, match="refused"):
            download.program(tmp_path, "kube-apiserver", closed)
