"""The format of recordings: what is written is read back, and what cannot be read is told by its line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autoscaler.replay.recording.decode import Decoder, RecordingError
from autoscaler.replay.recording.files import Writer, read
from autoscaler.replay.recording.moment import KINDS, Moment
from autoscaler.replay.recording.recorder import Recorder
from autoscaler.signals.views import Failure
from autoscaler.targets import ApiObjects
from tests.autoscaler.replay.runs import simulated

HEADER = '{"format":"serving-replay","version":1,"matcher":""}\n'
STATED = HEADER + '{"question":0,"text":"up"}\n{"labels":0,"of":{"pod":"a"}}\n'


def manifest(kind: str, **more: object) -> dict[str, object]:
    """An object with much that no tick reads."""
    metadata = {"name": "a", "namespace": "n", "uid": "1", "resourceVersion": "7", "annotations": {"x": "y"}}
    return {"kind": kind, "metadata": metadata, **more}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Objects, questions, answers, failures and decisions; packed or not."""
    objects = ApiObjects(
        [manifest("InferenceAutoscaler", spec={"minReplicas": 1}, status={"desiredReplicas": 2})],
        [manifest("Deployment", spec={"replicas": 2, "template": {"big": "x"}}, status={"readyReplicas": 1})],
        [manifest("HorizontalPodAutoscaler", spec={"scaleTargetRef": {"name": "a"}, "metrics": []})],
    )
    line = '{"at":1.5,"answers":{"now":[0,3,[0,0.1],[0]],"gpu":{"failed":["Timeout","late"]}},"decided":{"1":[2,"Demand"]}}'
    (known,) = Decoder("x").moments(f"{STATED}{line}\n".splitlines(keepends=True))
    moment = Moment(7.25, objects, known.asked, known.answers, known.decided, 'cluster="a"')
    for name in ("a.jsonl", "a.jsonl.gz"):
        with Writer(tmp_path / name) as writer:
            writer.write(moment)
            writer.write(Moment(9.0, ApiObjects([], []), {}, {}, matcher='cluster="a"'))
        first, second = read(tmp_path / name)
        assert (first.at, first.asked, first.decided, first.matcher) == (
            7.25,
            {"now": "up"},
            {"1": (2, "Demand")},
            'cluster="a"',
        )
        assert first.answers == known.answers
        assert first.answers["gpu"] == Failure("Timeout", "late")
        assert first.objects.autoscalers[0]["status"] == {"desiredReplicas": 2}
        assert first.objects.deployments[0]["spec"] == {"replicas": 2}
        assert "annotations" not in first.objects.deployments[0]["metadata"]
        assert [len(getattr(second.objects, kind)) for kind in KINDS] == [0, 0, 0, 0]


def test_what_does_not_change_is_stated_once() -> None:
    """Texts, labels and objects; so a tick of one service is some hundred characters."""
    lines = simulated().lines
    stated = [line for line in lines if '"question"' in line[:12] or '"labels"' in line[:10]]
    assert len(stated) == len(set(stated))
    ticks = [line for line in lines if line.startswith('{"at"')]
    assert len(ticks) == 80
    assert max(map(len, ticks)) < 1500


BAD: list[tuple[str, str]] = [
    ("", "is empty"),
    ("{}\n", 'line 1: is no recording: it must begin with {"format": "serving-replay"'),
    ('{"format":"serving-replay","version":2,"matcher":""}\n', "line 1: has version 2; this program reads version 1"),
    ('{"format":"serving-replay","version":1}\n', "line 1: matcher is missing"),
    (HEADER + "[]\n", "line 2: an object is expected, not a list"),
    (HEADER + "{not json\n", "line 2: not JSON"),
    (HEADER + '{"x":1}\n', "line 2: has none of at, labels, object and question"),
    (HEADER + '{"question":0}\n', "line 2: text is missing"),
    (HEADER + '{"labels":0,"of":{"a":1}}\n', "line 2: of: every label must be a string"),
    (HEADER + '{"object":["pods","n/a"],"is":null}\n', "line 2: object: must be one of autoscalers"),
    (HEADER + '{"object":["deployments","n/a"],"is":{}}\n', "line 2: is.metadata is missing"),
    (HEADER + '{"at":"x","answers":{}}\n', "line 2: at: a finite number is expected, not 'x'"),
    (HEADER + '{"at":1}\n', "line 2: answers is missing"),
    (STATED + '{"at":1,"answers":{"now":[1,0,[]]}}\n', "line 4: answers.now: question 1 is not stated before"),
    (STATED + '{"at":1,"answers":{"now":[0,0,[9,1]]}}\n', "line 4: answers.now: labels 9 are not stated before"),
    (STATED + '{"at":1,"answers":{"now":[0,0,[0]]}}\n', "line 4: answers.now: must be [question"),
    (STATED + '{"at":1,"answers":{"now":[0,1,[],[7]]}}\n', "line 4: answers.now: labels 7 are not stated before"),
    (STATED + '{"at":1,"answers":{"now":[0,1,[],[],[]]}}\n', "line 4: answers.now: must be [question"),
    (STATED + '{"at":1,"answers":{"now":[0,0,[0,NaN]]}}\n', "line 4: answers.now: a finite number is expected"),
    (STATED + '{"at":1,"answers":{"now":{"failed":["x"]}}}\n', "line 4: answers.now.failed: a reason and a message"),
    (STATED + '{"at":1,"answers":{},"decided":{"u":[1.5,"x"]}}\n', "line 4: decided.u: replicas and a reason"),
    (HEADER + '{"at":2,"answers":{}}\n{"at":2,"answers":{}}\n', "line 3: at: 2.000 is not after the tick before"),
    (HEADER + '{"at":2,"ans', "line 2: cut off, without its end"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_bad_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    """With the file, and what is wrong with it."""
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(RecordingError) as caught:
        list(read(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_packed_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    """And one that is not packed at all."""
    path = tmp_path / "a.jsonl.gz"
    whole = gzip.compress("".join(simulated().lines).encode())
    for content in (whole[: len(whole) // 2], b"no gzip"):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="cannot be read to its end"):
            list(read(path))


def test_an_interrupted_recording_keeps_a_name_of_its_own(tmp_path: Path) -> None:
    """So that nobody takes it for a whole one."""

    def interrupted() -> None:
        with Writer(tmp_path / "a.jsonl") as writer:
            writer.write(Moment(1.0, ApiObjects([], []), {}, {}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl.part"]


def ends_when_full(recorder: Recorder) -> None:
    """Far more than fits."""
    for number in range(100):
        recorder.write(Moment(float(number + 1), ApiObjects([], []), {}, {}))


def ends_when_unwritable(recorder: Recorder) -> None:
    """A number that JSON does not have."""
    recorder.write(Moment(1.0, ApiObjects([], []), {}, {}))
    recorder.write(Moment(float("nan"), ApiObjects([], []), {}, {}))


@pytest.mark.parametrize("go_wrong", [ends_when_full, ends_when_unwritable])
def test_a_recorder_never_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, go_wrong: Callable[[Recorder], None]
) -> None:
    """It ends with a warning, and what it has is whole."""
    recorder = Recorder(tmp_path / "a.jsonl", most_megabytes=0.001)
    go_wrong(recorder)
    recorder.close()
    assert "the recording" in caplog.text
    found = (tmp_path / "a.jsonl").read_text()
    assert len(found) < 1200
    assert all(json.loads(line) for line in found.splitlines())
    assert list(read(tmp_path / "a.jsonl"))
