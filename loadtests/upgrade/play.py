"""The change itself, on the local cluster and under load."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtests.demo.setup import configuration
from loadtests.generator import LoadGenerator, Request
from loadtests.upgrade.course import Course, Seen, seen
from loadtests.upgrade.releases import Release
from localcluster import up
from localcluster.cluster import Cluster
from localcluster.progress import Progress
from serving_api.names import AUTOSCALER, OPERATOR, SERVICE_LABEL, SYSTEM_NAMESPACE

SERVICE = Path(__file__).with_name("service.json")
NAMESPACE, NAME, HOST = "upgrade", "steady", "steady.upgrade.localhost"
RATE_PER_SECOND = 10.0
HALF = 50
PATIENCE_SECONDS = 300.0
SETTLED_SECONDS = 30.0
"""For which the new programs work before it is asked what they have changed: several looks at everything."""
Manifest = dict[str, Any]


class StuckError(Exception):
    """Something did not happen in time; the message says what."""


class Play:
    """One cluster with the service under load."""

    def __init__(self, cluster: Cluster, progress: Progress) -> None:
        self._cluster, self._progress = cluster, progress
        self._version = 1

    async def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as administrator. Raises StartError with its complaint."""
        return await asyncio.to_thread(up.kubectl, self._cluster, *arguments, stdin=stdin)

    async def begin(self, release: Release) -> None:
        """Install a release, and the service with its first revision."""
        self._progress.say(f"installing {release.name}, and a service")
        await self.kubectl("create", "namespace", NAMESPACE)
        config = f"--from-literal=config.yaml={configuration(self._cluster.prometheus_url)}"
        await self.kubectl("create", "-n", SYSTEM_NAMESPACE, "configmap", "serving-config", config)
        await self._install(release)
        await self._apply()
        await self._until("the first revision is committed", self._has("stable"))

    def load(self) -> LoadGenerator:
        """Return the load on the service: open-loop, every answer counted."""
        return LoadGenerator(
            Request(f"{self._cluster.gateway_url}/", headers={"Host": HOST}, timeout_seconds=10)
        )

    async def change(self, to: Release) -> Course:
        """Bring a canary to half the traffic, install the other release, look again, and promote."""
        self._version += 1
        self._progress.say(f"version {self._version} of the service becomes a canary at {HALF}%")
        await self._apply()
        await self._until(
            f"the canary has {HALF}%",
            lambda status: (status.get("canary") or {}).get("weight") == HALF,
        )
        before = await self._look()
        self._progress.say(f"installing {to.name} under it")
        began = time.monotonic()
        await self._install(to)
        led = time.monotonic() - began
        await asyncio.sleep(SETTLED_SECONDS)
        after = await self._look()
        self._progress.say(f"promoting {before.attempt}")
        label = f"serving-operator.dev/promote={before.attempt}"
        await self.kubectl("label", "-n", NAMESPACE, "infsvc", NAME, "--overwrite", label)
        try:
            await self._until(
                f"{before.attempt} is stable",
                lambda status: (
                    (status.get("stable") or {}).get("id") == before.attempt and not status.get("canary")
                ),
            )
        except StuckError as error:
            self._progress.say(f"error: {error}")
            return Course(to.name, before, after, led, promoted=False)
        return Course(to.name, before, after, led, promoted=True)

    async def _install(self, release: Release) -> None:
        """Apply a release and wait until its pods, and only they, hold the Leases."""
        await self.kubectl("apply", "--server-side", "-k", str(release.kustomization))
        for program in (OPERATOR, AUTOSCALER):
            line = ("rollout", "status", f"deployment/{program}", "--timeout=300s")
            await self.kubectl("-n", SYSTEM_NAMESPACE, *line)
            await self._leads(program, release.name)

    async def _leads(self, program: str, tag: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            lease = await self._get("lease", program, "-n", SYSTEM_NAMESPACE)
            pods = await self._get("pods", "-n", SYSTEM_NAMESPACE, "-l", f"app.kubernetes.io/name={program}")
            leading = (lease.get("spec") or {}).get("holderIdentity") or ""
            for pod in pods["items"]:
                image = pod["spec"]["containers"][0]["image"]
                if leading.startswith(f"{pod['metadata']['name']}_") and image.endswith(f":{tag}"):
                    return
            await asyncio.sleep(1)
        raise StuckError(f"no pod of {program}:{tag} leads after {PATIENCE_SECONDS:.0f} s")

    async def _apply(self) -> None:
        manifest = json.loads(SERVICE.read_text(encoding="utf-8"))
        manifest["spec"]["predictor"]["container"]["env"][0]["value"] = str(self._version)
        await self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    async def _get(self, *what: str) -> Manifest:
        found: Manifest = json.loads(await self.kubectl("get", *what, "-o", "json"))
        return found

    async def _look(self) -> Seen:
        ours = ("-n", NAMESPACE, "-l", f"{SERVICE_LABEL}={NAME}")
        return seen(
            await self._get("pods", *ours),
            await self._get("controllerrevisions", *ours),
            await self._get("httproute", NAME, "-n", NAMESPACE),
            await self._get("infsvc", NAME, "-n", NAMESPACE),
        )

    def _has(self, key: str) -> Callable[[Manifest], bool]:
        return lambda status: bool(status.get(key))

    async def _until(self, what: str, holds: Callable[[Manifest], bool]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            service = await self._get("infsvc", NAME, "-n", NAMESPACE)
            if holds(service.get("status") or {}):
                return
            self._progress.update(f"until {what}")
            await asyncio.sleep(1)
        raise StuckError(f"not within {PATIENCE_SECONDS:.0f} s: {what}")


async def play(
    cluster: Cluster, other: Release, present: Release, progress: Progress
) -> tuple[list[Course], int, int]:
    """Go from the other release to the present one and back; return the courses, the requests, and those without a 2xx."""
    made = Play(cluster, progress)
    await made.begin(other)
    async with made.load() as load:
        load.set_rate(RATE_PER_SECOND)
        courses = [await made.change(present), await made.change(other)]
        await load.stop()
        bad = sum(not record.is_success for record in load.records)
        return courses, len(load.records), bad
