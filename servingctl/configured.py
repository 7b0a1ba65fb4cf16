"""How the programs of a cluster are configured: by the ConfigMap that the operator's Deployment mounts."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from serving_api.configuration import Configuration, parse
from serving_api.names import OPERATOR
from serving_io.cluster import Cluster
from serving_io.errors import Forbidden, NotFound
from serving_io.kinds import CONFIG_MAP, DEPLOYMENT
from serving_operator.administered import settings_of
from serving_operator.world import Settings

CONFIG = "serving-config"
VOLUME = "config"
KEY = "config.yaml"


class Configured(NamedTuple):
    """What an installation was told, and who says so."""

    configuration: Configuration
    settings: Settings
    source: str
    is_known: bool
    """False: it may not be read, and defaults are assumed."""


async def configured(cluster: Cluster, system_namespace: str) -> Configured:
    """Read the configuration of an installation. Raises `ApiError`, and ValueError if it is none that programs take."""
    name = await _name(cluster, system_namespace)
    source = f"ConfigMap {system_namespace}/{name}"
    try:
        found = await cluster.get(CONFIG_MAP, name, system_namespace)
    except NotFound:
        return _of(Configuration(), system_namespace, "defaults: there is no " + source)
    except Forbidden:
        return _of(Configuration(), system_namespace, f"defaults: {source} may not be read", is_known=False)
    data = found.get("data") or {}
    if data and KEY not in data:
        raise ValueError(f"{source} has {', '.join(sorted(data))} and no {KEY}; rename the key")
    try:
        administrator = parse(yaml.safe_load(data.get(KEY) or ""))
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{source}, key {KEY}: {error}") from None
    return _of(administrator, system_namespace, source)


def _of(administrator: Configuration, namespace: str, source: str, *, is_known: bool = True) -> Configured:
    return Configured(administrator, settings_of(administrator, namespace), source, is_known)


async def _name(cluster: Cluster, system_namespace: str) -> str:
    """Return the ConfigMap's name; kustomize may have put a hash behind it."""
    try:
        deployment = await cluster.get(DEPLOYMENT, OPERATOR, system_namespace)
    except (NotFound, Forbidden):
        return CONFIG
    volumes: list[dict[str, Any]] = deployment["spec"]["template"]["spec"].get("volumes") or []
    names = (
        volume["configMap"].get("name")
        for volume in volumes
        if volume["name"] == VOLUME and "configMap" in volume
    )
    return next((str(name) for name in names if name), CONFIG)
