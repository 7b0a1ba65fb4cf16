"""What a soak draws."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import get_args

import pytest

from loadtests.soak.services import Build, Kind, Spec, manifest
from loadtests.soak.stories import EACH, FAULTS, OF_PROGRAMS, STORIES, next_fault, next_story
from serving_api.service import InferenceServiceSpec


def test_the_same_seed_draws_the_same() -> None:
    """So that what was seen once can be looked for again."""

    def drawn() -> list[str]:
        chance = random.Random("3-east")
        return [next_story(chance, "judged") for _ in range(20)]

    assert drawn() == drawn()


def test_every_story_and_every_fault_is_drawn() -> None:
    """Each by some kind of service; none that a kind cannot end: nobody promotes a manual service but a label."""
    chance = random.Random(1)
    drawn = {kind: Counter(next_story(chance, kind) for _ in range(600)) for kind in get_args(Kind)}

    assert set(drawn["judged"]) | set(drawn["manual"]) == set(STORIES) == set(EACH)
    assert not {"promotes-itself", "aborts-itself"} & set(drawn["manual"])
    assert {next_fault(chance, programs=True) for _ in range(200)} == set(FAULTS)
    assert {next_fault(chance, programs=False) for _ in range(200)} == set(FAULTS) - set(OF_PROGRAMS)


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("build", get_args(Build))
def test_services_are_as_the_api_has_them(kind: Kind, build: Build) -> None:
    """A version changes the predictor; bounds and objective do not."""
    spec = Spec("east", kind)
    made = manifest(replace(spec, version=2, build=build))
    read = InferenceServiceSpec.model_validate(made["spec"])

    assert (read.rollout.promotion == "Automatic") == (kind == "judged")
    assert made["spec"]["predictor"]["container"] != manifest(spec)["spec"]["predictor"]["container"]
