"""The default storage class: a directory of the run directory for each PersistentVolumeClaim."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

from localcluster.api import Api, ApiError
from localcluster.objects import Object

log = logging.getLogger(__name__)
CLASS = "local-path"
PROVISIONER = "serving-operator.dev/local-path"
_VOLUMES = "/api/v1/persistentvolumes"
_BY = "pv.kubernetes.io/provisioned-by"


def storage_class() -> Object:
    """The class that claims get which name none."""
    return {
        "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


def volume(claim: Object, directory: Path) -> Object:
    """The volume that a claim gets: all the space that it asks for, in this directory."""
    metadata, spec = claim["metadata"], claim["spec"]
    reference = {key: metadata[key] for key in ("name", "namespace", "uid")}
    return {
        "metadata": {"name": f"pvc-{metadata['uid']}", "annotations": {_BY: PROVISIONER}},
        "spec": {
            "storageClassName": CLASS,
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "hostPath": {"path": str(directory), "type": "DirectoryOrCreate"},
        },
    }


def pending(claim: Object) -> bool:
    """Whether a claim waits for this provisioner."""
    spec = claim["spec"]
    return spec.get("storageClassName") == CLASS and not spec.get("volumeName")


async def run(api: Api, directory: Path) -> None:
    """Provide volumes for claims, and remove those whose claims are gone, until cancelled."""
    while True:
        try:
            await api.create_if_absent("/apis/storage.k8s.io/v1/storageclasses", storage_class())
            break
        except ApiError as error:
            log.warning("storage class not created, trying again: %s", error)
            await asyncio.sleep(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(_provide(api, directory))
        group.create_task(_reclaim(api, directory))


async def _provide(api: Api, directory: Path) -> None:
    async for exists, claim in api.follow("/api/v1/persistentvolumeclaims"):
        if not exists or not pending(claim):
            continue
        path = directory / f"pvc-{claim['metadata']['uid']}"
        path.mkdir(parents=True, exist_ok=True)
        try:
            await api.create_if_absent(_VOLUMES, volume(claim, path))
        except ApiError as error:
            log.error("no volume for claim %s: %s", claim["metadata"]["name"], error)


async def _reclaim(api: Api, directory: Path) -> None:
    async for exists, item in api.follow(_VOLUMES):
        name = item["metadata"]["name"]
        if (item["metadata"].get("annotations") or {}).get(_BY) != PROVISIONER:
            continue
        if exists and item.get("status", {}).get("phase") == "Released":
            await asyncio.to_thread(shutil.rmtree, directory / name, True)
            try:
                await api.call_unless({404}, "DELETE", f"{_VOLUMES}/{name}")
            except ApiError as error:
                log.warning("volume %s not removed: %s", name, error)
