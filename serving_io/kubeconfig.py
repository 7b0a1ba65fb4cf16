"""Which kubeconfig a person means, and what its context says: as kubectl reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from serving_io.connection import ConfigurationError
from serving_io.contexts import Contexts, contexts_of

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


def known_contexts(path: str | None) -> Contexts:
    """The contexts of the files of a path. Raises `ConfigurationError` for a file that cannot be read."""
    try:
        return contexts_of(path)
    except ValueError as error:
        raise ConfigurationError(f"kubeconfig {error}") from error


def namespace_of(path: str | None, context: str | None) -> str:
    """The namespace of a context, or of the current one. Raises `ConfigurationError` for an unknown context."""
    contexts = known_contexts(path)
    if context and context not in contexts.described:
        known = ", ".join(sorted(contexts.described)) or "none"
        raise ConfigurationError(f"--context {context}: the kubeconfig has no such context (it has: {known})")
    chosen = contexts.described.get(context or contexts.current or "", {})
    return str(chosen.get("namespace") or DEFAULT_NAMESPACE)
