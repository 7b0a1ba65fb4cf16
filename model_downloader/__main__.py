"""The command line: fetch a model into a folder, or print a URI that is pinned to what is there now."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from model_downloader.credentials import Credentials
from model_downloader.folder import Folder, log
from model_downloader.guard import Guard
from model_downloader.outcome import Failed, Refused
from model_downloader.source import FORMS, Source

MESSAGE_BYTES = 2048
"""What the kubelet keeps of a termination message is 4096 bytes; the operator shows it in a condition."""
DEFAULT_LIMIT_MEGABYTES = 500_000


def fetch(source: Source, folder: Folder, credentials: Credentials) -> str:
    """Fetch by the source's scheme; returns its pin. The libraries of the other schemes are not loaded."""
    if source.scheme == "s3":
        from model_downloader import s3

        return s3.fetch(source, folder, credentials)
    if source.scheme == "hf":
        from model_downloader import hub

        return hub.fetch(source, folder, credentials)
    from model_downloader import https

    return https.fetch(source, folder, credentials)


def run(options: argparse.Namespace, guard: Guard) -> None:
    """Do what the command line asks for. Raises Failed."""
    source = Source.parse(options.uri)
    credentials = Credentials(options.credentials)
    most_bytes = options.limit_megabytes * 1_000_000
    if options.pin:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Folder(Path(scratch), most_bytes)
            folder.start()
            print(source.pinned(fetch(source, folder, credentials)))
        return
    if not source.pin:
        raise Refused(
            f"{options.uri} is not pinned: write {FORMS[source.scheme]}; this image with `--pin URI` says it."
        )
    folder = Folder(options.to, most_bytes)
    if folder.is_whole():
        log.info("%s is there already", folder.model)
        return
    folder.start()
    try:
        fetch(source, folder, credentials)
    except Exception as error:
        if guard.refused:
            raise Refused(guard.refused) from error
        raise
    folder.finish()
    log.info("%s is whole in %s", options.uri, folder.model)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0, or 1 (try again), 3 (refused) or 4 (not found); argparse exits with 2."""
    options = parse(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    # As a container's first process it would ignore the signal; what is fetched so far is resumed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    guard = Guard(options.allow)
    guard.install()
    try:
        run(options, guard)
    except Failed as failed:
        return _end(options, str(failed), failed.exit_code)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _end(options, f"{type(error).__name__}: {error}", 1)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line. Exits with 2 and a message that names what is wrong."""
    parser = argparse.ArgumentParser(
        prog="model-downloader",
        description=__doc__,
        epilog="Exit codes: 1 to try again may help, 2 a wrong flag, 3 refused, 4 not found.",
    )
    parser.add_argument("uri", help=" or ".join(FORMS.values()))
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", type=Path, metavar="FOLDER", help="make FOLDER/model hold the model")
    what.add_argument("--pin", action="store_true", help="print the URI pinned to what is there now")
    parser.add_argument("--credentials", type=Path, metavar="FOLDER", help="a Secret's keys as files")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        type=_network,
        metavar="CIDR",
        help="network that models may come from although it is not public; may be repeated",
    )
    parser.add_argument(
        "--limit-megabytes",
        type=int,
        default=DEFAULT_LIMIT_MEGABYTES,
        metavar="N",
        help="largest model, unpacked (default: %(default)s)",
    )
    parser.add_argument(
        "--message", type=Path, metavar="FILE", help="file that the reason of a failure is written to"
    )
    return parser.parse_args(arguments)


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a network such as 10.0.0.0/8: {error}") from error


def _end(options: argparse.Namespace, message: str, code: int) -> int:
    log.error("%s", message)
    if options.message is not None:
        options.message.write_bytes(message.encode()[:MESSAGE_BYTES])
    return code


if __name__ == "__main__":
    sys.exit(main())
