"""`.venv/bin/python -m loadtests.failover`: leaders are lost under load."""

from __future__ import annotations

import sys

from loadtests.failover.command import main

if __name__ == "__main__":
    sys.exit(main())
