"""`.venv/bin/python -m loadtests.scale.autoscalers`: many InferenceAutoscalers on one small machine."""

from __future__ import annotations

import sys

from loadtests.scale.autoscalers.command import main

if __name__ == "__main__":
    sys.exit(main())
