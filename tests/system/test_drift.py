"""Drift: whatever is deleted or edited of a service's children is put back, and nothing that is not ours is fought."""

from __future__ import annotations

from typing import Any

from serving_api.names import AUTOSCALER, COMMITTED_ANNOTATION
from serving_io import kinds
from serving_io.kinds import Kind
from tests.system.audit import Audit
from tests.system.kube import Kube, Manifest, holds
from tests.system.owned_fields import Path, at, edits, owned
from tests.system.recording import owners
from tests.system.services import children, first_revision, web_service

SERVER_GIVEN = ("clusterIP", "clusterIPs", "replicas")
"""Fields of a spec that an object gets anew when it is made anew, or that somebody else owns."""


def content(live: Manifest) -> Manifest:
    """What the operator wants of an object: its labels, its owner and its content."""
    spec = {key: value for key, value in live.get("spec", {}).items() if key not in SERVER_GIVEN}
    metadata = {key: live["metadata"].get(key) for key in ("labels", "ownerReferences")}
    return {"metadata": metadata, "spec": spec, "data": live.get("data")}


def settled(kube: Kube, namespace: str, service: Manifest) -> str:
    """Apply a service and wait for the last writes of its start: the commit on the stable Service, and the number's hand-over."""
    revision = first_revision(kube, namespace, service)
    kube.until(
        "the stable Service tells of the commit",
        lambda: (
            COMMITTED_ANNOTATION
            in (kube.get(kinds.SERVICE, namespace, "digits") or {})["metadata"].get("annotations", {})
        ),
    )
    kube.until(
        "the autoscaler has the number",
        lambda: AUTOSCALER in owners(kube.list(kinds.DEPLOYMENT, namespace)[0]),
    )
    return revision


def test_deleted_children_come_back(kube: Kube, namespace: str) -> None:
    """Each child that is deleted is made again as it was, a Deployment with at least its last observed replicas."""
    service = web_service(
        host=f"{namespace}.example.com",
        spec__predictor__minReplicas=2,
        spec__scaling__scaleDownHoldSeconds=3600,
    )
    revision = settled(kube, namespace, service)
    service["spec"]["predictor"]["minReplicas"] = 1  # what is there now is more than the least that may be
    kube.apply(namespace, service)
    kube.until(
        "the new bound is in force",
        lambda: kube.list(kinds.INFERENCE_AUTOSCALER, namespace)[0]["spec"]["minReplicas"] == 1,
    )
    for kind, name in children("digits", revision):
        before = kube.get(kind, namespace, name)
        assert before is not None, f"{kind.name} {name}"
        kube.delete(kind, namespace, name)

        def made_again(kind: Kind = kind, name: str = name, uid: str = before["metadata"]["uid"]) -> Any:
            found = kube.get(kind, namespace, name)
            return found if found and found["metadata"]["uid"] != uid else None

        after = kube.until(f"{kind.name} {name} is made again", made_again)
        assert content(after) == content(before), f"{kind.name} {name}"
        if kind is kinds.DEPLOYMENT:
            assert after["spec"]["replicas"] >= before["spec"]["replicas"] == 2
    kube.until("the service is ready again", lambda: holds(kube.status(namespace), "Ready"))
    status = kube.status(namespace)

    assert status["stable"]["revision"] == revision
    assert holds(status, "UpToDate")
    assert len(kube.list(kinds.CONTROLLER_REVISION, namespace)) == 1


REFUSED = {
    "ControllerRevision data",
    "Deployment spec.selector",
    "Deployment spec.strategy.type",
    "Deployment spec.template.metadata.labels.serving-operator.dev/revision",
    "Deployment spec.template.metadata.labels.serving-operator.dev/service",
    'Deployment spec.template.spec.containers.{"name":"model"}',
    'Deployment spec.template.spec.containers.{"name":"model"}.env.{"name":"POD_IP"}.valueFrom.fieldRef',
    'Deployment spec.template.spec.containers.{"name":"model"}.env.{"name":"SERVING_REVISION"}.valueFrom.fieldRef',
    'Deployment spec.template.spec.containers.{"name":"model"}.env.{"name":"SERVING_SERVICE"}.valueFrom.fieldRef',
    'Deployment spec.template.spec.containers.{"name":"model"}.volumeMounts.{"mountPath":"/tmp"}.name',
    "Deployment spec.template.spec.securityContext.seccompProfile.type",
    'Deployment spec.template.spec.volumes.{"name":"tmp"}',
    'Deployment spec.template.spec.volumes.{"name":"tmp"}.emptyDir',
    "InferenceAutoscaler spec.objective.indicator",
    "InferenceAutoscaler spec.scaleTargetRef.apiVersion",
    "InferenceAutoscaler spec.scaleTargetRef.kind",
    'Service spec.ports.{"port":80,"protocol":"TCP"}',
}
"""Owned fields whose edits the API server refuses: immutable, the only valid value, or needed by another field."""


