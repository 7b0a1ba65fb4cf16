"""Write rules.yaml from code.

`.venv/bin/python -m manifests.prometheus.build [--check]`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autoscaler.signals.rules import rules_yaml

HERE = Path(__file__).parent


def main() -> None:
    """Write or check the file."""
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m manifests.prometheus.build", description=__doc__
    )
    parser.add_argument("--check", action="store_true", help="fail if a file differs instead of writing it")
    check = parser.parse_args().check
    path, text = HERE / "rules.yaml", rules_yaml()
    if not check:
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        sys.exit(f"{path.name} differs from its source: run `make manifests`")


if __name__ == "__main__":
    main()
