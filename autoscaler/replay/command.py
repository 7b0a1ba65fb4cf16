"""The command line of the replay: `export` records from Prometheus, `run` replays a recording and reports."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from autoscaler.prometheus_options import add_prometheus_options, prometheus_access
from autoscaler.replay.compare import Comparison
from autoscaler.replay.export import Export
from autoscaler.replay.recording.decode import RecordingError
from autoscaler.replay.recording.files import Writer, read
from autoscaler.replay.report.outcome import Outcome, figures, outcomes
from autoscaler.replay.report.page import render
from autoscaler.replay.report.sheet import MODEL, decisions, page, table, when
from autoscaler.replay.settings import KEDA_SHARE, REPLAYED, autoscalers, peers
from autoscaler.replay.survey import Survey, compare, survey
from serving_io.errors import SignalUnavailable
from serving_io.prometheus import Prometheus

PROGRAM: Final = "servingctl replay"
HOLD_SECONDS: Final = 300.0
HPA_PERCENT: Final = 80.0
QUERY_TIMEOUT_SECONDS: Final = 60.0
INTERRUPTED: Final = 130


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands to a parser, so that another command line can hold them; `run` carries out what it parsed."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="export|run")
    _configure_export(
        actions.add_parser("export", help="record from Prometheus what the autoscaler would ask")
    )
    _configure_run(actions.add_parser("run", help="replay a recording: cost, late requests, decisions"))


def _configure_export(parser: argparse.ArgumentParser) -> None:
    add_prometheus_options(parser)
    add = parser.add_argument
    of_file = "YAML of InferenceAutoscalers, which need not exist; may be repeated"
    add("--autoscaler", type=Path, action="append", required=True, metavar="FILE", help=of_file)
    of_time = "for example 2026-05-01T00:00:00Z"
    add("--from", dest="begin", type=_moment, required=True, metavar="TIME", help=of_time)
    add("--to", dest="end", type=_moment, required=True, metavar="TIME", help=of_time)
    of_step = "between two ticks, 1 to 60 (default %(default)s)"
    add("--step-seconds", type=int, default=15, metavar="N", help=of_step)
    add("--out", type=Path, required=True, metavar="FILE", help="the recording; packed if it ends in .gz")
    parser.set_defaults(replay=_export)


def _configure_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("recording", type=Path, metavar="RECORDING")
    of_out = "gets summary.json, decisions.txt and a page for each target (default %(default)s)"
    add("--out", type=Path, default=Path("out/replay"), metavar="FOLDER", help=of_out)
    of_hpa = "HPA's target, as busy share of a replica (default %(default)g)"
    add("--hpa-utilization-percent", type=float, default=HPA_PERCENT, metavar="N", help=of_hpa)
    of_keda = f"KEDA's threshold for one replica (default: {100 * KEDA_SHARE:g}%% of what one can do at most)"
    add("--keda-requests-per-second", type=float, metavar="N", help=of_keda)
    of_hold = "for which the peers keep replicas (default %(default)g)"
    add("--hold-seconds", type=float, default=HOLD_SECONDS, metavar="N", help=of_hold)
    of_peer = f"one more of {', '.join(REPLAYED)}; may be repeated"
    add("--peer", action="append", default=[], metavar="NAME=KNOB", help=of_peer)
    of_start = "time to start a replica (default: as measured in the recording)"
    add("--start-seconds", type=float, metavar="N", help=of_start)
    of_warm_up = "replay so much before scoring begins (default %(default)g)"
    add("--warm-up-hours", type=float, default=0.0, metavar="N", help=of_warm_up)
    of_verify = "fail unless all recorded decisions replay the same"
    add("--verify", action="store_true", help=of_verify)
    parser.set_defaults(replay=_run)


def run(options: argparse.Namespace) -> int:
    """Carry out a parsed command; its exit code. What is wrong with the input is told in a line: 2."""
    try:
        code: int = options.replay(options)
    except (RecordingError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SignalUnavailable as error:
        print(f"error: Prometheus: {error.reason}: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """`servingctl replay`."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="What the autoscaler would have done on recorded data, beside what happened, HPA and KEDA.",
        epilog="""Examples:
  servingctl replay export --prometheus-url URL --autoscaler FILE --from TIME --to TIME --out day.jsonl.gz
  servingctl replay run day.jsonl.gz --hpa-utilization-percent 70""",
    )
    configure(parser)
    logging.basicConfig(level=logging.WARNING)
    return run(parser.parse_args(argv))


