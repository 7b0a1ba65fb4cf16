"""Which kubeconfig a person means, and what its context says: as kubectl reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from serving_io.connection import ConfigurationError

DEFAULT_NAMESPACE = "default"


def path_of(stated: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The path as stated, else KUBECONFIG, else ~/.kube/config; None where there is none: a pod has no file.

    Raises `ConfigurationError` for a stated file that is not there.
    """
    if stated is not None:
        if not Path(stated).is_file():
            raise ConfigurationError(f"--kubeconfig {stated}: there is no such file")
        return stated
    if environ.get("KUBECONFIG"):
        return environ["KUBECONFIG"]
    usual = Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"
    return str(usual) if usual.is_file() else None


def contexts_of(path: str | None) -> Mapping[str, Mapping[str, Any]]:
    """The contexts by name, the current one under the empty name too. Raises `ConfigurationError`."""
    found: dict[str, Mapping[str, Any]] = {}
    for candidate in (path or "").split(os.pathsep):
        if not candidate or not Path(candidate).is_file():
            continue
        try:
            config: Any = yaml.safe_load(Path(candidate).read_text())
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigurationError(f"kubeconfig {candidate} cannot be read ({error})") from error
        if not isinstance(config, dict):
            continue
        for entry in config.get("contexts") or ():
            found.setdefault(str(entry.get("name")), entry.get("context") or {})
        current = config.get("current-context")
        if current in found:
            found.setdefault("", found[str(current)])
    return found


def namespace_of(path: str | None, context: str | None) -> str:
    """The namespace of a context, or of the current one. Raises `ConfigurationError` for an unknown context."""
    contexts = contexts_of(path)
    if context and context not in contexts:
        known = ", ".join(sorted(name for name in contexts if name)) or "none"
        raise ConfigurationError(f"--context {context}: the kubeconfig has no such context (it has: {known})")
    return str(contexts.get(context or "", {}).get("namespace") or DEFAULT_NAMESPACE)
