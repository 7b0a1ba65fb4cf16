"""Who is there: as many as asked, each valid, and read by the autoscaler as it is meant."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from autoscaler.signals.profiles import profile_of
from autoscaler.signals.queries import CLUSTER_OF_BACKEND, POD_OF_DEPLOYMENT
from loadtests.scale.autoscalers.pages import OF_GATEWAY, OF_MLSERVER, OF_VLLM, gateway_lines, pod_name
from loadtests.scale.autoscalers.population import KINDS, autoscaler, deployment, population, ready
from serving_api.autoscaler import InferenceAutoscaler


@pytest.mark.parametrize("autoscalers", [20, 21, 1000, 1111])
def test_one_service_in_ten_has_two_revisions(autoscalers: int) -> None:
    """However many there are; and their weights are all of the demand."""
    members = population(autoscalers)
    revisions = Counter(member.service for member in members)

    assert len(members) == len({member.name for member in members}) == autoscalers
    assert sum(count == 2 for count in revisions.values()) == pytest.approx(len(revisions) / 10, abs=1)
    assert Counter(
        member.service for member in members for _ in range(member.weight_percent)
    ) == dict.fromkeys(revisions, 100)


def test_an_autoscaler_is_what_the_crd_admits_and_names_its_siblings() -> None:
    """With itself among those whose demand is summed."""
    first, second, alone = population(20)[:3]
    read = [
        InferenceAutoscaler.parse(
            autoscaler(member)
            | {"metadata": {"namespace": member.namespace, "name": member.name, "uid": "u"}}
        )
        for member in (first, second, alone)
    ]

    assert [each.spec.share.of for each in read if each.spec.share] == [
        [first.name, second.name],
        [first.name, second.name],
        [alone.name],
    ]
    assert {each.spec.scale_target_ref.name for each in read} == {first.name, second.name, alone.name}


def test_a_deployment_is_found_by_its_pods_and_by_its_backend() -> None:
    """By the names that the questions take apart."""
    member = population(20)[1]
    (cluster,) = {
        match[1]
        for line in gateway_lines(member)
        if (match := re.search(r'cluster_name="([^"]*)"', line.series))
    }
    pod = re.fullmatch(POD_OF_DEPLOYMENT, pod_name(member, 4000))
    backend = re.fullmatch(CLUSTER_OF_BACKEND, cluster)

    assert deployment(member)["metadata"]["name"] == member.name
    assert pod is not None
    assert pod[1] == member.name
    assert backend is not None
    assert backend.groups() == (member.namespace, member.name)


@pytest.mark.parametrize("member", population(20)[1:4], ids=lambda member: str(member.kind.profile))
def test_lateness_can_be_counted(member: object) -> None:
    """Every threshold is a bound of the gateway's histogram and of the server's, and the profile is a known one."""
    bounds = {"mlserver": OF_MLSERVER, "vllm": OF_VLLM}
    for kind in KINDS:
        assert kind.threshold_milliseconds in OF_GATEWAY
        assert kind.threshold_milliseconds / 1000 in bounds[kind.profile]
    assert profile_of(InferenceAutoscaler.parse(_read(member)).spec.signals).id in bounds


def _read(member: object) -> dict[str, object]:
    return autoscaler(member) | {"metadata": {"namespace": "n", "name": "a", "uid": "u"}}  # type: ignore[arg-type]


def test_all_replicas_are_ready_together() -> None:
    """As the status of a Deployment has it."""
    assert ready(3) == {
        "status": {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
    }
