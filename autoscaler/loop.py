"""The shell of the policy: list, ask, tick, write, and again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

from autoscaler.history.reader import RangeLike, Reader
from autoscaler.metrics import Metrics
from autoscaler.needed import kept
from autoscaler.replay.faithful import witnessed
from autoscaler.replay.recording.moment import Moment
from autoscaler.signals.views import AnswerLike, Answers, Failure
from autoscaler.state import LoopState
from autoscaler.stopwatch import Stopwatch
from autoscaler.targets import ApiObjects, Known
from autoscaler.tick import ask, tick, with_written
from autoscaler.writes import Event, Scale, Write, WriteStatus
from serving_io.cluster import Cluster
from serving_io.errors import ApiError, Conflict, NotFound, SignalUnavailable
from serving_io.events import post_event
from serving_io.kinds import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, INFERENCE_AUTOSCALER, SCALED_OBJECT
from serving_io.mirror import Mirror

log = logging.getLogger(__name__)

SERVED_SECONDS: Final = 60.0
"""How often it is asked whether KEDA is installed."""
WRITES_AT_ONCE: Final = 8
KINDS: Final = {
    "autoscalers": INFERENCE_AUTOSCALER,
    "deployments": DEPLOYMENT,
    "horizontal_pod_autoscalers": HORIZONTAL_POD_AUTOSCALER,
    "scaled_objects": SCALED_OBJECT,
}
"""By name in `ApiObjects`."""


class SignalSource(Protocol):
    """Prometheus, or what stands for it."""

    async def query(self, promql: str, at: float | None = None) -> AnswerLike: ...
    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> RangeLike: ...


class Recording(Protocol):
    """Keeps what a tick was decided from, for a replay. It never fails."""

    def write(self, moment: Moment) -> None: ...


class Loop:
    """Ticks against one cluster and one Prometheus. `cluster` guards its writes by leadership."""

    def __init__(
        self,
        cluster: Cluster,
        prometheus: SignalSource,
        metrics: Metrics,
        *,
        tick_seconds: float = 5.0,
        namespaces: Sequence[str] = (),
        matcher: str = "",
        recording: Recording | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._prometheus = prometheus
        self._metrics = metrics
        self._tick_seconds = tick_seconds
        namespaces_or_all: Sequence[str | None] = namespaces or (None,)
        self._mirrors = {
            name: [Mirror(cluster, kind, each, reduced=partial(kept, name)) for each in namespaces_or_all]
            for name, kind in KINDS.items()
        }
        self._matcher = matcher
        self._recording = recording
        # A recording holds what ticks were told, and begins with an empty memory.
        self._history = Reader(prometheus, matcher) if recording is None else None
        self._clock = clock
        self._state = LoopState()
        self._known = Known()
        self._scaled: list[Scale] = []
        self._keda: tuple[float, bool] | None = None
        self._unreadable: frozenset[str] = frozenset()
        self.ticked_at: float | None = None
        """Monotonic time of the last completed tick."""

    async def run(self) -> None:
        """Tick until cancelled. An API server that does not answer costs ticks, never the state."""
        try:
            while True:
                started = asyncio.get_running_loop().time()
                try:
                    await self.tick()
                    self.ticked_at = asyncio.get_running_loop().time()
                except ApiError as error:
                    log.warning("this tick is skipped: the API server answered %s", error)
                spent = asyncio.get_running_loop().time() - started
                self._metrics.tick_seconds.observe(spent)
                await asyncio.sleep(max(self._tick_seconds - spent, 0.1))
        finally:
            for mirror in (each for mirrors in self._mirrors.values() for each in mirrors):
                await mirror.close()

    async def tick(self) -> None:
        """One round. Raises `ApiError` if the objects cannot be listed; failed writes are tried next time."""
        watch = Stopwatch()
        with _uncollected():
            objects = await self._objects()
            now = self._clock()
            questions = ask(objects, self._state, now, self._matcher)
            watch.spent("objects")
            answers = await self._ask(questions, now)
            watch.spent("signals")
            result = tick(answers, objects, self._state, now)
            watch.spent("decide")
        self._state = result.state
        if self._recording is not None:
            self._recording.write(witnessed(now, objects, questions, answers, result, self._matcher))
        for text in frozenset(result.unreadable) - self._unreadable:
            log.error("%s", text)
        self._unreadable = frozenset(result.unreadable)
        limit = asyncio.Semaphore(WRITES_AT_ONCE)
        # Replicas first: what is told of them can wait.
        for kind in (Scale, WriteStatus):
            await asyncio.gather(*(self._write(one, limit) for one in result.writes if isinstance(one, kind)))
        if self._scaled:
            self._state, self._scaled = with_written(self._state, self._scaled), []
        watch.spent("writes")
        self._metrics.show(result.reports)
        self._metrics.show_conditions(objects.autoscalers)
        if self._history is not None:
            self._state = await self._history.read(objects, self._state, now)
        self._metrics.remember(self._state.targets)
        watch.spent("history")
        self._metrics.spent(watch)
        log.debug(
            "tick of %d targets: %d questions, %d scalings, %d statuses; %s",
            len(result.reports),
            len(questions),
            sum(isinstance(write, Scale) for write in result.writes),
            sum(isinstance(write, WriteStatus) for write in result.writes),
            watch,
        )

    async def _objects(self) -> ApiObjects:
        names = [name for name in KINDS if name != "scaled_objects" or await self._keda_served()]
        listings = {
            name: [
                item
                for items in await asyncio.gather(*(mirror.items() for mirror in self._mirrors[name]))
                for item in items
            ]
            for name in names
        }
        return ApiObjects(**listings, known=self._known)

    async def _keda_served(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._keda is None or now - self._keda[0] >= SERVED_SECONDS:
            self._keda = (now, await self._cluster.served(SCALED_OBJECT))
        return self._keda[1]

    async def _ask(self, questions: dict[str, str], now: float) -> Answers:
        async def answer(promql: str) -> AnswerLike | Failure:
            try:
                found = await self._prometheus.query(promql, at=now)
            except SignalUnavailable as error:
                self._metrics.queries.labels(error.reason).inc()
                return Failure(error.reason, error.message)
            self._metrics.queries.labels("Answered").inc()
            return found

        answers = await asyncio.gather(*(answer(promql) for promql in questions.values()))
        return dict(zip(questions, answers, strict=True))

    async def _write(self, write: Write, limit: asyncio.Semaphore) -> None:
        async with limit:
            try:
                await (self._scale(write) if isinstance(write, Scale) else self._write_status(write))
            except (NotFound, Conflict) as error:
                log.info("%s: changed meanwhile, decided again in the next tick (%s)", _of(write), error)
            except ApiError as error:
                log.warning("%s: not written, tried again in the next tick (%s)", _of(write), error)

    async def _scale(self, write: Scale) -> None:
        workload = write.target.workload
        if workload is None:
            return
        namespace, name = write.target.key
        await self._cluster.apply_scale(
            DEPLOYMENT,
            name,
            namespace,
            write.replicas,
            uid=workload.uid,
            # A number that is only taken over must still be the one that was read.
            resource_version=workload.resource_version if write.hand_over else None,
        )
        self._scaled.append(write)
        if write.hand_over:
            log.info("%s/%s: took over spec.replicas at %d", namespace, name, write.replicas)
            return
        log.info("%s/%s: %s", namespace, name, write.sentence)
        reason = "ScaledDown" if write.replicas < workload.wanted else "ScaledUp"
        await self._tell(write, [Event("Normal", reason, write.sentence)], "Scale")

    async def _write_status(self, write: WriteStatus) -> None:
        metadata = write.target.manifest["metadata"]
        # A status is refused only by the resourceVersion: a late one must not replace that of a successor.
        decided_on = ("name", "namespace", "uid", "resourceVersion")
        await self._cluster.apply_status(
            {
                "apiVersion": INFERENCE_AUTOSCALER.api_version,
                "kind": INFERENCE_AUTOSCALER.name,
                "metadata": {key: metadata[key] for key in decided_on},
                "status": write.status,
            }
        )
        await self._tell(write, write.events, "Observe")

    async def _tell(self, write: Write, events: Sequence[Event], action: str) -> None:
        for event in events:
            try:
                await post_event(
                    self._cluster,
                    dict(write.target.manifest),
                    type=event.type,
                    reason=event.reason,
                    note=event.note,
                    action=action,
                )
            except ApiError as error:
                # An event is news for people; what it tells of is done.
                log.warning("%s: event %s could not be posted: %s", _of(write), event.reason, error)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no cycles meanwhile: a tick makes values by the hundred thousand and none, and looking costs as much as deciding."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _of(write: Write) -> str:
    autoscaler = write.target.autoscaler
    return f"InferenceAutoscaler {autoscaler.namespace}/{autoscaler.name}"


async def first_to_end(work: Awaitable[None], lost: asyncio.Task[None]) -> None:
    """Run `work` until leadership is lost; errors of `work` are raised."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, lost}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
