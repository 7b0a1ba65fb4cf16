"""Official release files over HTTP, kept only if their published SHA-256 fits."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from localcluster.versions import ETCD, KUBERNETES, PROMETHEUS, architecture

KUBERNETES_URL = "https://dl.k8s.io/release"
ETCD_URL = "https://github.com/etcd-io/etcd/releases/download"
PROMETHEUS_URL = "https://github.com/prometheus/prometheus/releases/download"
_TIMEOUT_SECONDS = 5.0
_CHUNK_BYTES = 1 << 20


class DownloadError(Exception):
    """A release file could not be had."""


class ChecksumError(DownloadError):
    """A file is not the one that was published; it was deleted."""


def _read(url: str, timeout_seconds: float, sink: Callable[[bytes], object]) -> None:
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as response:
            expected = response.headers.get("Content-Length")
            received = 0
            while chunk := response.read(_CHUNK_BYTES):
                received += len(chunk)
                sink(chunk)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url}: {error}") from error
    if expected is not None and received != int(expected):
        raise DownloadError(f"{url}: the connection ended after {received} of {expected} bytes")


def _text(url: str, timeout_seconds: float) -> str:
    parts: list[bytes] = []
    _read(url, timeout_seconds, parts.append)
    return b"".join(parts).decode("utf-8", "replace")


def fetch(url: str, target: Path, sha256: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
    """Download `url` to `target`, which appears whole and verified or not at all.

    Raises DownloadError (unreachable, refused, cut off) and ChecksumError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    digest = hashlib.sha256()
    try:
        with partial.open("wb") as file:

            def keep(chunk: bytes) -> None:
                digest.update(chunk)
                file.write(chunk)

            _read(url, timeout_seconds, keep)
        if digest.hexdigest() != sha256:
            raise ChecksumError(f"{url} has SHA-256 {digest.hexdigest()}, published is {sha256}")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _published(listing: str, name: str, url: str) -> str:
    """The SHA-256 of `name` in a checksum file: a bare digest, or lines of digest and name."""
    for line in listing.splitlines():
        words = line.split()
        if words and len(words[0]) == 64 and (len(words) == 1 or words[1].lstrip("*") == name):
            return words[0].lower()
    raise ChecksumError(f"{url} names no SHA-256 for {name}")


@dataclass(frozen=True)
class Release:
    """Where a program is published: its file or archive, the list of digests, and its place in the archive."""

    url: str
    digests_url: str
    member: str | None = None


def release(name: str, base_url: str | None = None) -> Release:
    """The official release of a program; `base_url` replaces the publisher's (a mirror, a test)."""
    machine = f"linux-{architecture()}"
    if name == "etcd":
        stem, folder = f"etcd-{ETCD}-{machine}", f"{base_url or ETCD_URL}/{ETCD}"
        return Release(f"{folder}/{stem}.tar.gz", f"{folder}/SHA256SUMS", f"{stem}/etcd")
    if name in ("prometheus", "promtool"):
        stem = f"prometheus-{PROMETHEUS.removeprefix('v')}.{machine}"
        folder = f"{base_url or PROMETHEUS_URL}/{PROMETHEUS}"
        return Release(f"{folder}/{stem}.tar.gz", f"{folder}/sha256sums.txt", f"{stem}/{name}")
    url = f"{base_url or KUBERNETES_URL}/{KUBERNETES}/bin/{machine.replace('-', '/')}/{name}"
    return Release(url, f"{url}.sha256")


def program(
    directory: Path, name: str, base_url: str | None = None, timeout_seconds: float = _TIMEOUT_SECONDS
) -> None:
    """Download the release of `name` into `directory`, where it appears whole and verified or not at all."""
    source = release(name, base_url)
    file_name = source.url.rsplit("/", 1)[1]
    digest = _published(_text(source.digests_url, timeout_seconds), file_name, source.digests_url)
    verified = directory / f".{file_name}.verified"
    try:
        fetch(source.url, verified, digest, timeout_seconds)
        if source.member is not None:
            _unpack(verified, source.member)
        verified.chmod(0o755)
        os.replace(verified, directory / name)
    finally:
        verified.unlink(missing_ok=True)


def _unpack(archive: Path, member: str) -> None:
    """Replace the archive by one file out of it."""
    unpacked = archive.with_name(f"{archive.name}.file")
    try:
        with tarfile.open(archive) as content:
            source: IO[bytes] | None = content.extractfile(member)
            if source is None:
                raise DownloadError(f"{archive.name}: {member} is no file")
            with unpacked.open("wb") as file:
                shutil.copyfileobj(source, file)
        os.replace(unpacked, archive)
    except (KeyError, tarfile.TarError) as error:
        raise DownloadError(f"{archive.name} holds no file {member}: {error}") from error
    finally:
        unpacked.unlink(missing_ok=True)
