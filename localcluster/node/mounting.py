"""A pod's volumes: made before its first container, and kept up to date while it runs."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

from localcluster.api import ApiError
from localcluster.objects import Object

from . import volumes
from .environment import ConfigError, Lookup, Reference
from .host import Host

log = logging.getLogger(__name__)
REFRESH_SECONDS = 60
"""How often volumes written from objects are brought up to date, as a kubelet does."""
_RETRY_SECONDS = 2.0
_TOKEN_SECONDS = 3607


class Mounting:
    """The directories of one pod's volumes, by the volumes' names."""

    def __init__(self, host: Host, pod: Callable[[], Object]) -> None:
        self._host, self._pod = host, pod
        self.directories: dict[str, Path] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        metadata = pod()["metadata"]
        self._namespace, self._uid = metadata["namespace"], metadata["uid"]
        self._prefix = f"/api/v1/namespaces/{self._namespace}"

    async def look_up(self, wanted: set[Reference]) -> Lookup:
        """The named ConfigMaps and Secrets of the pod's namespace."""
        get = self._host.api.get_or_none
        return {(kind, name): await get(f"{self._prefix}/{kind}/{name}") for kind, name in sorted(wanted)}

    async def make(self, refused: Callable[[str], None]) -> None:
        """Make every volume; tells each refusal and tries again until what is needed exists."""
        while True:
            try:
                for volume in self._pod()["spec"].get("volumes") or []:
                    claims = await self._claim(volume)
                    own = self._host.own_dir(self._uid)
                    self.directories[volume["name"]] = volumes.directory(volume, own, claims)
                await self._write()
                return
            except (ConfigError, ApiError) as error:
                refused(str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def refresh(self) -> None:
        """Bring written volumes up to date until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self._write()
            except (ConfigError, ApiError) as error:
                log.warning("volumes of pod %s not brought up to date: %s", self._uid, error)

    async def _claim(self, volume: Object) -> dict[str, str]:
        if "persistentVolumeClaim" not in volume:
            return {}
        name = volume["persistentVolumeClaim"]["claimName"]
        claim = await self._host.api.get_or_none(f"{self._prefix}/persistentvolumeclaims/{name}")
        if not claim or claim.get("status", {}).get("phase") != "Bound":
            raise ConfigError(f'persistentvolumeclaim "{name}" is {"not bound" if claim else "not found"}')
        bound = await self._host.api.call("GET", f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
        if "hostPath" not in bound["spec"]:
            raise ConfigError(f"persistentvolume {bound['metadata']['name']}: only hostPath is supported")
        return {name: bound["spec"]["hostPath"]["path"]}

    async def _write(self) -> None:
        for volume in self._pod()["spec"].get("volumes") or []:
            if not (sources := volumes.sources(volume)):
                continue
            found = await self.look_up(volumes.references(volume))
            wanted = [source for kind, source in sources if kind == "serviceAccountToken"]
            tokens = {s.get("audience", ""): await self._token(s) for s in wanted}
            files = volumes.files(volume, self._pod(), found, tokens, self._host.allocatable)
            directory = self.directories[volume["name"]]
            if wanted:
                token_file = directory / wanted[0]["path"]
                config = volumes.kubeconfig(self._host.api.cluster, self._namespace, token_file)
                files[volumes.KUBECONFIG] = (json.dumps(config).encode(), 0o600)
            volumes.write(directory, files)

    async def _token(self, source: Object) -> str:
        """A service account token, renewed when a fifth of its life is left."""
        audience = source.get("audience", "")
        token, renew_at = self._tokens.get(audience, ("", 0.0))
        if time.monotonic() < renew_at:
            return token
        lifetime = int(source.get("expirationSeconds") or _TOKEN_SECONDS)
        pod = self._pod()
        account = pod["spec"].get("serviceAccountName") or "default"
        about = {"kind": "Pod", "apiVersion": "v1", "name": pod["metadata"]["name"], "uid": self._uid}
        spec: Object = {"expirationSeconds": lifetime, "boundObjectRef": about}
        spec |= {"audiences": [audience]} if audience else {}
        path = f"{self._prefix}/serviceaccounts/{account}/token"
        token = str((await self._host.api.call("POST", path, {"spec": spec}))["status"]["token"])
        self._tokens[audience] = (token, time.monotonic() + 0.8 * lifetime)
        return token
