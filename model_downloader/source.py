"""Where a model is, from its URI; what makes every download of it the same is part of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from model_downloader.outcome import Refused

FORMS = {
    "s3": "s3://BUCKET/FOLDER#sha256=DIGEST",
    "https": "https://HOST/PATH#sha256=DIGEST",
    "hf": "hf://ORGANISATION/MODEL:COMMIT",
}
_PATTERNS = {
    "s3": re.compile(r"s3://(?P<host>[a-z0-9][-.a-z0-9]{1,61}[a-z0-9])/(?P<path>[^#]+)(?:#sha256=(?P<pin>[0-9a-f]{64}))?"),
    "https": re.compile(r"https://(?P<host>[^/@#?]+)/(?P<path>[^#]+)(?:#sha256=(?P<pin>[0-9a-f]{64}))?"),
    "hf": re.compile(r"hf://(?P<host>[-\w.]+)/(?P<path>[-\w.]+)(?::(?P<pin>[0-9a-f]{40}))?"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed URI. `pin` is the SHA-256 of the content, or for `hf` the commit, in hex; empty if it states none."""

    scheme: Literal["s3", "https", "hf"]
    host: str
    """Bucket, host with port, or organisation."""
    path: str
    pin: str = ""

    @classmethod
    def parse(cls, uri: str) -> Source:
        """Read a URI. Raises Refused with the forms that are understood."""
        scheme = uri.partition("://")[0]
        pattern = _PATTERNS.get(scheme)
        if pattern is None:
            raise Refused(f"{uri!r} cannot be downloaded: write {', '.join(FORMS.values())}.")
        found = pattern.fullmatch(uri)
        if found is None or not uri.isascii() or not uri.isprintable():
            raise Refused(f"{uri!r} cannot be read: write {FORMS[scheme]}.")
        return cls(scheme, found["host"], found["path"].strip("/"), found["pin"] or "")  # type: ignore[arg-type]

    def pinned(self, pin: str) -> str:
        """The URI with another pin."""
        mark = ":" if self.scheme == "hf" else "#sha256="
        return f"{self.scheme}://{self.host}/{self.path}{mark}{pin}"
