"""A copy of the working tree for each part, in which mutmut works and remembers."""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from tests.mutation.outcomes import SURVIVED, noted, outcome
from tests.mutation.parts import ROOT, Part

BESIDE = ("autoscaler", "crds", "docs", "loadtests", "localcluster", "manifests", "serving_api", "serving_io")
"""What the tests import or read besides `serving_operator` and `tests`."""
COPIED = (*BESIDE, "serving_operator", "tests")
PYTEST = ("-p", "no:xdist", "-p", "no:cacheprovider", "--tb=no", "--assert=plain")
PATIENCE_SECONDS = 150.0
PATIENCE_FACTOR = 4.0
"""A mutant times out after this many times its tests' usual time and PATIENCE_SECONDS, by the clock. What does not
wait but works without end is stopped earlier, by `limit`."""


def state_of_tree() -> str:
    """The commit, and whether anything differs from it."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def settings(part: Part) -> str:
    """The section of pyproject.toml that mutmut reads."""
    lines = {
        "source_paths": ["serving_operator"],
        "only_mutate": list(part.mutated),
        "also_copy": list(BESIDE),
        "pytest_add_cli_args": list(PYTEST),
        "pytest_add_cli_args_test_selection": list(part.tests),
        "timeout_constant": PATIENCE_SECONDS,
        "timeout_multiplier": PATIENCE_FACTOR,
    }
    switches = "use_git_change_detection = false\ntrack_dependencies = false\n"
    return "\n[tool.mutmut]\n" + "".join(f"{key} = {value!r}\n" for key, value in lines.items()) + switches


def prepare(tree: Path, part: Part, root: Path = ROOT) -> None:
    """Bring the copy up to date, and open again what has to be: see `reopen`.

    What is the same is not written, for mutmut goes by the times of files.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *COPIED],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    wanted = {name for name in listed.stdout.split("\0") if name and (root / name).exists()}
    for name in sorted(wanted):
        copy = tree / name
        if not copy.exists() or not filecmp.cmp(root / name, copy, shallow=False):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, copy)
    for folder in COPIED:
        for copy in [path for path in (tree / folder).rglob("*.py") if path.is_file()]:
            if str(copy.relative_to(tree)) not in wanted:
                copy.unlink()
                (tree / "mutants" / copy.relative_to(tree)).unlink(missing_ok=True)
    (tree / "pyproject.toml").write_text((root / "pyproject.toml").read_text() + settings(part))
    reopen(tree, part)


def reopen(tree: Path, part: Part) -> None:
    """Forget what mutmut would keep: what was never decided, and, where the tests have changed, who survived."""
    made, fingerprint = tree / "mutants", tree / "tests.sha256"
    now = _fingerprint(tree, part)
    changed = not fingerprint.exists() or fingerprint.read_text() != now
    if changed:
        (made / "mutmut-stats.json").unlink(missing_ok=True)
    for file in [path for pattern in part.mutated for path in made.glob(pattern)]:
        meta = file.with_name(f"{file.name}.meta")
        if not meta.exists() or meta.stat().st_mtime_ns < file.stat().st_mtime_ns:
            file.unlink()  # it was being written when mutmut was stopped, who takes it for whole
    for meta in made.rglob("*.meta"):
        known = noted(meta)
        codes = known["exit_code_by_key"]
        if not codes:
            meta.with_suffix("").unlink(missing_ok=True)
        for name, code in codes.items():
            if outcome(code) == "undecided" or (changed and outcome(code) in SURVIVED):
                codes[name] = None
        meta.write_text(json.dumps(known))
    fingerprint.write_text(now)


def _fingerprint(tree: Path, part: Part) -> str:
    told = hashlib.sha256()
    folders = [tree / name for name in part.tests if not name.startswith("-")]
    for path in sorted({tree / "tests" / "conftest.py"}.union(*(folder.rglob("*.py") for folder in folders))):
        told.update(f"{path.relative_to(tree)}\n".encode() + path.read_bytes())
    return told.hexdigest()
