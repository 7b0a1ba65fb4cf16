"""Manifests from text: YAML or JSON, any number of documents, with the line that each field stands in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from servingctl.paths import Path


class UnreadableError(Exception):
    """A text is no YAML; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a text, or one object of a List in it."""

    source: str
    """Name of the file, or `-`."""
    value: Any
    node: yaml.Node
    duplicates: tuple[tuple[Path, int], ...]
    """Keys that a map has twice, with the line of the second one."""

    def line(self, path: Path) -> int:
        """Return the line, from 1, of what is at a path, or of the nearest thing above that is there."""
        node, line = self.node, self.node.start_mark.line + 1
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            at, node = found
            line = at + 1
        return line


def documents(text: str, source: str) -> list[Document]:
    """Read all documents that are not empty, of a List its objects. Raises `UnreadableError`."""
    try:
        loader = yaml.SafeLoader(text)
        found: list[Document] = []
        while loader.check_node():
            node = loader.get_node()
            if node is None or node.tag == "tag:yaml.org,2002:null":
                continue
            doubles = tuple(_duplicates(node, ()))
            found += _unpacked(Document(source, loader.construct_document(node), node, doubles))
    except yaml.MarkedYAMLError as error:
        where = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UnreadableError(
            f"{source}{where}: {error.problem or error}: not YAML; correct the indentation or quotes there"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise UnreadableError(f"{source}: not YAML: {error}") from None
    return found


def _unpacked(document: Document) -> Iterator[Document]:
    value, doubles = document.value, document.duplicates
    is_list = (
        isinstance(value, dict)
        and str(value.get("kind", "")).endswith("List")
        and isinstance(value.get("items"), list)
    )
    # Where a key of the List itself is there twice, it is not known which items are meant.
    if not is_list or any(len(path) == 1 or path[0] != "items" for path, _ in doubles):
        yield document
        return
    # The last: what a merge brings stands before a document's own keys.
    nodes = {key.value: child for key, child in document.node.value}["items"].value
    for index, (item, node) in enumerate(zip(value["items"], nodes, strict=True)):
        own = tuple((path[2:], line) for path, line in doubles if path[1] == index)
        if item is not None:
            yield from _unpacked(Document(document.source, item, node, own))


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line, node.value[part]
    return None


def _duplicates(node: yaml.Node, path: Path) -> list[tuple[Path, int]]:
    found: list[tuple[Path, int]] = []
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            at = (*path, str(key.value))
            if key.value in seen:
                found.append((at, key.start_mark.line + 1))
            seen.add(key.value)
            found += _duplicates(value, at)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found += _duplicates(value, (*path, index))
    return found
