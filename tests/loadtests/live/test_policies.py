"""What is applied for each policy."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from autoscaler.replay.settings import autoscalers
from loadtests.live import policies
from loadtests.live.play import BASE
from loadtests.live.policies import POLICIES, Policy
from serving_api.service import InferenceServiceSpec


@pytest.mark.parametrize("policy", POLICIES)
def test_the_service_is_valid_and_its_pods_are_the_same(policy: Policy) -> None:
    """Who scales is no part of a pod: going from one policy to another replaces none."""
    made = policies.service(BASE, policy)
    spec = InferenceServiceSpec.model_validate(made["spec"])
    assert spec.scaling.class_ == ("Auto" if policy == "ours" else "External")
    resources = made["spec"]["predictor"]["model"]["resources"]
    assert resources["requests"]["cpu"] == resources["limits"]["cpu"]
    assert {**made["spec"]["predictor"], "minReplicas": 0, "maxReplicas": 0} == {
        **policies.service(BASE, "ours")["spec"]["predictor"],
        "minReplicas": 0,
        "maxReplicas": 0,
    }


def test_ours_is_told_the_objective_and_nothing_else() -> None:
    """No hold, no target, no threshold."""
    assert policies.service(BASE, "ours")["spec"]["scaling"] == {"class": "Auto", "mode": "Auto"}


def test_the_peers_have_the_same_bounds_target_and_hold() -> None:
    """What HPA and KEDA are told agrees: 70% of a replica, 1 to 6 of them, kept for a minute."""
    hpa = policies.hpa("digits")["spec"]
    scaled = policies.scaled_object("digits", "demo", "http://prometheus", 0.1)["spec"]
    assert hpa["scaleTargetRef"] == scaled["scaleTargetRef"]
    assert (hpa["minReplicas"], hpa["maxReplicas"]) == (1, 6)
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (1, 6)
    assert hpa["behavior"] == scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    (metric,), (trigger,) = hpa["metrics"], scaled["triggers"]
    assert metric["resource"]["target"]["averageUtilization"] == 70
    assert trigger["metadata"]["threshold"] == "7.000"
    assert 'envoy_cluster_name=~"httproute/demo/digits/.*"' in trigger["metadata"]["query"]


def test_what_a_replay_is_exported_for_can_be_read(tmp_path: Any) -> None:
    """The InferenceAutoscaler of a peer's Deployment is one that `servingctl replay` takes."""
    file = tmp_path / "autoscaler.yaml"
    made = policies.autoscaler("digits", "digits-0036f2d2", BASE["spec"]["objective"])
    file.write_text(yaml.safe_dump(made), encoding="utf-8")
    assert [one["spec"]["scaleTargetRef"] for one in autoscalers(file)] == [{"name": "digits-0036f2d2"}]
