"""Settings as the administrator's configuration has them: what an operator without flags decides by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from serving_api.configuration import Configuration
from serving_operator.world import DEFAULT_SETTINGS, Settings


def settings_of(administrator: Configuration, namespace: str) -> Settings:
    """Return the settings of an operator that was installed in this namespace."""
    operator, models, default = administrator.operator, administrator.models, DEFAULT_SETTINGS
    downloads = replace(
        default.downloads,
        **_stated(models, image="downloader_image", limit_megabytes="download_limit_megabytes"),
        networks=tuple(str(network) for network in models.download_networks),
    )
    stated = _stated(
        operator,
        propagation_delay_seconds="propagation_delay_seconds",
        min_ready_seconds="min_ready_seconds",
        drain_seconds="drain_seconds",
        stable_broken_seconds="stable_broken_seconds",
    )
    return replace(
        default,
        **stated,
        namespace=namespace,
        route=administrator.route,
        accelerators=tuple(administrator.accelerators),
        downloads=downloads,
    )


def _stated(section: BaseModel, **fields: str) -> dict[str, Any]:
    """Return what a section says, by the name of the setting; what it leaves out keeps its default."""
    values = {name: getattr(section, field) for name, field in fields.items()}
    return {name: value for name, value in values.items() if value is not None}
