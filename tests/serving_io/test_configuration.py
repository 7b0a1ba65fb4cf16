"""The administrator's configuration file, and the folder that a ConfigMap is mounted as."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving_api.configuration import Configuration
from serving_io.configuration import read


def test_a_missing_config_map_is_all_defaults(tmp_path: Path) -> None:
    """No file asked for, or the empty folder that stands for an optional ConfigMap: nothing is configured."""
    assert read(None) == read(tmp_path / "config.yaml") == Configuration()


def test_a_file_is_read(tmp_path: Path) -> None:
    """What stands in the file arrives."""
    path = tmp_path / "config.yaml"
    path.write_text("namespaces: [a]\nprometheus: {url: http://p:9090}\n")

    assert read(path).namespaces == ["a"]
    assert read(path).prometheus.url == "http://p:9090"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("prometheusUrl", "http://p", "rename the key to config.yaml"),
        ("config.yaml", "a: [", "config.yaml: while parsing"),
        ("config.yaml", "workers: 3", "config.yaml: workers: there is no such key"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    """A ConfigMap with other keys, a file that is no YAML, and one with unknown keys are refused."""
    (tmp_path / name).write_text(text)

    with pytest.raises(ValueError, match=message):
        read(tmp_path / "config.yaml")


def test_a_path_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    """A folder that is not there is no missing ConfigMap but a mistyped path."""
    with pytest.raises(ValueError, match="there is no such file"):
        read(tmp_path / "nowhere" / "config.yaml")
