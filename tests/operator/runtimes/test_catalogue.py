"""Which runtime serves a model, and what is said when none or several might."""

from __future__ import annotations

from typing import Any

import pytest

from serving_api.predictor import ModelSource
from serving_operator.runtimes.catalogue import Catalogue, Unresolved, choose
from tests.operator.runtimes.objects import runtime

ONNX = {"name": "onnx", "autoSelect": True}
URGENT = runtime("b", ONNX | {"priority": 9}, cluster=True)
OTHER_MLSERVER = runtime("mlserver", {"name": "sklearn"}, cluster=True)


def model(format_name: str = "onnx", version: str | None = None, **more: Any) -> ModelSource:
    """A stored model."""
    stated = {"name": format_name} | ({"version": version} if version else {})
    return ModelSource.model_validate({"modelFormat": stated, "storageUri": "pvc://models/m"} | more)


@pytest.mark.parametrize(
    ("why", "wanted", "namespaced", "clusterwide", "chosen"),
    [
        ("the only one", model(), [runtime("a", ONNX)], [], "a"),
        ("the namespace's goes first, whatever the priorities", model(), [runtime("a", ONNX)], [URGENT], "a"),
        ("the highest priority", model(), [runtime("a", ONNX), runtime("b", ONNX | {"priority": 2})], [], "b"),
        ("a disabled one is passed over", model(), [runtime("a", ONNX, disabled=True)], [runtime("b", ONNX, cluster=True)], "b"),
        ("one that does not select itself is passed over", model(), [runtime("a", {"name": "onnx"})], [runtime("b", ONNX, cluster=True)], "b"),
        ("a version is asked for", model(version="2"), [runtime("a", ONNX | {"version": "1"}), runtime("b", ONNX | {"version": "2"})], [], "b"),
        ("a runtime without version serves any", model(version="2"), [runtime("a", ONNX)], [], "a"),
        ("by name, without autoSelect", model(runtime="b"), [runtime("a", ONNX)], [runtime("b", {"name": "onnx"}, cluster=True)], "b"),
        ("the built-in one, where no other selects itself", model("sklearn"), [runtime("a", ONNX)], [], "mlserver"),
        ("an object takes the place of the built-in one", model("sklearn", runtime="mlserver"), [], [OTHER_MLSERVER], "mlserver"),
    ],
)  # fmt: skip
def test_choice(why: str, wanted: ModelSource, namespaced: Any, clusterwide: Any, chosen: str) -> None:
    """By name, else the one that selects itself: namespace, cluster, built in; the highest priority first."""
    found = choose(wanted, Catalogue(tuple(namespaced), tuple(clusterwide)))

    assert found.name == chosen, why
    if clusterwide and chosen == clusterwide[0]["metadata"]["name"]:
        assert found.kind == "ClusterServingRuntime"


@pytest.mark.parametrize(
    ("wanted", "catalogue", "reason", "says"),
    [
        (model(), Catalogue(), "NoSupportingRuntime", "kubectl apply -k manifests/runtimes"),
        (model(), Catalogue(), "NoSupportingRuntime", "kubectl apply -k manifests/runtimes-namespaced"),
        (model(version="9"), Catalogue((runtime("a", ONNX | {"version": "1"}),)), "NoSupportingRuntime", "onnx 9"),
        (model(), Catalogue((runtime("a", ONNX), runtime("b", ONNX))), "SeveralRuntimes", "a and b"),
        (model(runtime="x"), Catalogue((runtime("a", ONNX),)), "RuntimeNotFound", "'x'"),
        (model(runtime="a"), Catalogue((runtime("a", ONNX, disabled=True),)), "RuntimeDisabled", "ServingRuntime a"),
        (model("sklearn", runtime="a"), Catalogue((runtime("a", ONNX),)), "RuntimeUnsupported", "only onnx"),
        (model(runtime="a"), Catalogue((runtime("a", ONNX, runAsUser=0),)), "RuntimeInvalid", "spec.runAsUser"),
    ],
)  # fmt: skip
def test_no_choice_names_the_remedy(
    wanted: ModelSource, catalogue: Catalogue, reason: str, says: str
) -> None:
    """What is in the way has one word, and a sentence with the remedy."""
    with pytest.raises(Unresolved, match=says) as raised:
        choose(wanted, catalogue)

    assert raised.value.reason == reason
