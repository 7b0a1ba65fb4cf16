"""Build the Grafana dashboards: `.venv/bin/python -m manifests.dashboards.build [--check]` writes them beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from manifests.dashboards.fleet import FLEET
from manifests.dashboards.grafana import dashboard_json
from manifests.dashboards.programs import PROGRAMS
from manifests.dashboards.rollout import ROLLOUT
from manifests.dashboards.scaling import SCALING

HERE = Path(__file__).parent
BOARDS = {"fleet.json": FLEET, "scaling.json": SCALING, "rollout.json": ROLLOUT, "operator.json": PROGRAMS}


def main() -> None:
    """Write or check the dashboard files."""
    parser = argparse.ArgumentParser(
        prog=".venv/bin/python -m manifests.dashboards.build", description=__doc__
    )
    parser.add_argument("--check", action="store_true", help="fail if a file differs instead of writing it")
    check = parser.parse_args().check
    for name, board in BOARDS.items():
        path, text = HERE / name, dashboard_json(board)
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{name} differs from its code: run `make dashboards`")


if __name__ == "__main__":
    main()
