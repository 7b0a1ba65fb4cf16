"""How a download ends when it does not succeed: the exit code, and one sentence with the remedy."""

from __future__ import annotations


class Failed(Exception):  # noqa: N818  (its subclasses say what happened)
    """The download has failed; to try again may help."""

    exit_code = 1


class Refused(Failed):
    """What was asked for, or what was found, is not to be had: a person has to change something."""

    exit_code = 3


class NotFound(Failed):
    """There is nothing at the address, or the credentials do not open it."""

    exit_code = 4
