"""The command `.venv/bin/python -m loadtests`: arguments in, a load, a summary and an exit status out."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from autoscaler.replay.report.page import render
from loadtests.arrivals import Spacing
from loadtests.figures import interval, summary
from loadtests.generator import LoadGenerator, Request
from loadtests.load_report import load_report
from loadtests.profile import Profile, ProfileError, load_profile
from loadtests.record import write_csv
from localcluster.paths import this_python


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=f"{this_python()} -m loadtests",
        description="Send requests to URL on a schedule that never waits for answers, count what becomes of "
        "each, and retry nothing. Exit status 1 if more than --max-bad of them were not answered with 2xx.",
    )
    parser.add_argument("url", metavar="URL", help="where requests go, http:// or https://")
    load = parser.add_mutually_exclusive_group()
    load.add_argument("--rate", type=_positive, metavar="R", help="requests per second (default 10)")
    load.add_argument("--profile", type=Path, metavar="FILE", help="JSON or CSV of seconds and rates")
    parser.add_argument(
        "--duration", type=_positive, metavar="SECONDS", help="default 60; not with --profile"
    )
    parser.add_argument("--even", action="store_true", help="evenly spaced arrivals instead of Poisson")
    parser.add_argument("--seed", type=int, default=0, help="seed of the Poisson arrivals (default 0)")
    parser.add_argument("--method", help="HTTP method (default GET, with --body POST)")
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'", help="repeatable")
    parser.add_argument("--host", help="the Host header")
    parser.add_argument(
        "--body", metavar="TEXT|@FILE", help="what is sent; JSON unless a header says otherwise"
    )
    parser.add_argument("--timeout", type=_positive, default=30.0, metavar="SECONDS", help="default 30")
    parser.add_argument(
        "--objective-milliseconds",
        type=_positive,
        default=300.0,
        metavar="MS",
        help="later is late (default 300)",
    )
    parser.add_argument(
        "--max-bad", type=_fraction, default=0.0, metavar="FRACTION", help="not-2xx tolerated (default 0)"
    )
    parser.add_argument("--out", type=Path, default=Path("out/loadtests"), help="default out/loadtests")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status: 0 good, 1 too many bad answers, 2 unusable arguments."""
    parser = arguments()
    options = parser.parse_args(argv)
    try:
        request = _request(options)
        if options.profile and options.duration:
            raise ProfileError("--duration: a profile has its own; leave --duration out")
        profile = (
            load_profile(options.profile)
            if options.profile
            else Profile.constant(options.rate or 10.0, options.duration or 60.0)
        )
        options.out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return asyncio.run(_run(options, request, profile))


async def _run(options: argparse.Namespace, request: Request, profile: Profile) -> int:
    threshold_seconds = options.objective_milliseconds / 1000
    spacing: Spacing = "even" if options.even else "poisson"
    interrupted, given_up = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGINT, lambda: (given_up if interrupted.is_set() else interrupted).set()
    )
    async with LoadGenerator(request, spacing=spacing, seed=options.seed) as generator:
        progress = asyncio.create_task(_show_progress(generator, threshold_seconds))
        await _first(generator.play(profile), interrupted.wait())
        seconds = generator.now_seconds
        if interrupted.is_set():
            print("\ninterrupted: waiting for what is in flight; once more to give it up", file=sys.stderr)
        await _first(generator.stop(), given_up.wait())
        await generator.stop(grace_seconds=0)
        progress.cancel()
    figures = summary(generator.records, generator.sent, seconds, threshold_seconds)
    write_csv(generator.records, options.out / "requests.csv")
    (options.out / "summary.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (options.out / "report.html").write_text(
        render(load_report(generator.records, figures, request.url, seconds)), encoding="utf-8"
    )
    print(f"\n{json.dumps(figures, indent=2)}\n{options.out}/report.html")
    return 1 if float(str(figures["not_2xx_fraction"])) > options.max_bad else 0


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _show_progress(generator: LoadGenerator, threshold_seconds: float) -> None:
    is_terminal = sys.stderr.isatty()
    period_seconds = 1.0 if is_terminal else 10.0
    while True:
        await asyncio.sleep(period_seconds)
        now = generator.now_seconds
        recent = interval(generator.records[-2000:], now - 10, now, threshold_seconds)
        bad = sum(not record.is_success for record in generator.records)
        line = (
            f"{now:6.0f} s  sent {generator.sent}  in flight {generator.in_flight}  not 2xx {bad}  | last 10 s: "
            f"late {recent.late_fraction:.1%}  p50 {recent.p50_seconds * 1000:.0f} ms  "
            f"p99 {recent.p99_seconds * 1000:.0f} ms"
        )
        print(
            f"\r{line}\x1b[K" if is_terminal else line,
            end="" if is_terminal else "\n",
            file=sys.stderr,
            flush=True,
        )


def _request(options: argparse.Namespace) -> Request:
    url = urlsplit(options.url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError(f"URL must begin with http:// or https:// and name a host, it is {options.url!r}")
    body = options.body.encode() if options.body is not None else None
    if options.body and options.body.startswith("@"):
        try:
            body = Path(options.body[1:]).read_bytes()
        except OSError as error:
            raise ValueError(
                f"--body: {options.body[1:]}: {error.strerror}; give @FILE of a readable file"
            ) from None
    headers = {"content-type": "application/json"} if body is not None else {}
    for header in options.header:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise ValueError(f"--header must read 'NAME: VALUE', it is {header!r}")
        headers[name.strip().lower()] = value.strip()
    if options.host:
        headers["host"] = options.host
    method = options.method or ("GET" if body is None else "POST")
    return Request(options.url, method.upper(), headers, body, options.timeout)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, it is {text}")
    return value


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, it is {text}")
    return value
