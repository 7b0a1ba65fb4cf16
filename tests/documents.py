"""The YAML of the documents, as readers would copy it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "localcluster" / "README.md",
    ROOT / "loadtests" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)


class Block(NamedTuple):
    """A fenced block: where it is, and what it holds."""

    document: str
    line: int
    text: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Its documents."""
        return [entry for entry in yaml.safe_load_all(self.text) if entry]

    @property
    def is_configuration(self) -> bool:
        """Whether it is the administrator's configuration, of which the API server knows nothing."""
        return self.text.startswith("# config.yaml\n")

    @property
    def keys(self) -> frozenset[str]:
        """The keys of its one document, or of the first."""
        return frozenset(self.objects[0])

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def yaml_blocks() -> list[Block]:
    """Every fenced block of YAML, in the order of the documents."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text()
        for match in re.finditer(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(str(path.relative_to(ROOT)), line, match[1]))
    return found
