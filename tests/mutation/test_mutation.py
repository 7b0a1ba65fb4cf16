"""What is mutated and counted, what is kept between two commands, and that every excuse still has its mutant."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from mutmut import configuration

from tests.mutation import equivalent
from tests.mutation.__main__ import shared_out, told
from tests.mutation.outcomes import Change, Mutant, difference, function_lines, mutants, outcome
from tests.mutation.parts import PARTS, ROOT, Part
from tests.mutation.summary import KEYS, counts, killed_ratio, report, summary
from tests.mutation.tree import prepare, settings

PART = Part(("serving_operator/judge/*.py",), ("tests/operator/judge",))
SOURCE, TEST = "serving_operator/judge/a.py", "tests/operator/judge/test_a.py"


def test_every_part_has_modules_and_tests() -> None:
    """No pattern and no path leads nowhere, and no module is in two parts."""
    found = [path for part in PARTS.values() for pattern in part.mutated for path in ROOT.glob(pattern)]
    assert len(found) == len(set(found))
    assert all(list(ROOT.glob(pattern)) for part in PARTS.values() for pattern in part.mutated)
    paths = [name.rpartition("=")[2] for part in PARTS.values() for name in part.tests]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_excuse_still_has_its_mutant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An equivalent mutant that is no longer made, because its line has changed, is excused no more."""
    (tmp_path / "pyproject.toml").write_text(settings(PART))
    monkeypatch.chdir(tmp_path)
    configuration.reset_config()
    functions = defaultdict(set)
    for change in equivalent.known():
        functions[change.file].add(change.function)
    made = set()
    for file, names in functions.items():
        made |= equivalent.made(file, (ROOT / file).read_text(), names)
    configuration.reset_config()
    assert set(equivalent.known()) - made == set()


@pytest.mark.parametrize(
    ("entries", "reason", "said"), [(1, "", "must say why"), (2, "it is the same", "twice")]
)
def test_an_excuse_needs_a_reason_and_stands_once(
    tmp_path: Path, entries: int, reason: str, said: str
) -> None:
    """What is wrong with an entry is said, with the change that it names."""
    entry = f'[[equivalent]]\nfile = "a.py"\nfunction = "f"\nwas = "x"\nbecame = ["y"]\nreason = "{reason}"\n'
    (tmp_path / "equivalent.toml").write_text(entry * entries)
    with pytest.raises(ValueError, match=said):
        equivalent.known(tmp_path / "equivalent.toml")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "survived"),
        (1, "killed"),
        (33, "untested"),
        (36, "timed out"),
        (2, "undecided"),
        (None, "undecided"),
    ],
)
def test_an_exit_code_is_an_outcome(code: int | None, said: str) -> None:
    """A failed test kills, silence survives, and an interruption decides nothing."""
    assert outcome(code) == said


def test_a_change_is_the_lines_that_differ() -> None:
    """Its place counts from the `def`, whatever stands above; what is left out becomes nothing."""
    before = "# why\ndef f(x):\n    a = 1\n    g(\n        x,\n        2)\n    return a\n"
    assert difference(before, before.replace("        x,\n", "")) == (3, "x,", "")
    assert difference(before, before.replace("x,\n        2", "x,\n        3")) == (4, "2)", "3)")
    assert function_lines("import a\nclass C:\n    def m(self): ...\ndef f(): ...\n") == {"C.m": 3, "f": 4}


def test_a_survivor_is_told_with_its_place() -> None:
    """File and line, the function, and the change; one that no test reaches is told as such."""
    change = Change("a.py", "f", "x > 1", "x >= 1")
    assert told(3, change, Mutant("m", "a.py", "survived", 0.1)) == "* `a.py:3` (f): `x > 1` → `x >= 1`"
    assert "(f, untested)" in told(3, change, Mutant("m", "a.py", "untested", 0.1))
    assert told(3, change._replace(became=""), Mutant("m", "a.py", "survived", 0.1)).endswith(
        "`x > 1` left out"
    )


