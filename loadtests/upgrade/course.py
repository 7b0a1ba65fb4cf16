"""One change of the release under a canary: what there was before, what is there after it, and what that means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """What belongs to the service at one moment."""

    pods: frozenset[str]
    """Uids."""
    revisions: frozenset[str]
    """Names of its ControllerRevisions."""
    weights: tuple[tuple[str, int], ...]
    """Of the route's backends, by name."""
    attempt: str
    """Id of the attempt under way, empty if there is none."""
    weight: int


def seen(pods: Manifest, revisions: Manifest, route: Manifest, service: Manifest) -> Seen:
    """Return what lists of pods and ControllerRevisions, the route and the service hold."""
    (rule,) = route["spec"]["rules"]
    canary = (service.get("status") or {}).get("canary") or {}
    return Seen(
        pods=frozenset(pod["metadata"]["uid"] for pod in pods["items"]),
        revisions=frozenset(one["metadata"]["name"] for one in revisions["items"]),
        weights=tuple(sorted((backend["name"], backend["weight"]) for backend in rule["backendRefs"])),
        attempt=canary.get("id", ""),
        weight=int(canary.get("weight") or 0),
    )


@dataclass(frozen=True)
class Course:
    """A change from one release to another, and the promotion after it."""

    to: str
    before: Seen
    after: Seen
    seconds_to_lead: float
    """From the install to the Leases of both programs being held by new pods."""
    promoted: bool

    def figures(self) -> dict[str, Any]:
        """Return what `summary.json` holds of it."""
        return {
            "to": self.to,
            "pods_replaced": len(self.before.pods - self.after.pods),
            "pods_added": len(self.after.pods - self.before.pods),
            "revisions_made": len(self.after.revisions - self.before.revisions),
            "weights_kept": self.before.weights == self.after.weights,
            "attempt_kept": (self.before.attempt, self.before.weight)
            == (self.after.attempt, self.after.weight),
            "promoted": self.promoted,
            "seconds_to_lead": round(self.seconds_to_lead, 1),
        }


def shortcomings(summary: Manifest) -> list[str]:
    """Return what was not as it should be; `summary` as in `summary.json`."""
    found = []
    for course in summary["courses"]:
        said = f"to {course['to']}"
        if course["pods_replaced"]:
            found.append(f"{said}: {course['pods_replaced']} pods were replaced")
        if course["revisions_made"]:
            found.append(f"{said}: {course['revisions_made']} revisions were made")
        if not (course["weights_kept"] and course["attempt_kept"]):
            found.append(f"{said}: the attempt or its weight changed")
        if not course["promoted"]:
            found.append(f"{said}: the attempt was not promoted afterwards")
    if summary["not_2xx"]:
        found.append(f"{summary['not_2xx']} of {summary['requests']} requests had no whole 2xx answer")
    return found


def markdown(summary: Manifest) -> str:
    """Return the report for people."""
    lines = [
        "# Another release under a canary at half the traffic",
        "",
        f"From {summary['from']} to {summary['present']} and back, on the local cluster: {summary['requests']} requests, "
        f"{summary['not_2xx']} without a whole 2xx answer.",
        "",
        "| to | pods replaced | pods added | revisions made | weights kept | attempt kept | promoted after | s to lead |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for course in summary["courses"]:
        cells = [course[key] for key in ("to", "pods_replaced", "pods_added", "revisions_made")]
        cells += ["yes" if course[key] else "**no**" for key in ("weights_kept", "attempt_kept", "promoted")]
        lines.append(f"| {' | '.join(map(str, cells))} | {course['seconds_to_lead']:g} |")
    lines += ["", *(f"* **{one}**" for one in summary["shortcomings"])]
    return "\n".join(lines).rstrip() + "\n"
