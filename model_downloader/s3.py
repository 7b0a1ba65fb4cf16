"""The objects under a prefix of a bucket, or one object, of S3 or of what speaks like it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import s3fs
from botocore.exceptions import BotoCoreError, ClientError

from model_downloader.credentials import Credentials
from model_downloader.folder import CHUNK_BYTES, Folder, tree_digest, unfinished_bytes
from model_downloader.outcome import Failed, NotFound, Refused
from model_downloader.source import Source


def fetch(source: Source, folder: Folder, credentials: Credentials) -> str:
    """Fetch into the folder; returns the digest of the tree. Raises Failed, NotFound or Refused."""
    store = _store(credentials)
    where = f"{source.host}/{source.path}"
    try:
        found = store.find(where, detail=True)
        if not found:
            raise NotFound(f"s3://{where}: there is no object, or no right to see it.")
        sizes = {
            _name(key, where): int(entry["size"]) for key, entry in found.items() if not key.endswith("/")
        }
        keys = {_name(key, where): key for key in found}
        total, done = folder.check(sizes.values()), 0
        for name in sorted(sizes):
            done += _fetch_one(store, keys[name], sizes[name], folder, name, done, total)
    except PermissionError as error:
        raise NotFound(f"s3://{where}: the credentials do not open it: {error}") from error
    except FileNotFoundError as error:
        raise NotFound(f"s3://{where}: there is no such bucket or object.") from error
    except (OSError, BotoCoreError, ClientError) as error:
        raise Failed(f"s3://{where}: {error}") from error
    digest = tree_digest(folder.partial)
    if source.pin:
        folder.verify(source.pin, source.pinned(digest))
    return digest


def _fetch_one(
    store: Any, key: str, size_bytes: int, folder: Folder, name: str, before: int, total: int
) -> int:
    path = folder.place(name)
    if path.is_file() and path.stat().st_size == size_bytes:
        return size_bytes  # by an earlier try; the digest of the whole tells whether it is the same
    at = unfinished_bytes(path)
    at = at if at <= size_bytes else 0
    written = folder.write(path, _chunks(store, key, at), at=at, before=before, total=total)
    if written != size_bytes:
        raise Failed(f"s3://{key} ended after {written} of {size_bytes} bytes.")
    return written


def _chunks(store: Any, key: str, at: int) -> Iterator[bytes]:
    with store.open(key, "rb", block_size=16 * CHUNK_BYTES, cache_type="readahead") as file:
        file.seek(at)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _name(key: str, where: str) -> str:
    if key == where:
        return key.rpartition("/")[2]
    if not key.startswith(f"{where}/"):
        raise Refused(f"The store answers with s3://{key}, which is not under s3://{where}.")
    return key.removeprefix(f"{where}/")


def _store(credentials: Credentials) -> Any:
    key = credentials.get("AWS_ACCESS_KEY_ID")
    return s3fs.S3FileSystem(
        # Without credentials nothing is signed, rather than looking for those of the node.
        anon=key is None,
        key=key,
        secret=credentials.get("AWS_SECRET_ACCESS_KEY"),
        token=credentials.get("AWS_SESSION_TOKEN"),
        endpoint_url=credentials.get("AWS_ENDPOINT_URL"),
        client_kwargs={"region_name": credentials.get("AWS_REGION") or "us-east-1"}
        | ({"verify": credentials.ca_file()} if credentials.ca_file() else {}),
        config_kwargs={"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 4}},
        use_listings_cache=False,
        skip_instance_cache=True,
    )
