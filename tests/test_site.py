"""Where links of the documents lead on the site."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPECIFICATION = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "site" / "hooks.py")
assert SPECIFICATION is not None
assert SPECIFICATION.loader is not None
hooks = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(hooks)

REPOSITORY = "https://example.com/it/"


@pytest.mark.parametrize(
    ("origin", "page", "link", "leads_to"),
    [
        ("docs/gpu.md", "gpu.md", "judge.md", "judge.md"),  # from page to page
        ("docs/runbooks/A.md", "runbooks/A.md", "../gpu.md", "../gpu.md"),  # out of a folder
        ("README.md", "index.md", "docs/gpu.md", "gpu.md"),  # the repository's front page is the site's
        ("docs/gpu.md", "gpu.md", "../README.md", "index.md"),  # and back
        ("docs/gpu.md", "gpu.md", "../loadtests/README.md", "load-tests.md"),  # a page from elsewhere
        ("docs/gpu.md", "gpu.md", "../crds", "https://example.com/it/tree/main/crds"),  # a folder that is no page
        ("loadtests/README.md", "load-tests.md", "matrix.toml", "https://example.com/it/blob/main/loadtests/matrix.toml"),
        ("README.md", "index.md", "docs/decisions", "https://example.com/it/tree/main/docs/decisions"),
    ],
)  # fmt: skip
def test_links_lead_to_pages_or_to_the_repository(origin: str, page: str, link: str, leads_to: str) -> None:
    """A link that works on the repository's page works on the site."""
    assert hooks.moved(origin, page, link, REPOSITORY) == leads_to


def test_a_link_to_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """It is a warning, which ends the build."""
    hooks.moved("README.md", "index.md", "docs/nothing.txt", REPOSITORY)

    assert "docs/nothing.txt" in caplog.text


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("A rollout", "a-rollout"), ("`.venv/bin/python -m loadtests.demo`", "venvbinpython--m-loadtestsdemo")],
)
def test_anchors_are_those_of_the_repository(heading: str, anchor: str) -> None:
    """One link with an anchor serves both."""
    assert hooks.anchor(heading, "-") == anchor
