"""HTTP headers as they are configured. What cannot be sent is named and never shown: it may be a credential."""

from __future__ import annotations

import re

_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"([!-~\xa0-\xff][\t -~\xa0-\xff]*)?")


class UnusableHeader(ValueError):  # noqa: N818  (named as the errors of serving_io are)
    """A header that cannot be sent: a sentence with the remedy, without the value."""


def check_value(what: str, value: str) -> None:
    """Raises `UnusableHeader` about `what` if no header may have the value."""
    if not _VALUE.fullmatch(value):
        raise UnusableHeader(
            f"{what} begins with a blank, or holds a line break or a character that no HTTP header may hold; "
            "write it again without"
        )


def sendable(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers. Raises `UnusableHeader` if one cannot be sent."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise UnusableHeader(
                "the name of a header must be letters, digits and hyphens, such as X-Scope-OrgID"
            )
        check_value(f"header {name}", value)
    return headers


def header(text: str) -> tuple[str, str]:
    """Read NAME=VALUE. Raises `UnusableHeader`."""
    name, equals, value = text.partition("=")
    # What is no name is not shown, either: `Authorization: Bearer abc=` has its sign in the value.
    if not equals or not _NAME.fullmatch(name):
        raise UnusableHeader("must be NAME=VALUE, such as X-Scope-OrgID=team")
    check_value(f"header {name}", value)
    return name, value
