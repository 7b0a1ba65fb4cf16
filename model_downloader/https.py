"""One file by https, or an archive that is unpacked: redirects to https only, resumed by byte ranges."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx

from model_downloader import archive
from model_downloader.credentials import Credentials
from model_downloader.folder import CHUNK_BYTES, Folder, file_digest, unfinished_bytes
from model_downloader.outcome import Failed, NotFound, Refused
from model_downloader.source import Source

MOST_REDIRECTS = 5
TIMEOUT_SECONDS = 60.0


def fetch(source: Source, folder: Folder, credentials: Credentials) -> str:
    """Fetch into the folder; returns the SHA-256 of the file. Raises Failed, NotFound or Refused."""
    url = f"https://{source.host}/{source.path}"
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    path = folder.place(name)
    context = ssl.create_default_context()
    if ca_file := credentials.ca_file():
        context.load_verify_locations(ca_file)
    with httpx.Client(verify=context, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        at = unfinished_bytes(path)
        with _response(client, url, at, credentials.get("HTTPS_TOKEN")) as response:
            at = at if response.status_code == httpx.codes.PARTIAL_CONTENT else 0
            length = response.headers.get("Content-Length", "")
            total = at + int(length) if length.isdecimal() else None
            folder.check_bytes(total or 0)
            chunks = response.iter_raw(CHUNK_BYTES)
            folder.write(path, chunks, at=at, before=0, total=total)
    found = file_digest(path)
    if source.pin and found != source.pin:
        folder.drop()
        raise Refused(
            f"{url} is not what was pinned: sha256={found} instead of {source.pin}. If it is what you want, write it "
            f"into storageUri: {source.pinned(found)}"
        )
    if archive.is_archive(name):
        archive.into_place(folder, path)
    return found


@contextmanager
def _response(client: httpx.Client, url: str, at: int, token: str | None) -> Iterator[httpx.Response]:
    """Ask, and follow redirects one by one; the token goes to the first host only."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={at}-"} if at else {})
    asked = httpx.URL(url)
    first = asked.netloc
    try:
        for _ in range(MOST_REDIRECTS):
            if asked.scheme != "https":
                raise Refused(f"{url} redirects to {asked.scheme}://{asked.host}, which is not https.")
            own = {"Authorization": f"Bearer {token}"} if token and asked.netloc == first else {}
            with client.stream("GET", asked, headers=headers | own) as response:
                if response.is_redirect:
                    asked = asked.join(response.headers["Location"])
                elif response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                    del headers["Range"]
                elif response.status_code in (401, 403, 404, 410):
                    raise NotFound(
                        f"{url} answers {response.status_code}: there is no such file, or no right to it."
                    )
                elif response.status_code not in (200, 206):
                    raise Failed(f"{url} answers {response.status_code}.")
                else:
                    yield response
                    return
    except httpx.HTTPError as error:
        raise Failed(f"{url}: {error or type(error).__name__}") from error
    raise Refused(f"{url} redirects more than {MOST_REDIRECTS} times.")
