"""Kopf as the informer: it lists, watches and reconnects; each change goes to the cache and names keys to look at.

Kopf runs in a thread and a loop of its own. In the same loop it would take the signals, and count every task that
starts later as its own to be cancelled. Its handlers only hand the objects over, so nothing is shared.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import kopf
from kopf._cogs.structs.credentials import Vault  # arguments of kopf.operator, yet not exported
from kopf._core.engines.peering import Identity

from serving_api.names import OPERATOR
from serving_io.connection import api_client
from serving_operator.watched import Watched
from serving_operator.world import Manifest

Seen = Callable[[Manifest, bool], None]
"""Is told of each object that is there (False) or that is gone (True)."""

STOP_SECONDS = 5.0
LOOK_SECONDS = 1.0
ALL_WATCHES = "multidimensional multitasker"
"""Kopf's task that all watches are under."""
WATCH = "watcher for "
"""How the names of its tasks begin that are a watch each."""
# A watch that fails for longer dies, and the process with it; the Lease is lost before that if the API server is away.
ERROR_BACKOFFS_SECONDS: tuple[float, ...] = (1, 1, 2, 3, 5, 8, 8)

log = logging.getLogger(__name__)


class Informer:
    """Watches kinds from `start` until `stop`."""

    def __init__(self, watched: Sequence[Watched], namespaces: Sequence[str], seen: Seen) -> None:
        self._watched = watched
        self._namespaces = namespaces
        self._seen = seen
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._cancel: Callable[[], object] = self._stopping.set

    def start(self) -> asyncio.Future[None]:
        """Begin. The answer ends with an exception if a watch dies: end the process then, and start anew."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def hand_over(manifest: Manifest, gone: bool) -> None:
            loop.call_soon_threadsafe(self._seen, manifest, gone)

        def finish(error: BaseException | None) -> None:
            if ended.done():
                return
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        def run() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(
                    self._watch(hand_over, lambda failure: loop.call_soon_threadsafe(finish, failure))
                )
            except asyncio.CancelledError:
                pass  # stopped
            except BaseException as raised:
                error = raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(finish, error)

        self._thread = threading.Thread(target=run, name="informer", daemon=True)
        self._thread.start()
        return ended

    def stop(self) -> None:
        """Stop watching; does not wait for it."""
        self._stopping.set()
        self._cancel()

    async def join(self) -> None:
        """Wait until the watches have ended, within a bound."""
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, STOP_SECONDS)

    async def _watch(self, hand_over: Seen, failed: Callable[[Exception], object]) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(task.cancel)

        # Not a flag of Kopf's: it would wait for one of another thread in a thread that outlives its own end, and
        # after any flag it gives its tasks seconds to finish what they have not begun.
        self._cancel = cancel
        if self._stopping.is_set():
            return
        vault = Sessions()
        try:
            watching = kopf.operator(
                registry=registry(self._watched, hand_over, failed),
                settings=settings(self._watched),
                clusterwide=not self._namespaces,
                namespaces=list(self._namespaces),
                standalone=True,
                # By itself Kopf would ask for the user's name, and where a platform chooses the uid there is none.
                identity=Identity("informer"),
                vault=vault,
            )
            await ended(asyncio.create_task(watching, name="kopf"))
        finally:
            # At the end Kopf gives up requests from callbacks, which look for the task that they are in and find none.
            loop.set_exception_handler(lambda _, found: log.debug("given up: %s", found["message"]))
            # Cancelled, Kopf leaves tasks behind, and with them its sessions open.
            left = asyncio.all_tasks() - {task}
            for each in left:
                each.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await vault.close()


class Sessions(Vault):
    """The credentials, and the sessions that were opened with them.

    A request that had its credentials before they were found invalid opens a session for them once more, which Kopf forgets.
    """

    async def close(self) -> None:
        """Close all sessions, also of credentials that were found invalid."""
        await super().close()
        for items in self._invalid.values():
            for item in items:
                await self._flush_caches(item)


async def ended(operator: asyncio.Task[None]) -> None:
    """Wait for Kopf to end. Raises what it ends with, or `RuntimeError` if a watch has and it does not.

    After the death of one watch the others may wait for ever for a login by a task that has ended before them, or
    lose the one cancellation that they get.
    """
    watches: set[asyncio.Task[object]] = set()
    while not operator.done():
        await asyncio.wait({operator}, timeout=LOOK_SECONDS)
        watches |= {task for task in asyncio.all_tasks() if _is_watch(task)}
        died = any(task.done() for task in watches)
        if died and not (await asyncio.wait({operator}, timeout=STOP_SECONDS))[0]:
            raise RuntimeError("watches have died, and Kopf does not end")
    operator.result()


def _is_watch(task: asyncio.Task[object]) -> bool:
    return task.get_name() == ALL_WATCHES or task.get_name().startswith(WATCH)


def registry(
    watched: Sequence[Watched], hand_over: Seen, failed: Callable[[Exception], object]
) -> kopf.OperatorRegistry:
    """Return handlers that keep no state and write nothing: they only hand objects over.

    `failed` is told of a login that failed: Kopf would go on without watching anything.
    """
    made = kopf.OperatorRegistry()

    def on(entry: Watched) -> None:
        kind = entry.kind

        async def changed(event: Any, **_: Any) -> None:
            # Listed objects have no apiVersion and kind of their own, and no event type.
            manifest = {"apiVersion": kind.api_version, "kind": kind.name} | dict(event["object"])
            hand_over(manifest, event["type"] == "DELETED")

        group, _, version = kind.api_version.rpartition("/")
        kopf.on.event(group, version, kind.plural, registry=made, id=f"see-{kind.plural}")(changed)

    async def login(**_: Any) -> kopf.ConnectionInfo:
        try:
            return await connection()
        except Exception as error:
            failed(error)
            raise

    for entry in watched:
        on(entry)
    kopf.on.login(registry=made, id="login", errors=kopf.ErrorsMode.PERMANENT)(login)
    return made


class NoDifferences(kopf.DiffBaseStorage):
    """For handlers of differences Kopf copies each object at each event, all of it; there are none here."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        """Nothing is compared."""
        return {}

    def fetch(self, *, body: Any) -> None:
        """Nothing was stored."""

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Nothing is written."""


