"""What KServe takes of a PodSpec beside the container: placement, security, volumes."""

from __future__ import annotations

from typing import Any

from servingctl.conversion.fields import (
    NOTED_POD,
    NOTED_SECURITY,
    ONLY_THIS,
    REFUSED_SECURITY,
)
from servingctl.conversion.fit import ABSENT, SERVICE, fit, schema_of
from servingctl.conversion.ledger import NOTHING, Ledger
from servingctl.conversion.tables import as_list, as_map, note_listed, refuse_listed
from servingctl.paths import Path

TARGET: Path = (*SERVICE, "spec", "predictor")
SAME_NAME = (
    "nodeSelector",
    "tolerations",
    "affinity",
    "topologySpreadConstraints",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "imagePullSecrets",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
)
POD_FIELDS = (*SAME_NAME, *NOTED_POD, "serviceAccount", "securityContext", "volumes")
TOKEN = "its token is not mounted into the pod"  # noqa: S105  (a sentence)
_USERS = ("runAsUser", "runAsGroup", "fsGroup")
_MODEL_PATH = "/mnt/models"


def pod(value: dict[str, Any], path: Path, made: dict[str, Any], ledger: Ledger) -> None:
    """Carry the fields of a pod over to our predictor; volumes are carried with the container that mounts them."""
    left = note_listed(value, path, NOTED_POD, ledger)
    account = left.get("serviceAccountName") or left.get("serviceAccount")
    if "serviceAccount" in left and left["serviceAccount"] == account:
        if "serviceAccountName" in left:
            ledger.imply((*path, "serviceAccount"), "the older name of serviceAccountName")
        else:
            place = (*TARGET, "serviceAccountName")
            found = fit(
                account,
                schema_of("predictor", "serviceAccountName"),
                (*path, "serviceAccount"),
                place,
                ledger,
            )
            if found is not ABSENT:
                made["serviceAccountName"] = found
                ledger.remark((*path, "serviceAccount"), TOKEN)
    security(left.get("securityContext"), (*path, "securityContext"), made, ledger)
    for name in SAME_NAME:
        if name not in left:
            continue
        stated = left[name]
        if name == "topologySpreadConstraints":
            stated = _without_selectors(stated, (*path, name), ledger)
        found = fit(stated, schema_of("predictor", name), (*path, name), (*TARGET, name), ledger)
        if found is ABSENT:
            continue
        made[name] = found
        if name == "serviceAccountName":
            ledger.remark((*path, name), TOKEN)


def security(value: Any, path: Path, made: dict[str, Any], ledger: Ledger) -> None:
    """Carry users and groups over; the rest has to be what every pod of ours has."""
    if value is None:
        return
    if value == {}:
        ledger.imply(path, NOTHING)
        return
    left = note_listed(as_map(value, path, ledger), path, NOTED_SECURITY, ledger)
    left = refuse_listed(left, path, REFUSED_SECURITY, ledger)
    if left.get("fsGroupChangePolicy") is not None:
        ledger.refuse((*path, "fsGroupChangePolicy"), ONLY_THIS.format("Always"))
    for name in _USERS:
        if name not in left:
            continue
        place = (*TARGET, name)
        if made.get(name) is not None and made[name] != left[name]:
            ledger.refuse(
                (*path, name), "pod and container say different things; our pods have one user and one group"
            )
            continue
        found = fit(left[name], schema_of("predictor", name), (*path, name), place, ledger)
        if found is not ABSENT:
            made[name] = found


def image_pull_policy(stated: Any, image: str, path: Path, ledger: Ledger) -> None:
    """Note the policy that Kubernetes gives the image anyway, refuse another."""
    if stated is None:
        return
    tag = image.rpartition("/")[2].partition(":")[2]
    usual = "IfNotPresent" if (tag not in ("", "latest") or "@" in image or not image) else "Always"
    if stated == usual:
        ledger.imply(path, "it is so by default for this image")
    else:
        ledger.refuse(
            path, f"the image's tag decides: it is {usual} here; use a tag other than latest, or a digest"
        )


def volume_mounts(value: Any, path: Path, ledger: Ledger) -> None:
    """Refuse mounts beside a built-in runtime: it has all that it needs."""
    if value in (None, []):
        if value == []:
            ledger.imply(path, NOTHING)
        return
    ledger.refuse(
        path, "a built-in runtime mounts the model and nothing else; serve the image as predictor.container"
    )


