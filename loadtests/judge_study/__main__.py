"""`.venv/bin/python -m loadtests.judge_study`: how often judges of canaries are wrong."""

from __future__ import annotations

import sys

from loadtests.judge_study.command import main

if __name__ == "__main__":
    sys.exit(main())
