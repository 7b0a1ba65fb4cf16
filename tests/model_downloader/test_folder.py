"""Nothing leaves the model's folder, and nothing appears in it but the whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from model_downloader.folder import Folder, tree_digest
from model_downloader.outcome import Refused
from model_downloader.source import Source


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder of at most 100 bytes."""
    made = Folder(tmp_path, 100)
    made.start()
    return made


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "a\\..\\b", "a\nb", "x" * 251]
)  # fmt: skip
def test_names_that_lead_out_are_refused(folder: Folder, name: str) -> None:
    """A key or an archive's entry cannot name a place outside."""
    with pytest.raises(Refused, match="leads out"):
        folder.place(name)


def test_a_link_that_leads_out_is_not_followed(folder: Folder, tmp_path: Path) -> None:
    """Even if something has put a link into the folder, no file is written through it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder.partial / "link").symlink_to(outside)

    with pytest.raises(Refused, match="by a link"):
        folder.place("link/x")


def test_a_file_is_there_when_it_is_whole(folder: Folder) -> None:
    """Until its last byte a file has another name, and goes on from where it was."""
    path = folder.place("a/model.bin")

    def broken() -> object:
        yield b"first"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        folder.write(path, broken(), at=0, before=0, total=None)  # type: ignore[arg-type]
    assert not path.exists()
    folder.write(path, [b" second"], at=5, before=0, total=None)
    assert path.read_bytes() == b"first second"


def test_limits_hold_before_and_while_writing(folder: Folder) -> None:
    """A stated size is refused at once, a lie about it when the limit is reached."""
    with pytest.raises(Refused, match="model-download-limit"):
        folder.check([60, 60])
    with pytest.raises(Refused, match="model-download-limit"):
        folder.write(folder.place("x"), [b"y" * 60] * 2, at=0, before=0, total=None)
    assert not folder.place("x").exists()


def test_the_digest_is_what_sha256sum_says(folder: Folder) -> None:
    """Lines of sha256sum in the order of the paths' bytes, hashed."""
    folder.place("b").write_bytes(b"2")
    folder.place("a/z").write_bytes(b"1")
    lines = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in (("a/z", b"1"), ("b", b"2"))
    )

    assert tree_digest(folder.partial) == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("file:///etc/passwd", "cannot be downloaded"),
        ("http://host/x", "cannot be downloaded"),
        ("gs://bucket/x", "cannot be downloaded"),
        ("https://user:secret@host/x", "cannot be read"),
        ("https://host/x#sha256=12", "cannot be read"),
        ("s3://b/x", "cannot be read"),
        ("hf://org/model/x:main", "cannot be read"),
        ("hf://org/model:main", "cannot be read"),
        ("https://host/x\ny", "cannot be read"),
    ],
)
def test_other_addresses_are_refused_with_the_form(uri: str, says: str) -> None:
    """What is not understood is named, with what would be."""
    with pytest.raises(Refused, match=says):
        Source.parse(uri)


def test_a_pin_is_part_of_the_address() -> None:
    """The digest or commit is read from the URI and written back into it."""
    pin = "a" * 64
    source = Source.parse(f"s3://models/llm/v1/#sha256={pin}")

    assert (source.host, source.path, source.pin) == ("models", "llm/v1", pin)
    assert Source.parse("hf://org/llm").pinned("b" * 40) == f"hf://org/llm:{'b' * 40}"
