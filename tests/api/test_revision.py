"""A revision changes exactly when a field that shapes the pod changes its meaning."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_api import quantity
from serving_api.predictor import Predictor
from serving_api.revision import canonical_fields, revision_of

BASE: dict[str, Any] = {
    "container": {"image": "example/server:1", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
    "maxReplicas": 4,
}


def revision(**changes: Any) -> str:
    """The revision of the base predictor with some fields replaced."""
    return revision_of(Predictor.model_validate(BASE | changes))


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("bounds are no part of the pod", {"minReplicas": 2, "maxReplicas": 9}),
        ("the time-out is the route's", {"timeout": 5}),
        ("1000m is 1", {"container": BASE["container"] | {"resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}}}}),
        ("1024Mi is 1Gi", {"container": BASE["container"] | {"resources": {"limits": {"cpu": 1, "memory": "1024Mi"}}}}),
        ("an empty map is no map", {"nodeSelector": {}}),
        ("a field of a newer CRD is not ours", {"fieldOfTomorrow": {"default": True}}),
    ],
)  # fmt: skip
def test_same_revision(why: str, changes: dict[str, Any]) -> None:
    """These edits start no rollout."""
    assert revision(**changes) == revision(), why


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("another image", {"container": BASE["container"] | {"image": "example/server:2"}}),
        ("more memory", {"container": BASE["container"] | {"resources": {"limits": {"cpu": "1", "memory": "2Gi"}}}}),
        ("another place", {"nodeSelector": {"gpu": "a100"}}),
        ("a probe whose fields are all defaults", {"container": BASE["container"] | {"readinessProbe": {"httpGet": {}}}}),
        ("a label on the pods", {"labels": {"team": "vision"}}),
    ],
)  # fmt: skip
def test_new_revision(why: str, changes: dict[str, Any]) -> None:
    """These edits make another pod, so they make another revision."""
    assert revision(**changes) != revision(), why


def test_revision_of_a_model_is_pinned() -> None:
    """A change of this value would start a canary on every service at an upgrade."""
    predictor = Predictor.model_validate(
        {
            "model": {
                "modelFormat": {"name": "sklearn"},
                "storageUri": "pvc://models/digits/v1",
                "runtime": "mlserver",  # was the default, and stands in every model that was stored then
            },
            "maxReplicas": 3,
        }
    )

    assert revision_of(predictor) == "aad0b884"


def test_a_model_that_names_no_runtime_is_told_from_every_one_that_does() -> None:
    """To name a runtime, or to leave the choice to the formats, are three different revisions."""
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/digits/v1"}
    named: list[dict[str, Any]] = [{}, {"runtime": "mlserver"}, {"runtime": "other"}]

    assert len({revision_of(Predictor.model_validate({"model": model | more})) for more in named}) == 3


def test_defaults_are_as_if_absent() -> None:
    """A default that the API server fills in leaves no trace."""
    predictor = Predictor.model_validate(
        {
            "model": {
                "modelFormat": {"name": "sklearn"},
                "storageUri": "pvc://models/digits/v1",
                "runtime": "mlserver",
            },
            "timeout": 60,
        }
    )

    assert canonical_fields(predictor) == {
        "model": {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/digits/v1"}
    }


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [("1", "1"), ("1000m", "1"), ("0.25", "250m"), ("250m", "250m"), ("1024Mi", "1Gi"), ("2e3", "2000"), ("1.5Gi", "1536Mi"),
     ("100n", "100n"), (2, "2"), ("0", "0"), ("1k", "1000")],
)  # fmt: skip
def test_canonical_quantity(spelling: str | int, expected: str) -> None:
    """Each amount has one spelling."""
    assert quantity.canonical(spelling) == expected


@given(
    st.decimals(min_value=0, max_value=10**12, places=3),
    st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]),
)
def test_canonical_quantity_keeps_its_value(number: Any, suffix: str) -> None:
    """The canonical spelling names the same amount and is canonical itself (down to a nano)."""
    made = quantity.canonical(f"{number}{suffix}")

    assert quantity.value_of(made) == quantity.value_of(f"{number}{suffix}")
    assert quantity.canonical(made) == made


@pytest.mark.parametrize("text", ["", "much", "1 Gi", "-1", "1KB"])
def test_no_quantity(text: str) -> None:
    """What is no quantity is refused with an example of one."""
    with pytest.raises(ValueError, match="is not a quantity such as"):
        quantity.canonical(text)
