"""Services that are created and changed at a rate, whatever became of the ones before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator

from loadtests.scale import phantom
from localcluster.api import MERGE, Api, ApiError
from localcluster.objects import Object
from serving_api.names import API_VERSION, SERVICE_KIND
from serving_io import kinds

Work = Callable[[], Awaitable[object]]
MAX_REPLICAS = (4, 5)
"""What a change alternates between: it shapes no pod, and takes one write of the InferenceAutoscaler."""
_AGAIN_SECONDS = 1.0
_ANSWERED = (404, 409)
"""Gone, or done already by a request whose answer was lost."""


async def at_rate(rate_per_second: float, works: Iterable[Work]) -> None:
    """Begin so many works a second, each when it is due, and wait for all of them."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for number, work in enumerate(works):
            await asyncio.sleep(max(0.0, began + number / rate_per_second - loop.time()))
            group.create_task(insist(work))


async def insist(work: Work) -> None:
    """Ask until the API server answers; raises ApiError where it refuses."""
    while True:
        try:
            await work()
        except ApiError as error:
            if error.code in _ANSWERED:
                return
            if 0 < error.code < 500 and error.code != 429:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return


def name_of(namespace: str, number: int) -> str:
    """Return the name of the service of this number; all names are of one length."""
    return f"{namespace}-{number:05d}"


def service(namespace: str, number: int) -> Object:
    """Return a service of class Auto with a route."""
    name = name_of(namespace, number)
    return {
        "apiVersion": API_VERSION,
        "kind": SERVICE_KIND,
        "metadata": {"name": name},
        "spec": {
            "predictor": {
                "container": {
                    "image": "docker.io/library/python:3.11-slim",
                    "resources": {
                        "requests": {"cpu": "20m", "memory": "32Mi"},
                        "limits": {"memory": "128Mi"},
                    },
                },
                "minReplicas": 1,
                "maxReplicas": MAX_REPLICAS[0],
            },
            "objective": {"thresholdMilliseconds": 300},
            "route": {
                "parentRefs": [{"name": phantom.NAME, "namespace": "default"}],
                "hostnames": [f"{name}.example.com"],
            },
        },
    }


def creations(api: Api, namespace: str, count: int) -> Iterator[Work]:
    """Return the creations of so many services."""
    path = kinds.INFERENCE_SERVICE.path(namespace)
    for number in range(count):
        manifest = service(namespace, number)
        yield lambda manifest=manifest: api.call("POST", path, manifest)  # type: ignore[misc]


def changes(api: Api, namespace: str, services: int, count: int) -> Iterator[Work]:
    """Return so many changes of a namespace's services by turns; each says something else than the one before."""
    for number in range(count):
        path = kinds.INFERENCE_SERVICE.path(namespace, name_of(namespace, number % services))
        most = MAX_REPLICAS[(1 + number // services) % 2]
        spec = {"spec": {"predictor": {"maxReplicas": most}}}
        yield lambda path=path, spec=spec: api.call("PATCH", path, spec, MERGE)  # type: ignore[misc]
