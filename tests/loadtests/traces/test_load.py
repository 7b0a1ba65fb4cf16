"""Public traces: each form is read for what it says, and what cannot be read is named by file and line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from loadtests.traces.load import FORMATS, load
from loadtests.traces.table import TraceError
from loadtests.traces.trace import Trace
from tests.loadtests.traces import files

HERE = "files written by the test"
DIRECTORIES = [HERE, *filter(None, [os.environ.get("SERVING_TRACES")])]
"""Where all traces are read from: always the test's own, and the public ones where they are."""
DOCUMENT = Path(__file__).parents[3] / "loadtests/traces/README.md"


def of_text(tmp_path: Path, name: str, text: str) -> list[Trace]:
    (tmp_path / name).write_text(text)
    return load(tmp_path)


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_whatever_is_read_is_whole(directory: str, tmp_path: Path) -> None:
    """Every trace has a name of its own and demand; its recorded requests are in order and those that rates count."""
    traces = load(files.write_all(tmp_path) if directory == HERE else Path(directory))
    assert len({trace.name for trace in traces}) == len(traces) > 0
    for trace in traces:
        assert trace.mean_rate > 0, trace.name
        recorded = trace.recorded
        if recorded is not None:
            assert (np.diff(recorded.seconds) >= 0).all(), trace.name
            assert 0 <= recorded.seconds[0] <= recorded.seconds[-1] < trace.duration_seconds, trace.name
            assert len(recorded.seconds) == len(recorded.input_tokens) == len(recorded.output_tokens)
            assert trace.rates.sum() * trace.seconds_per_step == pytest.approx(len(recorded.seconds))


def test_a_directory_is_read_in_the_order_of_paths(tmp_path: Path) -> None:
    """Files of all forms are found in all folders, gzipped or not; what is no trace is left alone."""
    assert [trace.name for trace in load(files.write_all(tmp_path))] == [
        "BurstGPT_1/ChatGPT",
        "BurstGPT_1/GPT-4",
        "AzureLLMInferenceTrace_code",
        "azure_llm_2024_conv",
        "azure_functions_2019_two/aaaabbbbcccc",
        "azure_functions_2019_two/e",
        "conversation_trace",
        "per_second",
        "m-tiny-aggregate-days1",
    ]


@pytest.mark.parametrize(
    "text",
    [
        files.AZURE,
        "\n".join([files.AZURE.splitlines()[0], *reversed(files.AZURE.splitlines()[1:])]),
        files.AZURE.replace("00,", "00+00:00,"),
        "\ufeff" + files.AZURE.replace("\n", "\r\n"),
        files.AZURE.replace("\n", "\n\n"),
    ],
)
def test_azure_requests_come_from_the_first_on(tmp_path: Path, text: str) -> None:
    """Times are seconds since the first request, with or without a zone, and rates count minutes."""
    (trace,) = of_text(tmp_path, "AzureLLMInferenceTrace_code.csv", text)
    assert trace.recorded is not None
    assert trace.recorded.seconds.tolist() == [0.0, 0.5, 121.0]
    assert trace.recorded.input_tokens.tolist() == [4808, 3180, 110]
    assert trace.recorded.output_tokens.tolist() == [10, 8, 27]
    assert (trace.rates * 60).tolist() == [2, 0, 1]


def test_digitised_points_are_joined_by_lines(tmp_path: Path) -> None:
    """Rates are those of the middles of minutes; the last point holds for as long as points are apart."""
    (trace,) = of_text(tmp_path, "azure_llm_2024_code.csv", files.DIGITISED)
    assert trace.seconds_per_step == 60
    assert (trace.rates * 60).tolist() == pytest.approx(
        [75, 105, 135, 165, 165, 135, 105, 75, 60, 60, 60, 60]
    )


