"""Label names: queries are written with ours, and asked with those that a Prometheus has."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")|([A-Za-z_:][\w:]*)')


def renamed(promql: str, names: Mapping[str, str]) -> str:
    """Return a query that says of the labels `names` has as keys what it said, under the names that are its values.

    They are renamed wherever they are labels: as words, and as the arguments of functions such as label_replace; what a
    matcher compares with is a value and stays.
    """
    if not names:
        return promql

    def token(match: re.Match[str]) -> str:
        literal, word = match.groups()
        if word is not None:
            return names.get(word, word)
        before = promql[: match.start()].rstrip()[-1:]
        inner = literal[1:-1]
        return f'"{names[inner]}"' if inner in names and before not in ("=", "~") else literal

    return _TOKEN.sub(token, promql)


def ours(labels: Mapping[str, str], names: Mapping[str, str]) -> Mapping[str, str]:
    """Return a series' labels under our names; what has one of our names there and is none of it is left out."""
    if not names:
        return labels
    theirs = {label: name for name, label in names.items()}
    return {theirs.get(label, label): value for label, value in labels.items() if label not in names}
