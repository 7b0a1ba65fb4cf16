"""`.venv/bin/python -m loadtests.soak`: hours of random rollouts, loads and faults."""

from __future__ import annotations

import sys

from loadtests.soak.command import main

if __name__ == "__main__":
    sys.exit(main())