def settings(watched: Sequence[Watched]) -> kopf.OperatorSettings:
    """Return Kopf's settings for an informer that writes nothing."""
    made = kopf.OperatorSettings()
    for entry in watched:
        if entry.selector:
            group, _, version = entry.kind.api_version.rpartition("/")
            made.watching.label_selectors[group, version, entry.kind.plural] = entry.selector
    made.watching.chunk_size = 500  # paged lists: memory stays flat at the start
    made.watching.server_timeout = (
        300  # watches are renewed; a silent one is noticed earlier by missing bookmarks
    )
    made.networking.request_timeout = 30
    made.networking.connect_timeout = 5
    made.networking.error_backoffs = ERROR_BACKOFFS_SECONDS
    made.persistence.diffbase_storage = NoDifferences()
    made.posting.enabled = False  # events are posted by the executor, on transitions only
    made.scanning.disabled = True  # no right to list CRDs and namespaces is needed
    made.peering.standalone = True  # leadership is the Lease's
    return made


async def connection() -> kopf.ConnectionInfo:
    """Log in as the operator's own client does; asked again when a token is refused."""
    client = await api_client(OPERATOR)
    try:
        found = client.configuration
        # The library spells the scheme in two ways, by where it has found the token; Kopf puts one before it.
        scheme, _, token = (await found.get_api_key_with_prefix("BearerToken") or "").partition(" ")
        return kopf.ConnectionInfo(
            server=found.host,
            ca_path=found.ssl_ca_cert,
            insecure=not found.verify_ssl,
            certificate_path=found.cert_file,
            private_key_path=found.key_file,
            token=token or scheme or None,
            proxy_url=found.proxy,
        )
    finally:
        await client.close()  # type: ignore[no-untyped-call]
