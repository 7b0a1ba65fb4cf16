"""Whether a ResourceQuota leaves no room for even one pod of the revision that the spec asks for."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from serving_api.quantity import value_of
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.recording import rendered
from serving_operator.world import Manifest


def refusal(observed: Observed) -> str | None:
    """Return which quota refuses the next pod, by how much, and the remedy; None if all admit it.

    Quotas with a scope are left to the API server, which alone knows what falls under them.
    """
    known = observed.records.get(observed.wanted) or observed.last_record(observed.wanted)
    record = known or rendered(observed, observed.wanted, 1, {}, False)
    asked = demand(record["data"]["podTemplate"])
    for quota in observed.world.quotas:
        spec, status = quota.get("spec") or {}, quota.get("status") or {}
        if spec.get("scopes") or spec.get("scopeSelector"):
            continue
        used = status.get("used") or {}
        for resource, hard in (status.get("hard") or spec.get("hard") or {}).items():
            wanted = asked.get(resource)
            free = value_of(hard) - value_of(used.get(resource, "0"))
            if wanted and wanted > free:
                where = f"{observed.world.key.namespace}/{quota['metadata']['name']}"
                return (
                    f"ResourceQuota {where} leaves {max(free, Decimal(0))} of {resource} and one pod takes {wanted}: "
                    f"raise the quota, or lower predictor resources or replicas."
                )
    return None


def demand(pod_template: Manifest) -> Mapping[str, Decimal]:
    """Return what one pod takes of a quota, by the quota's names of resources."""
    taken: dict[str, Decimal] = {}
    for container in pod_template["spec"]["containers"]:
        for resource, amount in _of_container(container).items():
            taken[resource] = taken.get(resource, Decimal(0)) + amount
    # Init containers run before, one at a time: the pod takes what the hungriest does, if that is more.
    for container in pod_template["spec"].get("initContainers") or ():
        for resource, amount in _of_container(container).items():
            taken[resource] = max(taken.get(resource, Decimal(0)), amount)
    return {"pods": Decimal(1), "count/pods": Decimal(1)} | taken


def _of_container(container: Manifest) -> Mapping[str, Decimal]:
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    requests = limits | (resources.get("requests") or {})
    taken = {f"limits.{resource}": value_of(amount) for resource, amount in limits.items()}
    taken |= {f"requests.{resource}": value_of(amount) for resource, amount in requests.items()}
    plain = ("cpu", "memory", "ephemeral-storage")
    return taken | {resource: value_of(requests[resource]) for resource in plain if resource in requests}
