"""`.venv/bin/python -m loadtests.scale`: many services on one small machine."""

from __future__ import annotations

import sys

from loadtests.scale.command import main

if __name__ == "__main__":
    sys.exit(main())
