"""What is left of a revision that is live no more goes, once nobody sends it a request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from serving_api.names import revision_name
from serving_operator.repair import delete
from serving_operator.rollout import previous, routing
from serving_operator.rollout.first_seen import is_unused, unused
from serving_operator.rollout.observed import REVISION_KINDS, Observed
from serving_operator.rollout.state import State
from serving_operator.world import Write


@dataclass(frozen=True, slots=True)
class Cleanup:
    """The writes that are due, what is left, and when to look again."""

    writes: tuple[Write, ...]
    leaving: tuple[str, ...]
    look_again: tuple[datetime, ...] = ()


def clean_up(observed: Observed, state: State) -> Cleanup:
    """Drop revisions that are neither live nor kept from the route, then delete their children, then the oldest records."""
    warm, spared = previous.kept_warm(observed, state), previous.spared(observed, state)
    kept = set(previous.standing(observed, state)) | ({spared} if spared else set())
    leaving = tuple(revision for revision in observed.populated if revision not in kept)
    moments = (
        previous.warm_until(observed, state) if warm else None,
        previous.window_ends(observed, state) if spared else None,
    )
    look_again = [moment for moment in moments if moment is not None]
    dropped: list[str] = []
    writes: list[Write] = []
    for revision in leaving:
        if not is_unused(observed, revision):
            continue
        ends = observed.first_seen(unused(revision)) + _patience(observed, revision)
        if observed.now < ends:
            look_again.append(ends)
        elif revision in observed.weights:
            dropped.append(revision)
        else:
            writes += _deletions(observed, revision)
    if dropped:
        left = {revision: weight for revision, weight in observed.weights.items() if revision not in dropped}
        writes.insert(0, routing.write(observed, left, f"revision {', '.join(dropped)} has left"))
    if not leaving:
        former = previous.within_window(observed, state)
        writes += _old_records(observed, kept | ({former} if former else set()))
    return Cleanup(tuple(writes), leaving, tuple(look_again))


def _patience(observed: Observed, revision: str) -> timedelta:
    """The longest request may still run; a revision that was never, or is no longer, routed to has none."""
    seconds = observed.settings.propagation_delay_seconds
    if revision in observed.weights or not observed.routed:
        seconds += observed.service.spec.predictor.timeout
    return timedelta(seconds=seconds)


def _deletions(observed: Observed, revision: str) -> Iterator[Write]:
    for kind in REVISION_KINDS:
        live = observed.object(kind, revision_name(observed.name, revision))
        if live is not None and not live["metadata"].get("deletionTimestamp"):
            yield delete(live, f"revision {revision} serves no more")


def _old_records(observed: Observed, kept: set[str]) -> Iterator[Write]:
    by_age = sorted(
        (int(record.get("revision", 0)), revision)
        for revision, record in observed.records.items()
        if revision not in kept and revision != observed.wanted
    )
    surplus = len(observed.records) - observed.settings.revision_history_limit
    for _, revision in by_age[: max(0, surplus)]:
        yield delete(observed.records[revision], "more records are kept than revision_history_limit")
