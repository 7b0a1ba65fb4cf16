"""`.venv/bin/python -m loadtests.upgrade`: another release under a canary at half the traffic."""

from __future__ import annotations

import sys

from loadtests.upgrade.command import main

if __name__ == "__main__":
    sys.exit(main())