def test_the_ratio_leaves_out_what_is_equivalent_and_waits_for_all() -> None:
    """A mutant that timed out counts as killed, an untested one as a survivor."""
    decided = ["killed"] * 6 + ["timed out", "survived", "survived", "untested"]
    assert counts(decided, 1)["killed_ratio"] == round(7 / 9, 4)
    assert counts([*decided, "undecided"], 1)["killed_ratio"] is None
    assert counts([], 0)["killed_ratio"] is None


def test_the_summary_has_every_key_that_is_documented() -> None:
    """The file of numbers holds the documented keys and no others, the docs name each, and the report tells all modules."""
    outcomes = {"a.py": ["killed", "survived"], "b.py": ["killed"], "empty.py": []}
    numbers = summary("abc", outcomes, {"a.py": 1}, {"judge": 1.5}, {"a.py": 1.0, "b.py": 0.5}, [])
    assert set(numbers) == set(KEYS)
    assert (numbers["killed_ratio"], numbers["complete"], list(numbers["modules"])) == (
        1.0,
        True,
        ["a.py", "b.py"],
    )
    assert "| b.py | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 100.0% | 0.5 |" in report(numbers, ["* s"], ["* e"])
    documented = (ROOT / "docs/testing.md").read_text()
    assert [key for key in KEYS if f"| `{key}` |" not in documented] == []
    part = summary("abc", outcomes, {}, {}, {}, ["rollout"])
    assert (part["killed_ratio"], part["complete"]) == (None, False)


def test_there_is_no_ratio_until_every_mutant_was_tried(tmp_path: Path) -> None:
    """Who reads the ratio gets it, or why there is none."""
    path = tmp_path / "summary.json"
    assert killed_ratio(path) == (None, "`make mutation` has not run here")
    path.write_text(json.dumps({"complete": False, "undecided": 7, "killed_ratio": None}))
    assert "7" in str(killed_ratio(path)[1])
    path.write_text(json.dumps({"complete": True, "undecided": 0, "killed_ratio": 0.9}))
    assert killed_ratio(path) == (0.9, None)


def test_minutes_are_shared_out_by_the_time_that_mutants_took() -> None:
    """Files whose mutants took no time get none, and no mutants share nothing."""
    of = [Mutant("m", "a.py", "killed", 3.0), Mutant("n", "b.py", "killed", 1.0)]
    assert shared_out(8.0, of) == {"a.py": 6.0, "b.py": 2.0}
    assert shared_out(8.0, []) == {}


def test_what_is_known_is_kept_until_the_tests_change(tmp_path: Path) -> None:
    """What was killed stays so; survivors are tried again once a test has changed; half a note is no loss."""
    root, tree = tmp_path / "root", tmp_path / "tree"
    for name, text in {SOURCE: "x = 1\n", TEST: "", "tests/conftest.py": "", "pyproject.toml": ""}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", root], check=True)
    prepare(tree, PART, root)
    written = (tree / SOURCE).stat().st_mtime_ns
    meta = tree / "mutants" / f"{SOURCE}.meta"
    meta.parent.mkdir(parents=True)
    codes = {"killed": 1, "survived": 0, "interrupted": 2}
    noted = {"exit_code_by_key": codes, "durations_by_key": {}, "estimated_durations_by_key": {}}
    meta.write_text(json.dumps(noted))

    prepare(tree, PART, root)
    assert (tree / SOURCE).stat().st_mtime_ns == written
    assert [mutant.outcome for mutant in mutants(tree)] == ["killed", "survived", "undecided"]

    (root / TEST).write_text("# another\n")
    prepare(tree, PART, root)
    assert (tree / TEST).read_text() == "# another\n"
    assert [mutant.outcome for mutant in mutants(tree)] == ["killed", "undecided", "undecided"]

    half_written = tree / "mutants" / SOURCE
    half_written.write_text("x")
    meta.write_text('{"exit_code_by')
    assert [mutant.outcome for mutant in mutants(tree)] == ["killed", "undecided", "undecided"]

    (root / TEST).unlink()
    prepare(tree, PART, root)
    assert not (tree / TEST).exists()
    assert half_written.exists()
    assert [mutant.outcome for mutant in mutants(tree)] == ["killed", "undecided", "undecided"]

    half_written.with_name("b.py").write_text("x")
    prepare(tree, PART, root)
    assert [path.name for path in half_written.parent.glob("*.py")] == ["a.py"]
