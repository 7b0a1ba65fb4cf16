"""The command `serving-operator`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

from serving_io.connection import ConfigurationError
from serving_io.errors import ApiError
from serving_operator.config import Config, parse
from serving_operator.program import Operator

log = logging.getLogger("serving_operator")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command `serving-operator`."""
    config = parse(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(
        level=config.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    # Kopf tells of each event that it hands over; that is what our own log is for.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # It warns that it leaves the signals alone, which is why it has a thread of its own.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    sys.exit(asyncio.run(_until_signalled(config)))


async def _until_signalled(config: Config) -> int:
    operator = Operator(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, operator.stop)
    try:
        return await operator.run()
    except (ConfigurationError, ApiError, OSError) as error:
        log.error("%s", error)
        return 1


if __name__ == "__main__":
    main()
