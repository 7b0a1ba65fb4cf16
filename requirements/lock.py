"""Resolve every lock file anew: exact versions with hashes, without any address."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = {
    "dev.lock": ["pyproject.toml", "--extra", "local", "--extra", "lint", "--extra", "dev"],
    "bench.lock": ["pyproject.toml", "--extra", "bench", "--constraint", "requirements/dev.lock"],
    # What goes into the images: the very versions that were tested.
    "operator.lock": ["requirements/operator.in", "--constraint", "requirements/dev.lock"],
    "autoscaler.lock": ["requirements/autoscaler.in", "--constraint", "requirements/dev.lock"],
    "build.lock": ["requirements/build.in", "--constraint", "requirements/dev.lock"],
    "go.lock": ["requirements/go.in"],
    "model-downloader-test.lock": [
        "requirements/model-downloader.in",
        "requirements/model-downloader-test.in",
    ],
    "model-downloader.lock": [
        "requirements/model-downloader.in",
        "--constraint",
        "requirements/model-downloader-test.lock",
    ],
    "model-server.lock": ["requirements/model-server.in"],
}

OPTIONS = [
    "--quiet",
    "--universal",
    "--upgrade",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--python-version",
    "3.11",
]


def main() -> None:
    """Run the resolver once per lock file."""
    for lock, sources in LOCKS.items():
        print(f"resolving {lock}")
        subprocess.run(
            [
                sys.executable,
                "-m",
                "uv",
                "pip",
                "compile",
                *sources,
                *OPTIONS,
                "--output-file",
                str(HERE / lock),
            ],
            check=True,
            cwd=HERE.parent,
        )


if __name__ == "__main__":
    main()
