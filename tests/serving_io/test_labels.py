"""Other names of labels: a query is asked with theirs, and answered with ours."""

from __future__ import annotations

import pytest

from serving_io.labels import ours, renamed

NAMES = {"namespace": "kubernetes_namespace", "pod": "kubernetes_pod_name"}


@pytest.mark.parametrize(
    ("ours_is", "theirs_is"),
    [
        ("sum by (namespace, pod) (up)", "sum by (kubernetes_namespace, kubernetes_pod_name) (up)"),
        ('up{pod!="", namespace="pod"}', 'up{kubernetes_pod_name!="", kubernetes_namespace="pod"}'),  # a value stays
        ('up{job=~ "pod"}', 'up{job=~ "pod"}'),
        (
            'label_replace(up, "namespace", "$1", "pod", "(.+)-pod")',
            'label_replace(up, "kubernetes_namespace", "$1", "kubernetes_pod_name", "(.+)-pod")',
        ),
        ('label_replace(up, "pod", "$1", "exported_pod", "(.+)")', 'label_replace(up, "kubernetes_pod_name", "$1", "exported_pod", "(.+)")'),
        ("kube_pod_info * on (pod) x:pod:y", "kube_pod_info * on (kubernetes_pod_name) x:pod:y"),  # no part of a word
        ('up{a="\\"pod\\"", pod="x"}', 'up{a="\\"pod\\"", kubernetes_pod_name="x"}'),
    ],
)  # fmt: skip
def test_labels_are_renamed_wherever_they_are_labels(ours_is: str, theirs_is: str) -> None:
    """As words and as arguments; values, parts of words and quoted quotes are none."""
    assert renamed(ours_is, NAMES) == theirs_is
    assert renamed(ours_is, {}) == ours_is


def test_answers_have_our_names() -> None:
    """What the series has under our name is of somebody else, such as the exporter's own pod."""
    labels = {"kubernetes_pod_name": "digits-1", "pod": "exporter", "le": "0.5"}

    assert ours(labels, NAMES) == {"pod": "digits-1", "le": "0.5"}
    assert ours(labels, {}) == labels
