"""Archives are unpacked as plain files within the folder, or not at all."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_downloader.archive import into_place
from model_downloader.folder import Folder
from model_downloader.outcome import Refused


def member(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:  # fmt: skip
    """An entry of a tar."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, len(data) if kind == tarfile.REGTYPE else 0
    return made, data


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """Write a tar."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as made:
        for info, data in members:
            made.addfile(info, io.BytesIO(data))
    return path


def packed_zip(path: Path, *entries: tuple[str, bytes, int]) -> Path:
    """Write a zip; each entry has a name, data and Unix mode."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            made.writestr(info, data)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder of at most 10 kB."""
    made = Folder(tmp_path, 10_000)
    made.start()
    return made


def test_plain_archives_are_unpacked(folder: Folder) -> None:
    """Files and folders of a tar and of a zip, and the archive itself is gone."""
    folder_entry = member("./a", kind=tarfile.DIRTYPE)
    into_place(folder, tar(folder.partial / "m.tgz", folder_entry, member("./a/b", b"1"), member("c", b"2")))
    assert {p.relative_to(folder.partial).as_posix() for p in folder.partial.rglob("*")} == {"a", "a/b", "c"}
    assert list(folder.root.iterdir()) == [folder.partial]
    folder.drop()
    folder.start()
    into_place(folder, packed_zip(folder.partial / "m.zip", ("a/b", b"1", 0o100644), ("c", b"2", 0)))
    assert (folder.partial / "a" / "b").read_bytes() == b"1"


def test_names_that_look_unfinished_are_files_as_any_other(folder: Folder) -> None:
    """A file whose name is another's with `.part` is unpacked beside it, in either order."""
    for first, second in (("x", "x.part"), ("x.part", "x")):
        into_place(folder, tar(folder.partial / "m.tgz", member(first, b"1"), member(second, b"2")))
        assert {path.name: path.read_bytes() for path in folder.partial.iterdir()} == {
            first: b"1",
            second: b"2",
        }
        folder.drop()
        folder.start()


@pytest.mark.parametrize("end", ["", "/"])
def test_the_limit_of_files_counts_what_is_empty(
    folder: Folder, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries without a byte and folders are counted, of a tar and of a zip; as many as may be are unpacked."""
    monkeypatch.setattr("model_downloader.archive.MOST_FILES", 3)
    names = ["model", *(f"{i}{end}" for i in range(3))]
    kind = tarfile.DIRTYPE if end else tarfile.REGTYPE

    def packed(names: list[str]) -> Iterator[Path]:
        folder.start()
        yield tar(
            folder.partial / "m.tgz",
            *(member(name, b"", kind if name != "model" else tarfile.REGTYPE) for name in names),
        )
        folder.start()
        yield packed_zip(folder.partial / "m.zip", *((name, b"", 0) for name in names))

    for archive in packed(names[:3]):
        into_place(folder, archive)
        assert (folder.partial / "model").exists()
        folder.drop()
    for archive in packed(names):
        with pytest.raises(Refused, match="more than 3 entries"):
            into_place(folder, archive)
        assert list(folder.root.iterdir()) == []


@pytest.mark.parametrize(
    ("why", "members", "says"),
    [
        ("a name that climbs", [member("../evil")], "leads out"),
        ("an absolute name", [member("/etc/evil")], "leads out"),
        ("a symbolic link", [member("l", kind=tarfile.SYMTYPE, link="/etc")], "link or a device"),
        ("a hard link", [member("l", kind=tarfile.LNKTYPE, link="../x")], "link or a device"),
        ("a device", [member("d", kind=tarfile.CHRTYPE)], "link or a device"),
        ("a bomb", [member("a", b"\0" * 9000), member("b", b"\0" * 9000)], "model-download-limit"),
        ("the same name twice", [member("a"), member("a")], "twice"),
        ("a name that is no text", [member("a\udcff")], r"'a\\udcff' leads out"),
        ("nothing", [], "no file"),
    ],
)
def test_hostile_tars_leave_nothing_behind(
    folder: Folder, why: str, members: list[tuple[tarfile.TarInfo, bytes]], says: str
) -> None:
    """What is refused is named, and neither it nor what came before it stays."""
    archive = tar(folder.partial / "m.tar.gz", *members)

    with pytest.raises(Refused, match=says):
        into_place(folder, archive)
    assert list(folder.root.iterdir()) == [], why
    assert not (folder.root.parent / "evil").exists()


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (("../evil", b"x", 0o100644), "leads out"),
        (("link", b"/etc/passwd", 0o120777), "link or a device"),
        (("bomb", b"\0" * 20_000, 0o100644), "model-download-limit"),
    ],
)
def test_hostile_zips_leave_nothing_behind(folder: Folder, entry: tuple[str, bytes, int], says: str) -> None:
    """The same of a zip."""
    with pytest.raises(Refused, match=says):
        into_place(folder, packed_zip(folder.partial / "m.zip", entry))
    assert list(folder.root.iterdir()) == []


def test_a_broken_archive_is_refused(folder: Folder) -> None:
    """Bytes that are no archive are no model."""
    (folder.partial / "m.tar").write_bytes(b"no archive")

    with pytest.raises(Refused, match="cannot be read"):
        into_place(folder, folder.partial / "m.tar")


def test_a_zip_whose_names_are_no_text_is_refused(folder: Folder) -> None:
    """A name that says it is UTF-8, and is not."""
    archive = packed_zip(folder.partial / "m.zip", ("é", b"x", 0))
    archive.write_bytes(archive.read_bytes().replace("é".encode(), b"\xff\xff"))

    with pytest.raises(Refused, match="cannot be read"):
        into_place(folder, archive)
