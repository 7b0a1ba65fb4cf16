"""What should be known of a target, and how fresh."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Expectation:
    """What should be there, so that its absence is noticed."""

    ready_replicas: int
    ready_for_seconds: float
    gateway: bool
    """Whether the gateway had a view of it lately."""
    weight_percent: int = 100
    """Of the traffic of its service so much is meant for it: without any a gateway need not know it."""
    route: str = ""
    """Name of the route by which its requests come."""


@dataclass(frozen=True)
class Freshness:
    """When data is too old, from the measured scrape interval."""

    scrape_seconds: float

    @property
    def stale_seconds(self) -> float:
        """Two and a half scrapes, and never so few that a slow scrape is taken for an outage."""
        return max(15.0, 2.5 * self.scrape_seconds + 2)

    @property
    def grace_seconds(self) -> float:
        """For which a new pod need not be known to Prometheus yet."""
        return max(15.0, 3 * self.scrape_seconds)
