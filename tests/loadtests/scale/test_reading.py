"""What is read of the machine and of the programs: the audit log, proc(5), a page of metrics."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from loadtests.scale.audit import read
from loadtests.scale.program import is_at_rest, total
from loadtests.scale.usage import Usage, shares, usage
from loadtests.scale.usage import read as read_usage


def event(**fields: Any) -> dict[str, Any]:
    """An event of the audit log."""
    return {
        "stage": "ResponseComplete",
        "verb": "patch",
        "user": {"username": "somebody"},
        "objectRef": {
            "resource": "inferenceservices",
            "namespace": "team",
            "name": "digits",
            "subresource": "status",
        },
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.250000Z",
        "stageTimestamp": "2026-01-01T00:00:01.500000Z",
    } | fields


def test_a_request_is_read_with_its_times_and_conditions(tmp_path: Path) -> None:
    """Also where the content is a list, as that of a JSON patch, or where there is none."""
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "False"}]
    stated = event(requestObject={"status": {"conditions": conditions}})
    log = tmp_path / "audit.log"
    events = [
        event(stage="ResponseStarted"),
        stated,
        event(requestObject=[{"op": "test"}]),
        event(objectRef=None),
    ]
    log.write_text("".join(json.dumps(one) + "\n" for one in events))

    (first, second, third), _ = read(log)

    assert first.holds == {"Ready"}
    assert first.ended_seconds - first.received_seconds == pytest.approx(1.25)
    assert (first.namespace, first.name, first.subresource) == ("team", "digits", "status")
    assert second.holds == frozenset()
    assert third.resource == ""


def test_of_a_request_it_is_known_which_pod_sent_it_and_what_it_would_decide(tmp_path: Path) -> None:
    """Pods of one service account differ by their tokens; a Lease's holder and a Service's selector are content."""
    extra = {"authentication.kubernetes.io/pod-name": ["operator-0"]}
    lease, service = {"resource": "leases"}, {"resource": "services"}
    events = [
        event(user={"username": "a", "extra": extra}, requestObject={"spec": {"selector": {}}}),
        event(objectRef=lease, requestObject={"spec": {"holderIdentity": "operator-0_1"}}),
        event(objectRef=lease, requestObject={"spec": {"leaseDurationSeconds": 1}}),
        event(objectRef=lease),
        event(objectRef=service, requestObject={"spec": {"selector": {"a": "b"}}}),
        event(objectRef=service, requestObject={"metadata": {}}),
    ]
    log = tmp_path / "audit.log"
    log.write_text("".join(json.dumps(one) + "\n" for one in events))

    found, _ = read(log)

    assert [one.pod for one in found] == ["operator-0", "", "", "", "", ""]
    assert [one.holder for one in found] == [None, "operator-0_1", "", None, None, None]
    assert [one.selects for one in found] == [False, False, False, False, True, False]


def test_a_line_under_way_is_read_when_it_is_whole(tmp_path: Path) -> None:
    """Nothing is read twice, and nothing is missed."""
    log = tmp_path / "audit.log"
    assert read(log) == ([], 0)
    line = json.dumps(event()) + "\n"
    log.write_text(line + line[:40])

    first, since = read(log)
    log.write_text(line + line)
    second, since = read(log, since)

    assert (len(first), len(second), since) == (1, 1, 2 * len(line))


def test_usage_is_what_the_kernel_counts() -> None:
    """A name with blanks and brackets shifts no field."""
    stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 3 0 100 1 1"
    status = "Name:\ta\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n"

    assert read_usage(stat, status, 100) == Usage(2.0, 100.0, 200.0)


def test_usage_of_this_process_can_be_read() -> None:
    """A running process has some memory."""
    mine = usage(os.getpid())

    assert mine.peak_mebibytes >= mine.resident_mebibytes > 1


def test_shares_are_of_those_that_live_on() -> None:
    """A process that was started anew in between has no share."""
    before = {"operator": Usage(1, 0, 0), "gone": Usage(1, 0, 0)}

    assert shares(before, {"operator": Usage(4, 0, 0)}, 6) == {"operator": 0.5}


PAGE = """\
# HELP workqueue_depth Keys that wait.
workqueue_depth{name="inferenceservice"} 0.0
workqueue_depth_of_another{name="x"} 7.0
leader_election_master_status{name="serving-operator"} 1.0
controller_runtime_reconcile_total{controller="inferenceservice",result="success"} 3.0
controller_runtime_reconcile_total{controller="inferenceservice",result="error"} 1.0
controller_runtime_active_workers{controller="inferenceservice"} 0.0
"""


def test_a_metric_is_summed_over_its_series() -> None:
    """Another metric whose name begins alike is not it; what is not there is 0."""
    assert total(PAGE, "controller_runtime_reconcile_total") == 4
    assert total(PAGE, "workqueue_depth") == 0
    assert total("", "workqueue_depth") == 0


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ('workqueue_depth{name="inferenceservice"} 0.0', 'workqueue_depth{name="inferenceservice"} 1.0'),
        (
            'active_workers{controller="inferenceservice"} 0.0',
            'active_workers{controller="inferenceservice"} 1.0',
        ),
        ('status{name="serving-operator"} 1.0', 'status{name="serving-operator"} 0.0'),
        ('result="success"} 3.0', 'result="success"} 2.0'),
    ],
)
def test_rest_is_all_looked_at_and_nothing_waiting(line: str, instead: str) -> None:
    """One key that waits, no leadership or a service not looked at is none; nor is a page that has not come."""
    assert line in PAGE
    assert is_at_rest(PAGE, 4)
    assert not is_at_rest("", 0)
    assert not is_at_rest(PAGE.replace(line, instead), 4)


def test_a_line_that_was_under_way_at_the_beginning_is_left_out(tmp_path: Path) -> None:
    """Whoever begins at the log's size begins in the middle of a line, if the API server is writing one."""
    log = tmp_path / "audit.log"
    first, second = (json.dumps(event(user={"username": user})) + "\n" for user in ("before", "after"))
    log.write_text(first[:20])
    since = log.stat().st_size

    log.write_text(first[:30])
    assert read(log, since) == ([], since)

    log.write_text(first + second)
    found, end = read(log, since)
    assert [one.user for one in found] == ["after"]
    assert end == len(first + second)
    assert [one.user for one in read(log, len(first))[0]] == ["after"]
