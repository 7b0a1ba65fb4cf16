"""`.venv/bin/python -m loadtests URL …`: the command line of the load generator."""

from __future__ import annotations

import sys

from loadtests.command import main

if __name__ == "__main__":
    sys.exit(main())
