"""Free ports of 127.0.0.1 for a new cluster."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack

# Below the range that the kernel gives to outgoing connections: a port stays free while its component restarts.
_RANGE = range(20000, 30000)


def _bound(port: int) -> socket.socket | None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1)  # only now is the port refused to others: SO_REUSEADDR lets two merely bind it
    except OSError:
        listener.close()
        return None
    return listener


def free_ports(count: int, preferred: Sequence[int] = ()) -> list[int]:
    """`count` distinct free ports; the first ones are `preferred` where those are free.

    Raises OSError if the machine has not as many.
    """
    others = random.sample(_RANGE, 20 * count)
    found: list[int] = []
    with ExitStack() as held:  # until all are found, so that no port is found twice
        for wanted in [*preferred, *[0] * (count - len(preferred))]:
            listener = _bound(wanted) if wanted else None
            while listener is None:
                if not others:
                    raise OSError(f"no {count} free ports between {_RANGE[0]} and {_RANGE[-1]}")
                listener = _bound(others.pop())
            held.enter_context(listener)
            found.append(listener.getsockname()[1])
    return found
