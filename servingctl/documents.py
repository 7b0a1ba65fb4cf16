"""Manifests from text: YAML or JSON, any number of documents, with the line that each field stands in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from servingctl.paths import Path


class UnreadableError(Exception):
    """A text is no YAML; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a text."""

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
    """Read all documents that are not empty. Raises `UnreadableError`."""
    try:
        loader = yaml.SafeLoader(text)
        found = []
        while loader.check_node():
            node = loader.get_node()
            if node is None or node.tag == "tag:yaml.org,2002:null":
                continue
            doubles = tuple(_duplicates(node, ()))
            found.append(Document(source, loader.construct_document(node), node, doubles))
    except yaml.MarkedYAMLError as error:
        where = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UnreadableError(
            f"{source}{where}: {error.problem or error}: not YAML; correct the indentation or quotes there"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise UnreadableError(f"{source}: not YAML: {error}") from None
    return found


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
