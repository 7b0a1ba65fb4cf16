"""Profile files: what is accepted, and how the rest is refused."""

from pathlib import Path

import pytest

from loadtests.arrivals import RateChange
from loadtests.profile import Profile, ProfileError, load_profile

WANTED = Profile((RateChange(0, 5), RateChange(30, 0), RateChange(40, 20)), 60)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("load.json", '[{"seconds":30,"rate":5},{"seconds":10,"rate":0},{"seconds":20,"rate":20}]'),
        ("load.csv", "seconds,rate\n30,5\n10,0\n20,20\n"),
    ],
)
def test_both_formats_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    """JSON and CSV of the same pieces give the same profile."""
    (tmp_path / name).write_text(text)
    assert load_profile(tmp_path / name) == WANTED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds no pieces"),
        ("{}", "must be a list"),
        ("[{", "is no JSON"),
        ('[{"seconds": 1}]', "piece 1: rate must be a number, it is None"),
        ('[{"seconds": 1, "rate": 1}, {"seconds": 0, "rate": 1}]', "piece 2: seconds must be above 0"),
        ('[{"seconds": 1, "rate": -2}]', "rate must be finite and not negative, it is -2"),
        ('[{"seconds": 1, "rate": "fast"}]', "rate must be a number, it is 'fast'"),
        ('[{"seconds": Infinity, "rate": 1}]', "seconds must be finite"),
    ],
)
def test_a_bad_profile_is_refused_by_place_and_name(tmp_path: Path, text: str, message: str) -> None:
    """The error names the piece and the field that is wrong."""
    path = tmp_path / "load.json"
    path.write_text(text)
    with pytest.raises(ProfileError, match=message):
        load_profile(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error names the file that could not be read."""
    with pytest.raises(ProfileError, match=r"nowhere\.json: No such file"):
        load_profile(tmp_path / "nowhere.json")