def test_days_of_a_function_are_put_in_order(tmp_path: Path) -> None:
    """A function is one trace over its days, whatever the order of the rows."""
    rows = files.functions(("f", 2, 0), ("g", 9, 1), ("f", 1, 6))
    first, second = of_text(tmp_path, "azure_functions_2019_two.csv", rows)
    assert (len(first.days()), len(second.days())) == (2, 1)
    assert (first.rates[[0, 7, 8, 1440, 1447]] * 60).tolist() == pytest.approx([6, 16, 6, 0, 10])


def test_servegen_steps_are_as_long_as_rows_are_apart(tmp_path: Path) -> None:
    """Rates stand as they are, from the first row on."""
    (trace,) = of_text(tmp_path, "m-tiny-aggregate-days1.csv", files.SERVEGEN)
    assert (trace.seconds_per_step, trace.rates.tolist()) == (600, [1.5, 2.5, 0])


def test_mooncake_batches_are_kept(tmp_path: Path) -> None:
    """Milliseconds become seconds; requests of one time stay together."""
    (trace,) = of_text(tmp_path, "conversation_trace.jsonl", files.MOONCAKE)
    assert trace.recorded is not None
    assert trace.recorded.seconds.tolist() == [0, 0, 61.5]
    assert trace.recorded.input_tokens.tolist() == [6758, 7322, 12]


def test_burstgpt_models_share_their_time(tmp_path: Path) -> None:
    """Each model is a trace from the same 0 to the same end, with its failed requests."""
    chat, other = of_text(tmp_path, "BurstGPT_1.csv", files.BURSTGPT)
    assert chat.recorded is not None
    assert chat.recorded.seconds.tolist() == [5, 45.5]
    assert chat.recorded.output_tokens.tolist() == [18, 0]
    assert (chat.rates * 60).tolist() == [2, 0]
    assert (other.rates * 60).tolist() == [0, 1]


def test_burstgpt_begins_at_the_midnight_before_its_first_request(tmp_path: Path) -> None:
    """A file of later months does not begin with months without demand."""
    text = files.BURSTGPT
    for at in ("5", "45.5", "118"):
        text = text.replace(f"\n{at},", f"\n{float(at) + 61 * 86_400},")
    chat, _ = of_text(tmp_path, "BurstGPT_2.csv", text)
    assert chat.recorded is not None
    assert chat.recorded.seconds.tolist() == [5, 45.5]


