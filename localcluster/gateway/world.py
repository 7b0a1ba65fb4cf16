"""What the gateway sees of the API server, and how the objects are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from localcluster.objects import Object

CONTROLLER_NAME = "serving-operator.dev/local-gateway"
GATEWAY_GROUP = "gateway.networking.k8s.io"


class Key(NamedTuple):
    """Namespace (empty for cluster-scoped objects) and name."""

    namespace: str
    name: str


def key_of(item: Object) -> Key:
    """The key of an API object."""
    metadata = item["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def generation_of(item: Object) -> int:
    """`metadata.generation` of an API object."""
    return int(item["metadata"].get("generation", 0))


@dataclass(frozen=True)
class World:
    """One look at every object that the translation depends on."""

    classes: Mapping[Key, Object] = field(default_factory=dict)
    gateways: Mapping[Key, Object] = field(default_factory=dict)
    routes: Mapping[Key, Object] = field(default_factory=dict)
    services: Mapping[Key, Object] = field(default_factory=dict)
    slices: Mapping[Key, Object] = field(default_factory=dict)

    def our_classes(self) -> dict[Key, Object]:
        """GatewayClasses that name this controller."""
        return {
            key: item
            for key, item in self.classes.items()
            if item.get("spec", {}).get("controllerName") == CONTROLLER_NAME
        }

    def our_gateways(self) -> dict[Key, Object]:
        """Gateways of our classes."""
        names = {key.name for key in self.our_classes()}
        return {
            key: item
            for key, item in self.gateways.items()
            if item.get("spec", {}).get("gatewayClassName") in names
        }


@dataclass(frozen=True)
class Verdict:
    """What one condition says: its type, status, reason and message."""

    type: str
    status: bool
    reason: str
    message: str = ""
