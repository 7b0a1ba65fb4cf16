"""How a pod comes by its model: a folder of a claim, an image as a volume, or a download by an init container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]

MODEL_PATH = "/mnt/models"
STORE_PATH = "/mnt/store"
CREDENTIALS_PATH = "/mnt/credentials"
DOWNLOADED = "model"
"""Folder of the volume in which the downloader lets the whole model appear."""
CONTAINER = "model-download"
VOLUME = "model"
CREDENTIALS_VOLUME = "model-credentials"
CLAIM_SCHEME = "pvc://"
IMAGE_SCHEME = "oci://"
DOWNLOADED_SCHEMES = ("s3://", "https://", "hf://")
RESOURCES = {
    "requests": {"cpu": "100m", "memory": "256Mi"},
    "limits": {"cpu": "2", "memory": "1Gi"},
}
"""Of the init container. What is downloaded passes through in pieces, so that its size takes no memory."""


@dataclass(frozen=True, slots=True)
class Downloads:
    """What the administrator says of downloads: the image, networks that are not public and yet allowed, the limit."""

    image: str = "ghcr.io/serving-operator/model-downloader:0.1.0"
    networks: tuple[str, ...] = ()
    limit_megabytes: int = 500_000


@dataclass(frozen=True, slots=True)
class StoredModel:
    """Where a model lies, and the Secret that opens it. Raises ValueError for a scheme that nothing fetches."""

    uri: str
    secret: str | None = None

    def __post_init__(self) -> None:
        known = (CLAIM_SCHEME, IMAGE_SCHEME, *DOWNLOADED_SCHEMES)
        if not self.uri.startswith(known):
            raise ValueError(f"storageUri {self.uri!r}: expected one of {', '.join(known)}")

    @property
    def is_downloaded(self) -> bool:
        """Whether an init container fetches it."""
        return self.uri.startswith(DOWNLOADED_SCHEMES)

    @property
    def _claim(self) -> tuple[str, str]:
        claim, _, folder = self.uri.removeprefix(CLAIM_SCHEME).partition("/")
        return claim, folder.strip("/")

    def volumes(self) -> list[Manifest]:
        """Volumes of the pod."""
        if self.uri.startswith(CLAIM_SCHEME):
            return [{"name": VOLUME, "persistentVolumeClaim": {"claimName": self._claim[0]}}]
        if self.uri.startswith(IMAGE_SCHEME):
            reference = self.uri.removeprefix(IMAGE_SCHEME)
            return [{"name": VOLUME, "image": {"reference": reference, "pullPolicy": "IfNotPresent"}}]
        made: list[Manifest] = [{"name": VOLUME, "emptyDir": {}}]
        if self.secret:
            made.append({"name": CREDENTIALS_VOLUME, "secret": {"secretName": self.secret}})
        return made

    def mount(self) -> Manifest:
        """The model container's mount: what it serves it cannot change."""
        made: Manifest = {"name": VOLUME, "mountPath": MODEL_PATH, "readOnly": True}
        folder = self._claim[1] if self.uri.startswith(CLAIM_SCHEME) else ""
        if self.is_downloaded:
            folder = DOWNLOADED
        return made | ({"subPath": folder} if folder else {})

    def init_containers(
        self, downloads: Downloads, mounts: list[Manifest], security: Manifest
    ) -> list[Manifest]:
        """The container that fetches the model before the server starts; `mounts` are those of every container."""
        if not self.is_downloaded:
            return []
        args = [
            self.uri.replace("$", "$$"),  # the kubelet expands $(NAME) in arguments
            f"--to={STORE_PATH}",
            f"--limit-megabytes={downloads.limit_megabytes}",
            "--message=/dev/termination-log",
            *(f"--allow={network}" for network in downloads.networks),
        ]
        own: list[Manifest] = [{"name": VOLUME, "mountPath": STORE_PATH}]
        if self.secret:
            args.append(f"--credentials={CREDENTIALS_PATH}")
            own.append({"name": CREDENTIALS_VOLUME, "mountPath": CREDENTIALS_PATH, "readOnly": True})
        return [
            {
                "name": CONTAINER,
                "image": downloads.image,
                "args": args,
                "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108  (the pod's own emptyDir)
                "resources": RESOURCES,
                "securityContext": security,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [*mounts, *own],
            }
        ]
