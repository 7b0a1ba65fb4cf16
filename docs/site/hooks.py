"""Hooks of MkDocs: pages of the repository outside docs/ belong to the site, and links lead to where their target is there."""

from __future__ import annotations

import logging
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "localcluster/README.md": "local-cluster.md",
    "loadtests/README.md": "load-tests.md",
}
"""Files of the repository, and the pages that they are on the site."""
log = logging.getLogger("mkdocs.hooks.site")
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of a folder into the navigation where it names the folder, and name anchors as the repository does."""

    def filled(entry: Any) -> Any:
        if isinstance(entry, dict):
            return {title: filled(inner) for title, inner in entry.items()}
        if isinstance(entry, list):
            return [filled(inner) for inner in entry]
        if entry.endswith("/"):
            return [
                str(path.relative_to(config.docs_dir))
                for path in sorted(Path(config.docs_dir, entry).glob("*.md"))
            ]
        return entry

    config.nav = filled(config.nav)
    config.mdx_configs["toc"] = {**config.mdx_configs.get("toc", {}), "slugify": anchor}
    return config


def anchor(heading: str, separator: str) -> str:
    """Return the anchor of a heading as the repository's pages have it, so that one link serves both."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside of docs/."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Make each link relative to the page, or an address of the repository where the site has no such page."""
    origin = next(
        (source for source, made in OUTSIDE.items() if made == page.file.src_uri), f"docs/{page.file.src_uri}"
    )

    def replaced(match: re.Match[str]) -> str:
        return moved(origin, page.file.src_uri, match[1], str(config.repo_url)) + (match[2] or "")

    return LINK.sub(replaced, markdown)


def moved(origin: str, page: str, link: str, repository: str) -> str:
    """Return where a link of a file of the repository leads on a page of the site."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
    inside = OUTSIDE.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else "")
    if inside.endswith(".md"):
        return os.path.relpath(inside, posixpath.dirname(page) or ".")
    if not (ROOT / target).exists():
        log.warning("%s links to %s, which the repository does not have", origin, target)
    kind = "tree" if (ROOT / target).is_dir() else "blob"
    return f"{repository.rstrip('/')}/{kind}/main/{target}"