def test_counts_may_stand_in_lines_or_beside_each_other(tmp_path: Path) -> None:
    """Any white space separates the counts of seconds."""
    (trace,) = of_text(tmp_path, "workload.txt", files.COUNTS)
    assert (trace.seconds_per_step, trace.rates.tolist()) == (1, [3, 0, 2, 5, 0, 0])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(files.AZURE, 1), (files.SERVEGEN, 1), (files.DIGITISED, 1), (files.BURSTGPT, 2)],
)
def test_a_file_of_any_name_is_known_by_its_header(tmp_path: Path, text: str, wanted: int) -> None:
    """Further columns and another order of columns do no harm."""
    assert len(of_text(tmp_path, "renamed.csv", text)) == wanted
    turned = [",".join(reversed(["more", *line.split(",")])) for line in text.splitlines()]
    assert len(of_text(tmp_path, "renamed.csv", "\n".join(turned))) == wanted


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "AzureLLMInferenceTrace_code.csv",
            "when,ContextTokens\n",
            r"code\.csv, line 1: expected a header with the columns TIMESTAMP, ContextTokens, Gen.* found 'when",
        ),
        (
            "AzureLLMInferenceTrace_code.csv",
            files.AZURE.replace("2023-11-16 18:17:04", "yesterday"),
            r"line 3: expected a date and time like .* found 'yesterday",
        ),
        (
            "AzureLLMInferenceTrace_code.csv",
            files.AZURE.replace("\n", "\n\n").replace("3180", "many"),
            r"line 5: expected a number that is not negative as ContextTokens, found 'many'",
        ),
        ("a.csv", files.AZURE.replace("3180", "31.5"), "line 3: expected a whole number as ContextTokens"),
        ("a.csv", files.AZURE.replace(",27", ""), "line 4: expected 3 columns, found '2: 2023"),
        ("a.csv", files.AZURE.splitlines()[0], r"a\.csv holds no data: expected TIMESTAMP"),
        ("a.csv", files.DIGITISED.replace("8.00", "3.00"), "line 4: expected a later minute than 4, found 3"),
        (
            "a.csv",
            files.DIGITISED.replace("8.00", "44.0"),
            "line 4: expected a point about 4 min after minute 4, found 44",
        ),
        ("a.csv", "\n".join(files.DIGITISED.splitlines()[:2]), "line 2: expected at least two points"),
        (
            "a.csv",
            files.functions(("f", 1, 1), ("f", 3, 1)),
            "line 3: expected day 2 of f next, found 'day 3'",
        ),
        ("a.csv", files.functions(("f", 1, -20)), "line 2: expected a number that is not negative as 0"),
        ("azure_functions_2019_x.csv", "func,day,0,1\n", "columns func, day, 0, …, 1439, found"),
        ("a.csv", files.SERVEGEN.replace("1800", "1900"), "line 4: expected rows in equal distances"),
        ("a.csv", files.SERVEGEN.replace("1200", "600"), "line 3: expected rows in equal distances"),
        (
            "a.csv",
            files.SERVEGEN.replace("2.5", "inf"),
            "line 3: expected a number .* as rate_rps, found 'inf'",
        ),
        ("a.jsonl", files.MOONCAKE + "{\n", "line 4: expected a JSON object with timestamp, input_length"),
        ("a.jsonl", files.MOONCAKE + '{"timestamp": 1}\n', "line 4: expected a JSON object with timestamp"),
        ("a.jsonl", files.MOONCAKE.replace("7322", "null"), "line 2: .* as input_length, found None"),
        ("a.csv", files.BURSTGPT.replace("45.5", "-1"), "line 3: .* as Timestamp, found '-1'"),
        ("a.counts", "1 2\n3 x 4\n", r"a\.counts, line 2: .* as requests a second, found 'x'"),
        ("a.counts", "\n", r"a\.counts holds no data: expected requests a second"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    """The error says which file, which line, what was expected, and what is there."""
    with pytest.raises(TraceError, match=message):
        of_text(tmp_path, name, text)


@pytest.mark.parametrize("name", ["a.counts.gz", "BurstGPT_1.csv"])
def test_bytes_that_are_no_text_are_named(tmp_path: Path, name: str) -> None:
    """What is not gzipped though its name says so, and what is no text, are errors that name the file."""
    (tmp_path / name).write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(TraceError, match=f"{name} cannot be read"):
        load(tmp_path)


def test_two_traces_of_one_name_are_refused(tmp_path: Path) -> None:
    """Results are told by the names of traces."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.counts").write_text(files.COUNTS)
    with pytest.raises(TraceError, match=r"b/same\.counts and .*a/same\.counts both hold same"):
        load(tmp_path)


def test_a_directory_without_traces_is_refused(tmp_path: Path) -> None:
    """The error lists the names of files that are known; so does that for a directory that is none."""
    (tmp_path / "prices.csv").write_text("model,dollars\n")
    (tmp_path / "picture.csv").write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(TraceError, match=r"holds no file of a known form.*BurstGPT_\*\.csv"):
        load(tmp_path)
    with pytest.raises(TraceError, match=r"nowhere is no directory.*\*\.counts or workload"):
        load(tmp_path / "nowhere")


def test_every_form_is_documented() -> None:
    """loadtests/traces/README.md has the names and columns of each form."""
    text = DOCUMENT.read_text()
    for form in FORMATS:
        shown = form.columns if len(form.columns) < 9 else (*form.columns[:3], form.columns[-1])
        for name in (*form.file_names, *shown):
            assert f"`{name}`" in text, name
