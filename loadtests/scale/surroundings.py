"""Answers the API server in the place of node agents, gateway and autoscaler, at once and with as few requests as may be."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from loadtests.scale import phantom
from loadtests.scale.answering import Answering
from loadtests.scale.offering import insist
from localcluster.api import MERGE, Api, now
from localcluster.objects import Object
from serving_api.names import AUTOSCALER, MANAGED_BY_LABEL, OPERATOR, SYSTEM_NAMESPACE
from serving_io import kinds

HEARTBEAT_SECONDS = 10.0
PODS = 100_000
_APPLY = "application/apply-patch+yaml"


class Surroundings:
    """A node for all pods, a gateway for all routes, an autoscaler for all targets; `run` them until cancelled."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._answering = Answering(api)
        self._numbers = itertools.count()
        self._served: set[str] = set()
        """Uids of pods that are bound and ready, and of autoscalers whose target's replicas are owned."""

    async def prepare(self) -> None:
        """Create the node, and the Gateway in the namespace `default`."""
        await self._api.create_if_absent(kinds.NODE.path(), phantom.node())
        await self._beat()
        await self._api.create_if_absent(kinds.GATEWAY_CLASS.path(), phantom.GATEWAY_CLASS)
        await self._api.create_if_absent(kinds.GATEWAY.path("default"), phantom.GATEWAY)
        lease = {"metadata": {"name": AUTOSCALER}, "spec": {"holderIdentity": phantom.NAME}}
        await self._api.create_if_absent(kinds.LEASE.path(SYSTEM_NAMESPACE), lease)
        await self._renew()

    async def run(self) -> None:
        """Answer for ever."""
        ours = {"labelSelector": f"{MANAGED_BY_LABEL}={OPERATOR}"}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again(self._beat))
            group.create_task(self._again(self._renew))
            for kind, answer in (
                (kinds.POD, self._pod),
                (kinds.HTTP_ROUTE, self._route),
                (kinds.INFERENCE_AUTOSCALER, self._autoscaler),
            ):
                group.create_task(
                    self._answering.follow(group, kind.path(), ours, answer, self._served.discard)
                )

    async def _again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await insist(work)

    async def _beat(self) -> None:
        status = {"status": phantom.node_status(PODS, now())}
        await self._api.call("PATCH", kinds.NODE.path(None, phantom.NAME, "status"), status, MERGE)

    async def _renew(self) -> None:
        spec = {
            "spec": {"renewTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")}
        }
        await self._api.call("PATCH", kinds.LEASE.path(SYSTEM_NAMESPACE, AUTOSCALER), spec, MERGE)

    async def _pod(self, pod: Object) -> None:
        metadata = pod["metadata"]
        place = metadata["namespace"], metadata["name"]
        if metadata.get("deletionTimestamp"):
            await self._api.call("DELETE", kinds.POD.path(*place), {"gracePeriodSeconds": 0})
        elif metadata["uid"] not in self._served:
            target = {
                "metadata": {"name": metadata["name"]},
                "target": {"kind": "Node", "name": phantom.NAME},
            }
            await self._api.call_unless({409}, "POST", kinds.POD.path(*place, "binding"), target)
            status = {"status": phantom.ready(pod, phantom.address(next(self._numbers)), now())}
            await self._api.call("PATCH", kinds.POD.path(*place, "status"), status, MERGE)
            self._served.add(metadata["uid"])

    async def _route(self, route: Object) -> None:
        metadata, said = route["metadata"], phantom.accepted(route)
        if (route.get("status") or {}).get("parents") != said["parents"]:
            path = kinds.HTTP_ROUTE.path(metadata["namespace"], metadata["name"], "status")
            await self._api.call("PATCH", path, {"status": said}, MERGE)

    async def _autoscaler(self, autoscaler: Object) -> None:
        metadata, said = autoscaler["metadata"], phantom.reserve(autoscaler)
        if (autoscaler.get("status") or {}).get("reserve") != said:
            path = kinds.INFERENCE_AUTOSCALER.path(metadata["namespace"], metadata["name"], "status")
            await self._api.call("PATCH", path, {"status": {"reserve": said}}, MERGE)
        if metadata["uid"] not in self._served:
            await self._own_replicas(metadata["namespace"], autoscaler["spec"]["scaleTargetRef"]["name"])
            self._served.add(metadata["uid"])

    async def _own_replicas(self, namespace: str, deployment: str) -> None:
        """Apply one replica through `/scale`, as the autoscaler does: from then on the operator states none."""
        scale = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": deployment, "namespace": namespace},
            "spec": {"replicas": 1},
        }
        query = {"fieldManager": AUTOSCALER, "force": "true"}
        path = kinds.DEPLOYMENT.path(namespace, deployment, "scale")
        await self._api.call("PATCH", path, scale, _APPLY, query)
