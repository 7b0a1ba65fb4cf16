"""The record of the revision that the spec asks for, rendered from what is observed."""

from __future__ import annotations

from serving_operator.children.revision import controller_revision
from serving_operator.rollout.observed import Observed
from serving_operator.world import Manifest


def rendered(observed: Observed, revision: str, number: int, described: Manifest, stable: bool) -> Manifest:
    """Return the ControllerRevision of attempt `number`, with today's runtimes and settings.

    Raises ValueError if the spec asks for another revision, and Unresolved if no runtime serves its model.
    """
    return controller_revision(
        observed.service,
        revision,
        number,
        described,
        stable,
        runtimes=observed.world.runtimes,
        settings=observed.settings,
    )
