"""Where the API server is and who we are to it: KUBECONFIG if set, else the pod's service account."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from serving_io.contexts import contexts_of

TOKEN_RELOAD_SECONDS = 60.0
"""Bound tokens are rotated in place by the kubelet; a file is read again at most this often."""


class ConfigurationError(Exception):
    """There is no usable way to the API server; the text says what to set."""


async def api_client(
    user_agent: str,
    environ: Mapping[str, str] = os.environ,
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
) -> ApiClient:
    """A connected client of the library, or `ConfigurationError` with the remedy.

    A stated `kubeconfig` goes before the environment, a stated `context` before the files' current one.
    """
    configuration = Configuration()
    path = kubeconfig or environ.get("KUBECONFIG")
    try:
        if path:
            contexts = await asyncio.to_thread(contexts_of, path)
            if not contexts.files:
                raise ConfigException("no file of it is there and says anything")
            context = context or contexts.current  # the library's own choice is the last file's
            await load_kube_config(  # type: ignore[no-untyped-call]
                os.pathsep.join(map(str, contexts.files)),
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
            if (token_file := contexts.token_file(context)) is not None:
                configuration.refresh_api_key_hook = _reload(token_file)  # type: ignore[assignment]
        else:
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        remedy = (
            f"KUBECONFIG={path} cannot be used"
            if path
            else "no KUBECONFIG and no mounted service account: set KUBECONFIG, or run in a pod with "
            "automountServiceAccountToken: true"
        )
        raise ConfigurationError(f"{remedy} ({error})") from error
    if configuration.proxy is None:
        configuration.proxy = _proxy(configuration.host)
    # Otherwise each request asks the environment for the proxy, and a netrc file for a password, in another thread.
    configuration.client_session_kwargs = {"trust_env": False}
    # No limit: each watch holds a connection for as long as it lasts, and a Lease must not wait for one.
    configuration.connection_pool_maxsize = 0
    client = ApiClient(configuration)
    client.user_agent = user_agent
    return client


def _proxy(address: str) -> str | None:
    """The proxy that the environment names for an address (HTTPS_PROXY, NO_PROXY …)."""
    parts, proxies = urlsplit(address), getproxies()
    host = parts.hostname
    if host is None or proxy_bypass(host) or _is_in_a_network(host, proxies.get("no", "")):
        return None
    return proxies.get(parts.scheme)


def _is_in_a_network(host: str, excepted: str) -> bool:
    # As kubectl reads NO_PROXY; `proxy_bypass` takes 10.0.0.0/8 for a name.
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in map(_network, excepted.split(",")) if network is not None)


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry.strip(), strict=False)
    except ValueError:
        return None


def _reload(token_file: Path) -> Callable[[Any], None]:
    # The library reads it once; a token that is rotated would expire under a long-running process.
    read_at = float("-inf")

    def refresh(configuration: Any) -> None:
        nonlocal read_at
        if time.monotonic() - read_at >= TOKEN_RELOAD_SECONDS:
            configuration.api_key["BearerToken"] = f"Bearer {token_file.read_text().strip()}"
            read_at = time.monotonic()

    return refresh
