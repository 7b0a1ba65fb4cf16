"""Settings as the administrator's configuration has them: what an operator without flags decides by."""

from __future__ import annotations

from dataclasses import replace

from serving_api.configuration import Configuration
from serving_operator.world import DEFAULT_SETTINGS, Settings

_OF_THE_OPERATOR = {
    "propagation_delay_seconds",
    "min_ready_seconds",
    "drain_seconds",
    "stable_broken_seconds",
}
"""Keys of the configuration's section `operator` that are settings of the same name."""


def settings_of(administrator: Configuration, namespace: str) -> Settings:
    """Return the settings of an operator that was installed in this namespace."""
    models, default = administrator.models, DEFAULT_SETTINGS
    downloads = replace(
        default.downloads,
        image=models.downloader_image or default.downloads.image,
        networks=tuple(str(network) for network in models.download_networks),
        limit_megabytes=models.download_limit_megabytes or default.downloads.limit_megabytes,
    )
    return replace(
        default,
        **administrator.operator.model_dump(include=_OF_THE_OPERATOR, exclude_none=True),
        namespace=namespace,
        route=administrator.route,
        accelerators=tuple(administrator.accelerators),
        downloads=downloads,
    )
