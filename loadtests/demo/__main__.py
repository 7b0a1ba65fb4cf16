"""`.venv/bin/python -m loadtests.demo`: the main job, live."""

from __future__ import annotations

import sys

from loadtests.demo.command import main

if __name__ == "__main__":
    sys.exit(main())
