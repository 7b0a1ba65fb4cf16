"""Whether an object already is what is wanted, so that nothing is written that changes nothing.

A false no costs one apply without effect; a false yes leaves a drift. Doubt is therefore a no, but for what the
server itself fills in: fields that `wanted` does not state are left to others, unless we own them and have dropped
them (`managedFields` tells).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from serving_api.names import OPERATOR
from serving_api.quantity import value_of
from serving_operator.owned import has, parsed, without_zeros
from serving_operator.world import Manifest

# How the API server tells the items of a list apart. Lists without an entry are compared item by item.
_MERGE_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "conditions": (("type",),),
    "containers": (("name",),),
    "env": (("name",),),
    "imagePullSecrets": (("name",),),
    "ownerReferences": (("uid",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "volumeMounts": (("mountPath",),),
    "volumes": (("name",),),
}
_WHOLE = frozenset({dict, list})
_QUANTITIES = frozenset({"limits", "requests", "sizeLimit"})
_PRECONDITIONS = frozenset({"uid", "resourceVersion"})


def covers(live: Manifest | None, wanted: Manifest) -> bool:
    """Whether every field that `wanted` states has the stated value, and no field of ours is there unstated."""
    if live is None:
        return False
    stated = _stated(wanted)
    if _number_is_others(live, stated) or not (
        _same(live, stated, "") or _same(live, _as_stored(live, stated), "")
    ):
        return False
    return not any(_dropped(fields, stated) for fields in _to_be_stated(live, stated))


def _to_be_stated(live: Manifest, stated: Manifest) -> Iterator[Mapping[str, Any]]:
    """What we own, but for a Deployment's replicas by creation: they are the autoscaler's as soon as it has written them.

    An owner by creation hinders nobody who writes another number, and an apply later on keeps what it does not state.
    """
    of_others = stated.get("kind") == "Deployment" and "replicas" not in stated["spec"]
    for entry in _entries(live, None):
        fields = entry.get("fieldsV1") or {}
        if of_others and is_by_creation(entry):
            spec = {
                name: inner for name, inner in (fields.get("f:spec") or {}).items() if name != "f:replicas"
            }
            fields = {**fields, "f:spec": spec}
        yield fields


def drops_created(live: Manifest, wanted: Manifest) -> bool:
    """Whether a field is ours by creation and not in `wanted`: an apply alone would leave it where it is.

    A Deployment has such fields as soon as it is created: what the API server fills in counts as ours, too.
    """
    stated = _stated(wanted)
    created = [entry for entry in live["metadata"].get("managedFields") or () if is_by_creation(entry)]
    if wanted.get("kind") == "Deployment":
        return bool(created)
    return any(_dropped(entry.get("fieldsV1") or {}, stated) for entry in created)


def is_by_creation(entry: Manifest) -> bool:
    """Whether an entry of managedFields holds what is ours since we created the object."""
    return _is_ours(entry) and entry.get("operation") == "Update"


def is_by_apply(entry: Manifest) -> bool:
    """Whether an entry of managedFields holds what is ours by an apply."""
    return _is_ours(entry) and entry.get("operation") == "Apply"


def _is_ours(entry: Manifest, subresource: str | None = None) -> bool:
    return entry.get("manager") == OPERATOR and (entry.get("subresource") or None) == subresource


def _stated(wanted: Manifest) -> Manifest:
    metadata = {key: value for key, value in wanted["metadata"].items() if key not in _PRECONDITIONS}
    return wanted | {"metadata": metadata}


def _number_is_others(live: Manifest, stated: Manifest) -> bool:
    """Whether others alone own a number of replicas that we state: stating the same number takes it over."""
    if stated.get("kind") != "Deployment" or "replicas" not in stated["spec"]:
        return False
    owners = {
        entry.get("manager")
        for entry in live["metadata"].get("managedFields") or ()
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    }
    return bool(owners) and OPERATOR not in owners


def covers_status(live: Manifest, status: Manifest) -> bool:
    """Whether the object's status is this one; what other managers added to it is theirs."""
    stated, ours = {"status": status}, tuple(_owned(live, "status"))
    if not ours:
        # Nobody knows whose a field is that is not stated.
        return bool((live.get("status") or {}) == status)
    return _same({"status": live.get("status")}, stated, "") and not any(
        _dropped(fields, stated) for fields in ours
    )


def _owned(live: Manifest, subresource: str | None) -> Iterator[Mapping[str, Any]]:
    return (entry.get("fieldsV1") or {} for entry in _entries(live, subresource))


def _entries(live: Manifest, subresource: str | None) -> Iterator[Manifest]:
    entries = (live.get("metadata") or {}).get("managedFields") or ()
    return (entry for entry in entries if _is_ours(entry, subresource))


def _as_stored(live: Manifest, wanted: Manifest) -> Any:
    """What is wanted without the zeros, empty texts and falsehoods that the server has from us and does not keep.

    Ours they are as long as nobody else has written the field; a pointer's zero, which is kept, is nobody's once removed.
    """
    for fields in _owned(live, None):
        wanted = without_zeros(wanted, live, fields)
    return wanted


def _same(live: Any, wanted: Any, name: str) -> bool:
    # All children are compared in every look at a service, and most of their parts are equal: hence the loop, texts at
    # once, and whole parts likewise. (True equals 1, which no field can be both of.)
    if type(wanted) in _WHOLE and live == wanted:
        return True
    if isinstance(wanted, dict):
        if not isinstance(live, dict):
            # The server stores an empty object as nothing.
            return not wanted and live is None
        inner = name if name in _QUANTITIES else None
        for key, value in wanted.items():
            found = live.get(key)
            same_text = type(value) is str and found == value
            if not same_text and not _same(found, value, inner or key):
                return False
        return True
    if isinstance(wanted, (list, tuple)):
        if not isinstance(live, (list, tuple)):
            return not wanted and live is None
        return _same_list(live, wanted, name)
    if name in _QUANTITIES and live is not None and wanted is not None:
        return _same_amount(live, wanted)
    return type(live) is type(wanted) and bool(live == wanted)


def _same_list(live: Any, wanted: Any, name: str) -> bool:
    if len(live) == len(wanted) and all(_same(a, b, "") for a, b in zip(live, wanted, strict=True)):
        return True
    for keys in _MERGE_KEYS.get(name, ()):
        if wanted and all(isinstance(item, dict) and keys[0] in item for item in wanted):
            by_key = {_identity(item, keys): item for item in live if isinstance(item, dict)}
            return all(_same(by_key.get(_identity(item, keys)), item, "") for item in wanted)
    return False


def _identity(item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(item.get(key, "TCP" if key == "protocol" else "")) for key in keys)


def _same_amount(live: Any, wanted: Any) -> bool:
    try:
        return value_of(live) == value_of(wanted)
    except ValueError:
        return bool(live == wanted)


def _dropped(owned: Mapping[str, Any], stated: Any) -> bool:
    """Whether a field in `owned` (the API's fieldsV1 form) is not stated any more."""
    fields = stated if isinstance(stated, dict) else {}
    items = stated if isinstance(stated, (list, tuple)) else ()
    for path, inner in owned.items():
        kind, name = path[:2], path[2:]
        found: Any = None
        if kind == "f:":
            if name not in fields:
                return True
            found = fields[name]
        elif kind == "k:":
            keys = parsed(name)
            found = next((item for item in items if has(item, keys)), None)
            if found is None:
                return True
        elif kind == "v:" and parsed(name) not in items:
            return True
        if inner and _dropped(inner, found):
            return True
    return False
