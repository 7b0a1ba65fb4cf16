"""`.venv/bin/python -m loadtests.live`: ours, the HPA and KEDA take turns at the same service."""

from __future__ import annotations

import sys

from loadtests.live.command import main

if __name__ == "__main__":
    sys.exit(main())
