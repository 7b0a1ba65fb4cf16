"""One commit of a model on the Hugging Face Hub."""

from __future__ import annotations

import os
import shutil

from model_downloader.credentials import Credentials
from model_downloader.folder import Folder
from model_downloader.outcome import Failed, NotFound
from model_downloader.source import Source

# Read at the import: hf-xet opens its own sockets, which no guard hears of.
os.environ |= {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
}

import httpx
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

DEFAULT_ENDPOINT = "https://huggingface.co"


def fetch(source: Source, folder: Folder, credentials: Credentials) -> str:
    """Fetch into the folder; returns the commit. Raises Failed, NotFound or Refused."""
    repository = f"{source.host}/{source.path}"
    endpoint = credentials.get("HF_ENDPOINT") or DEFAULT_ENDPOINT
    token = credentials.get("HF_TOKEN") or False
    try:
        found = HfApi(endpoint=endpoint, token=token).model_info(
            repository, revision=source.pin or None, files_metadata=True
        )
        commit = source.pin or str(found.sha)
        sizes = {entry.rfilename: int(entry.size or 0) for entry in found.siblings or ()}
        total, done = folder.check(sizes.values()), 0
        for name in sorted(sizes):
            folder.place(name)
            hf_hub_download(
                repository, name, revision=commit, local_dir=folder.partial, endpoint=endpoint, token=token
            )
            done += sizes[name]
            folder.progress(done, total)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise NotFound(
            f"hf://{repository}:{source.pin}: there is no such model or commit, or no right to it (key HF_TOKEN)."
        ) from error
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        raise Failed(f"hf://{repository}: {error}") from error
    _forget_bookkeeping(folder)
    return commit


def _forget_bookkeeping(folder: Folder) -> None:
    """The library resumes by files of its own in .cache; they are no part of the model."""
    shutil.rmtree(folder.partial / ".cache" / "huggingface", ignore_errors=True)
