"""Files that others read while they are written."""

from pathlib import Path

from localcluster.files import replace_file


def test_files_are_replaced_whole_and_only_when_they_differ(tmp_path: Path) -> None:
    """Another file takes the name, and equal content leaves the file that is there."""
    path = tmp_path / "folder" / "x"
    assert replace_file(path, "1")
    first = path.stat().st_ino
    assert not replace_file(path, "1")
    assert path.stat().st_ino == first
    assert replace_file(path, b"2", 0o600)
    assert path.read_text() == "2"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["x"]
