"""How a command ends: the exit codes, and the one error that ends it early with a sentence."""

from __future__ import annotations

import click

from serving_io.connection import ConfigurationError
from serving_io.errors import ApiError, Conflict, Forbidden, NotFound, ServingIOError, Unavailable

OK = 0
FOUND = 1
USAGE = 2
UNANSWERED = 3
INTERRUPTED = 130

MEANING = """\b
Exit codes:
  0    all is well, or done
  1    something was found: a failed check, a lint error, a difference, a refused field, a command that cannot be given
  2    the command line or a file cannot be understood
  3    the cluster did not answer, or refused
  130  interrupted"""


class Stop(click.ClickException):
    """Ends the command with a sentence on stderr."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def stopped_by(error: ServingIOError | ConfigurationError | OSError) -> Stop:
    """Say what a failed request means for the person who asked, and the remedy."""
    if isinstance(error, ConfigurationError):
        return Stop(
            f"{error}; name a file by --kubeconfig or KUBECONFIG, and a context by --context", UNANSWERED
        )
    if isinstance(error, Forbidden):
        return Stop(
            f"the API server refuses: {error.message}; ask for the right, or use another --context",
            UNANSWERED,
        )
    if isinstance(error, NotFound) and "could not find the requested resource" in error.message:
        return Stop("the CRDs are not installed there: kubectl apply --server-side -k crds", UNANSWERED)
    if isinstance(error, Unavailable) and error.status == 0:
        return Stop(
            f"the API server does not answer ({error.message}); check --kubeconfig and --context", UNANSWERED
        )
    if isinstance(error, ApiError) and error.status == 401:
        return Stop(
            "the API server does not know who asks (401): log in again, or use another --context", UNANSWERED
        )
    if isinstance(error, Conflict):
        return Stop(f"the object is another one by now ({error.message}); give the command again", UNANSWERED)
    return Stop(str(error), UNANSWERED)