def test_edited_fields_are_restored(kube: Kube, namespace: str) -> None:
    """Each field that the operator owns of each child is put back when somebody edits it."""
    revision = settled(kube, namespace, web_service(host=f"{namespace}.example.com"))
    name = f"digits-{revision}"
    # A paused Deployment starts no pods for each edit of its template; `paused` is nobody's but its editor's.
    kube.patch(kinds.DEPLOYMENT, namespace, name, {"spec": {"paused": True, "revisionHistoryLimit": 1}})
    # By its creation the operator owns also what the API server filled in, which it does not ask for. Its first apply
    # ends that: mostly the hand-over of the number, unless the autoscaler takes that first.
    kube.until(
        "what is edited is put back by an apply",
        lambda: (
            (found := kube.get(kinds.DEPLOYMENT, namespace, name))
            and found["spec"]["revisionHistoryLimit"] > 1
        ),
    )
    before = {
        child: found
        for child in children("digits", revision)
        if (found := kube.get(child[0], namespace, child[1]))
    }
    left = {child: owned(live) for child, live in before.items()}
    assert len(left) == 7
    assert all(left.values()), left
    refused: set[str] = set()
    while any(left.values()):
        edited = {
            child: path
            for child, paths in left.items()
            if (path := edit_next(kube, namespace, child, paths, refused))
        }
        for child, path in edited.items():
            was = at(before[child], path)

            def restored(child: tuple[Kind, str] = child, path: Path = path, was: Any = was) -> bool:
                live = kube.get(child[0], namespace, child[1])
                return live is not None and bool(at(live, path) == was)

            kube.until(f"{child[0].name} {child[1]} has {path} as before", restored)

    assert refused == REFUSED
    for (kind, name), was in before.items():
        found = kube.get(kind, namespace, name)
        assert found is not None
        assert found["metadata"]["uid"] == was["metadata"]["uid"], f"{kind.name} {name} was made anew"
        assert content(found) == content(was) | (
            {"spec": content(was)["spec"] | {"paused": True}} if kind is kinds.DEPLOYMENT else {}
        )


def edit_next(
    kube: Kube, namespace: str, child: tuple[Kind, str], paths: list[Path], refused: set[str]
) -> Path | None:
    """Edit the next field that can be edited; note those that the API server refuses to have edited."""
    kind, name = child
    while paths:
        path = paths.pop(0)
        live = kube.get(kind, namespace, name)
        assert live is not None
        for edit in edits(live, path):
            answer = kube.json_patch(kind, namespace, name, edit.operation)
            if answer.is_success and at(answer.json(), path) != at(live, path):
                return path
        refused.add(f"{kind.name} {'.'.join(part[2:] for part in path)}")
    return None


def test_rollout_restart_is_not_fought(kube: Kube, namespace: str) -> None:
    """`kubectl rollout restart` replaces the pods; the operator writes nothing, and there is no new revision."""
    revision = settled(kube, namespace, web_service(host=f"{namespace}.example.com"))
    old = {pod["metadata"]["uid"] for pod in kube.list(kinds.POD, namespace)}
    records = kube.list(kinds.CONTROLLER_REVISION, namespace)
    audit = Audit(kube.cluster)
    kube.kubectl("rollout", "restart", "-n", namespace, f"deployment/digits-{revision}")
    kube.until(
        "only new pods are there, ready",
        lambda: (
            (pods := kube.list(kinds.POD, namespace))
            and not old & {pod["metadata"]["uid"] for pod in pods}
            and all(holds(pod["status"], "Ready") for pod in pods)
        ),
    )
    kube.until("the service is ready", lambda: holds(kube.status(namespace), "Ready"))
    deployment = kube.get(kinds.DEPLOYMENT, namespace, f"digits-{revision}")
    written = {write.resource for write in audit.writes("serving-operator") if write.namespace == namespace}

    assert deployment is not None
    assert "kubectl.kubernetes.io/restartedAt" in deployment["spec"]["template"]["metadata"]["annotations"]
    assert written <= {"inferenceservices", "events"}  # its status, where readiness came and went
    assert kube.list(kinds.CONTROLLER_REVISION, namespace) == records
    assert holds(kube.status(namespace), "UpToDate")
