"""`.venv/bin/python -m loadtests.preview`."""

from __future__ import annotations

import sys

from loadtests.preview.command import main

if __name__ == "__main__":
    sys.exit(main())