def volumes(
    value: Any, path: Path, mounts: Any, mounts_path: Path, made: dict[str, Any], ledger: Ledger
) -> None:
    """Carry claims and shared memory over to our predictor, together with the mounts of the container."""
    by_name = {}
    for index, volume in enumerate(as_list(value or [], path, ledger)):
        if isinstance(volume, dict) and volume.get("name") is not None:
            by_name[str(volume["name"])] = (volume, (*path, index))
    used = set()
    claims: list[Any] = []
    for index, mount in enumerate(as_list(mounts or [], mounts_path, ledger)):
        at = (*mounts_path, index)
        stated = dict(as_map(mount, at, ledger))
        volume, volume_at = by_name.get(str(stated.get("name")), (None, None))
        if volume is None or volume_at is None or str(stated.get("name")) in used:
            ledger.refuse(at, "a volume of this name is not there, or mounted already; each is mounted once")
            continue
        used.add(str(stated["name"]))
        _mounted(stated, at, volume, volume_at, claims, made, ledger)
    for name, (_, at) in by_name.items():
        if name not in used:
            ledger.note(at, "no container mounts this volume")
    if claims:
        made["persistentVolumeClaims"] = claims


def _mounted(
    mount: dict[str, Any],
    at: Path,
    volume: dict[str, Any],
    volume_at: Path,
    claims: list[Any],
    made: dict[str, Any],
    ledger: Ledger,
) -> None:
    where = mount.get("mountPath")
    rest = set(mount) - {"name", "mountPath", "readOnly"}
    kinds = set(volume) - {"name"}
    if rest or kinds not in ({"persistentVolumeClaim"}, {"emptyDir"}):
        words = "PersistentVolumeClaims as a whole, and memory at /dev/shm; put files of ConfigMaps and Secrets into env, or into the image"
        ledger.refuse(at, f"pods mount {words}")
        ledger.refuse(volume_at, f"pods mount {words}")
        return
    if kinds == {"emptyDir"}:
        _empty(mount, at, volume, volume_at, made, ledger)
        return
    if str(where).startswith(_MODEL_PATH):
        ledger.refuse(at, f"{_MODEL_PATH} is taken; mount it elsewhere, and give the server that path")
        ledger.refuse(volume_at, "its mount is refused")
        return
    target = (*TARGET, "persistentVolumeClaims", len(claims))
    schema = schema_of("predictor", "persistentVolumeClaims")["items"]
    claim = dict(as_map(volume["persistentVolumeClaim"], (*volume_at, "persistentVolumeClaim"), ledger))
    entry: dict[str, Any] = {}
    found = fit(
        claim.get("claimName"),
        schema["properties"]["claimName"],
        (*volume_at, "persistentVolumeClaim", "claimName"),
        (*target, "claimName"),
        ledger,
    )
    entry |= {} if found is ABSENT else {"claimName": found}
    found = fit(
        {key: mount[key] for key in ("mountPath", "readOnly") if key in mount}, schema, at, target, ledger
    )
    entry |= {} if found is ABSENT else found
    read_only = claim.get("readOnly")
    if read_only is not None and "readOnly" not in mount:
        if read_only is True:
            entry["readOnly"] = True
            ledger.carry((*volume_at, "persistentVolumeClaim", "readOnly"), (*target, "readOnly"))
        else:
            ledger.imply((*volume_at, "persistentVolumeClaim", "readOnly"), "it is so by default")
    elif read_only is not None:
        same = read_only == mount["readOnly"] or not read_only
        (ledger.imply if same else ledger.refuse)(
            (*volume_at, "persistentVolumeClaim", "readOnly"), "the mount says it"
        )
    for place in ((*at, "name"), (*volume_at, "name")):
        ledger.imply(place, "volumes have names of ours")
    claims.append(entry)


def _empty(
    mount: dict[str, Any],
    at: Path,
    volume: dict[str, Any],
    volume_at: Path,
    made: dict[str, Any],
    ledger: Ledger,
) -> None:
    stated = as_map(volume["emptyDir"], (*volume_at, "emptyDir"), ledger)
    where = mount.get("mountPath")
    if where == "/dev/shm" and stated.get("medium") == "Memory" and "sizeLimit" in stated:  # noqa: S108
        source = (*volume_at, "emptyDir", "sizeLimit")
        found = fit(
            stated["sizeLimit"],
            schema_of("predictor", "sharedMemory"),
            source,
            (*TARGET, "sharedMemory"),
            ledger,
        )
        if found is not ABSENT:
            made["sharedMemory"] = found
        words = "sharedMemory says it"
    elif where == "/tmp" and not stated:  # noqa: S108
        words = "every pod of ours has /tmp"
    else:
        words = "pods have /tmp, and memory at /dev/shm with a sizeLimit; let the server write there"
        ledger.refuse(at, words)
        ledger.refuse(volume_at, words)
        return
    if mount.get("readOnly"):
        ledger.refuse((*at, "readOnly"), "it would be of no use")
    ledger.imply(at, words)
    ledger.imply(volume_at, words)


def _without_selectors(value: Any, path: Path, ledger: Ledger) -> Any:
    if not isinstance(value, list):
        return value
    left = []
    for index, entry in enumerate(value):
        if isinstance(entry, dict) and "labelSelector" in entry:
            ledger.note(
                (*path, index, "labelSelector"), "pods of the same revision are spread, by a selector of ours"
            )
            entry = {key: item for key, item in entry.items() if key != "labelSelector"}
        left.append(entry)
    return left