def _export(options: argparse.Namespace) -> int:
    if options.end <= options.begin:
        raise ValueError("--to: must be after --from")
    if not 1 <= options.step_seconds <= 60:
        raise ValueError(f"--step-seconds {options.step_seconds}: must be from 1 to 60")
    access, matcher = prometheus_access(options, QUERY_TIMEOUT_SECONDS)
    manifests = [manifest for path in options.autoscaler for manifest in autoscalers(path)]

    async def record() -> tuple[int, int]:
        prometheus = Prometheus(access)
        export = Export(
            prometheus,
            manifests,
            options.begin,
            options.end,
            options.step_seconds,
            matcher,
        )
        try:
            with Writer(options.out) as writer:
                moments = 0
                async for moment in export.moments():
                    writer.write(moment)
                    moments += 1
        finally:
            prometheus.close()
        return moments, export.queries

    moments, queries = asyncio.run(record())
    print(f"{options.out}: {moments} ticks from {queries} queries")
    return 0


def _run(options: argparse.Namespace) -> int:
    rivals = peers(
        options.hpa_utilization_percent, options.keda_requests_per_second, options.peer, options.hold_seconds
    )
    found = survey(read(options.recording))
    compare(found, read(options.recording))
    comparison = Comparison(
        found.start_seconds if options.start_seconds is None else lambda _: options.start_seconds, rivals
    )
    scored_from = found.begin + 3600 * options.warm_up_hours
    if scored_from >= found.end:
        raise ValueError(f"--warm-up-hours {options.warm_up_hours:g}: the recording is not that long")
    scored = outcomes(comparison.stretches(read(options.recording)), found.begin, found.end, scored_from)
    notes = list(_notes(found, comparison, scored))
    _write(options.out, found, scored, notes)
    print("\n\n".join(table(outcome) for outcome in scored.values()))
    print("\n" + "\n".join((MODEL, *notes)))
    print(
        f"\n{options.out}/: summary.json, decisions.txt, {', '.join(_page_name(o) for o in scored.values())}"
    )
    return 1 if options.verify and (found.differing or not found.compared) else 0


def _notes(found: Survey, comparison: Comparison, scored: Mapping[str, Outcome]) -> Iterator[str]:
    if not scored:
        yield "No target was scored: the work per request was never learned from the recorded counters."
    if found.compared:
        yield f"{found.compared} decisions were recorded; {found.differing} of them replay as other ones."
        for one in found.differences:
            yield f"  {when(one.at)} {one.uid}: recorded {one.recorded}, replayed {one.replayed}"
    if comparison.other_windows:
        yield f"{comparison.other_windows} answers are to another window of a rate than the replay asked for."
    if comparison.skipped_seconds:
        yield f"{comparison.skipped_seconds:.0f} s without ticks are left out."


def _write(folder: Path, found: Survey, scored: Mapping[str, Outcome], notes: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    summary = {
        "from": when(found.begin),
        "to": when(found.end),
        "ticks": found.moments,
        "decisions_compared": found.compared,
        "decisions_differing": found.differing,
        "targets": [figures(outcome) for outcome in scored.values()],
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (folder / "decisions.txt").write_text(
        "".join(f"{line}\n" for line in decisions(scored)), encoding="utf-8"
    )
    for outcome in scored.values():
        (folder / _page_name(outcome)).write_text(render(page(outcome, notes)), encoding="utf-8")


def _page_name(outcome: Outcome) -> str:
    return f"{outcome.namespace}-{outcome.name}.html"


def _moment(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a time such as 2026-05-01T00:00:00Z") from None
    return float(round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()))
