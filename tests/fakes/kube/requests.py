"""What each verb does to the store, and what it refuses: the semantics of the API, without HTTP."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from serving_io import kinds
from tests.fakes.kube import ownership, patches
from tests.fakes.kube.ownership import Manager, Managers
from tests.fakes.kube.resources import Resource, at, custom, defaulted, immutable, placed
from tests.fakes.kube.shapes import pruned, undeclared, violations
from tests.fakes.kube.store import Key, Record, Store, new_uid, now

Body = dict[str, Any]
_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


class Refused(Exception):  # noqa: N818
    """An answer that is not a success; `causes` are (reason, message, field)."""

    def __init__(
        self, status: int, reason: str, message: str, causes: Iterable[tuple[str, str, str]] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after: int | None = None
        self.body: Body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": status,
        }
        details = [{"reason": r, "message": m, "field": f} for r, m, f in causes]
        if details:
            self.body["details"] = {"causes": details}


@dataclass(frozen=True)
class Target:
    """What a request is about."""

    resource: Resource
    namespace: str
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> Key:
        """The object's place in the store."""
        return self.namespace, self.name


class Requests:
    """The verbs over a store. CRDs that are written take effect at once."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def serve(self, resource: Resource) -> None:
        """Add a kind, or replace its schema."""
        for known in [known for known in self.store.objects if known.kind == resource.kind]:
            self.store.objects[resource] = self.store.objects.pop(known)
        self.store.objects.setdefault(resource, {})

    def get(self, target: Target) -> Body:
        """GET of an object or of its scale."""
        record = self._found(target)
        return (
            _scale(target.resource, record)
            if target.subresource == "scale"
            else self.shown(target.resource, record)
        )

    def create(self, target: Target, body: Body, manager: str) -> Body:
        """POST."""
        metadata = dict(body.get("metadata") or {})
        if metadata.get("namespace", target.namespace) != target.namespace:
            _bad("the namespace of the provided object does not match the namespace sent on the request")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + "".join(
                random.choices("bcdfghjklmnpqrstvwxz2456789", k=5)
            )
        if "name" not in metadata:
            _invalid(
                target,
                [("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")],
            )
        target = replace(target, name=metadata["name"])
        if target.key in self.store.objects[target.resource]:
            message = f'{target.resource.qualified} "{target.name}" already exists'
            raise Refused(409, "AlreadyExists", message)
        body = {**body, "metadata": metadata}
        return self.shown(target.resource, self._create(target, body, Manager(manager, "Update"), None))

    def replace(self, target: Target, body: Body, manager: str) -> Body:
        """PUT of an object, its status or its scale."""
        record = self._found(target)
        metadata = body.get("metadata") or {}
        if target.subresource == "scale":
            self._check_version(target, record, metadata)
            return self._scaled(target, record, body, Manager(manager, "Update", "scale"))
        if not metadata.get("resourceVersion") and target.resource.put_needs_version:
            cause = (
                "FieldValueInvalid",
                "Invalid value: 0: must be specified for an update",
                "metadata.resourceVersion",
            )
            _invalid(target, [cause])
        if metadata.get("uid", record.manifest["metadata"]["uid"]) != record.manifest["metadata"]["uid"]:
            _conflict(
                target, f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: …"
            )
        self._check_version(target, record, metadata)
        return self._write(target, record, body, Manager(manager, "Update", target.subresource))

    def patch(self, target: Target, body: Any, manager: str, content_type: str) -> Body:
        """Merge patch or JSON patch of an object, its status or its scale."""
        record = self._found(target)
        is_scale = target.subresource == "scale"
        before = _scale(target.resource, record) if is_scale else record.shown
        try:
            after = (patches.json_patched if isinstance(body, list) else patches.merge_patched)(before, body)
        except (KeyError, IndexError, ValueError) as error:
            raise Refused(
                422, "Invalid", f"the server rejected our request due to an error in it: {error}"
            ) from error
        self._check_version(target, record, after["metadata"])
        if is_scale:
            return self._scaled(target, record, after, Manager(manager, "Update", "scale"))
        self._check_uid(target, record, after["metadata"])
        return self._write(target, record, after, Manager(manager, "Update", target.subresource))

    def apply(self, target: Target, body: Body, manager: str, force: bool) -> tuple[Body, bool]:
        """Server-side apply; also says whether it created the object."""
        if not manager:
            _invalid(
                target,
                [("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")],
            )
        metadata = body.get("metadata") or {}
        if metadata.get("managedFields"):
            _bad("metadata.managedFields must be nil")
        if metadata.get("name", target.name) != target.name:
            _bad(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({target.name})"
            )
        who = Manager(manager, "Apply", target.subresource)
        record = self.store.objects[target.resource].get(target.key)
        if record is None and not target.subresource:
            if metadata.get("uid"):
                what = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
                _conflict(target, what)
            return self.shown(target.resource, self._create(target, body, who, body)), True
        record = self._found(target)
        if target.subresource == "scale":
            if target.resource.is_custom:
                raise Refused(500, "", "request to convert CR to an invalid group/version: autoscaling/v1")
            if metadata.get("uid", record.manifest["metadata"]["uid"]) != record.manifest["metadata"]["uid"]:
                _conflict(target, "Precondition failed: UID in precondition: …, UID in object meta: …")
            assert target.resource.scale is not None
            stated = placed(target.resource.scale[0], at(body, ".spec.replicas"))
            self._check_version(target, record, metadata)
            return _scale(target.resource, self._applied(target, record, stated, who, force)), False
        stated = {"status": body.get("status") or {}} if target.subresource == "status" else body
        self._check_version(target, record, metadata)
        if not (
            target.subresource == "status" and target.resource.is_custom
        ):  # there the server does not look
            self._check_uid(target, record, metadata)
        return self.shown(target.resource, self._applied(target, record, stated, who, force)), False

    def delete(self, target: Target, options: Body) -> Body:
        """DELETE with preconditions and propagation policy."""
        record = self._found(target)
        metadata = record.manifest["metadata"]
        for field, words in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            wanted = (options.get("preconditions") or {}).get(field)
            if wanted is not None and wanted != metadata[field]:
                what = f"the {words} in the precondition ({wanted}) does not match the {words} in record ({metadata[field]})"
                _conflict(target, what)
        if target.resource.kind == kinds.NAMESPACE:
            return self._terminate(target, record).shown
        last = self.store.delete(
            target.resource, target.key, options.get("propagationPolicy") or "Background"
        )
        if target.key in self.store.objects[target.resource]:
            return last.shown
        details = {"name": target.name, "kind": target.resource.kind.plural, "uid": metadata["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _terminate(self, target: Target, record: Record) -> Record:
        """A namespace is only marked; its content, and then itself, goes to the garbage collector."""
        marked = {**record.manifest["metadata"], "deletionTimestamp": now(), "finalizers": ["kubernetes"]}
        manifest = {**record.manifest, "metadata": marked, "status": {"phase": "Terminating"}}
        record = self.store.put(target.resource, manifest, record.managers)
        if self.store.garbage_collection:
            self.store.collect_garbage()
        return record

    def _create(self, target: Target, body: Body, manager: Manager, stated: Body | None) -> Record:
        self._check_namespace(target)
        resource = target.resource
        if stated is not None:
            self._check_declared(resource, stated)
        body = {key: value for key, value in body.items() if key != "status" or not resource.has_status}
        metadata = {
            k: v
            for k, v in (body.get("metadata") or {}).items()
            if k not in ("managedFields", "resourceVersion")
        }
        metadata |= {"name": target.name, "uid": new_uid(), "creationTimestamp": now()}
        if target.namespace:
            metadata["namespace"] = target.namespace
        if resource.has_generation:
            metadata["generation"] = 1
        new = self._complete(target, {**body, "metadata": metadata})
        if resource.kind == kinds.SERVICE and new["spec"].get("clusterIP") is None:
            address = f"10.96.{len(self.store.objects[resource]) // 250}.{len(self.store.objects[resource]) % 250 + 1}"
            new["spec"] |= {"clusterIP": address, "clusterIPs": [address]}
        described = new if stated is None else stated
        fields = frozenset(
            ownership.leaves({k: v for k, v in described.items() if k != "status"}, resource.shape)
        )
        record = self.store.put(resource, new, {manager: fields})
        if resource.kind == kinds.CUSTOM_RESOURCE_DEFINITION:
            record = self._establish(record)
        if metadata.get("ownerReferences") and self.store.garbage_collection:
            self.store.collect_garbage()
        return record

    def _applied(self, target: Target, record: Record, stated: Body, who: Manager, force: bool) -> Record:
        if target.subresource != "scale":
            self._check_declared(target.resource, stated)
        if not target.subresource and target.resource.has_status:
            stated = {key: value for key, value in stated.items() if key != "status"}
        new, managers, conflicts = ownership.apply(
            record.manifest, stated, target.resource.shape, _managers(target, record), who, force
        )
        if conflicts:
            count = f"{len(conflicts)} conflict" + ("s" if len(conflicts) > 1 else "")
            causes = [
                ("FieldManagerConflict", f'conflict with "{m.name}"', ownership.words(p))
                for m, p in conflicts
            ]
            raise Refused(
                409, "Conflict", f"Apply failed with {count}: {causes[0][1]}: {causes[0][2]}", causes
            )
        return self._stored(target, record, new, managers)

    def _write(self, target: Target, record: Record, body: Body, manager: Manager) -> Body:
        """A whole object is stated: take from it what this endpoint may write."""
        if target.subresource == "status":
            new = {**record.manifest, "status": body.get("status") or {}}
        else:
            own = {
                key: value for key, value in body.items() if key != "status" or not target.resource.has_status
            }
            kept = {k: v for k, v in record.manifest.items() if k == "status" and target.resource.has_status}
            new = {**own, **kept}
        new = self._with_identity(record, new)
        completed = self._complete(target, new)
        # Whoever writes a whole object may also say who owns what; saying nothing leaves it as it is.
        stated = (body.get("metadata") or {}).get("managedFields")
        before = ownership.stated_managers(stated) if stated else _managers(target, record)
        managers = ownership.updated(record.manifest, completed, target.resource.shape, before, manager)
        return self.shown(target.resource, self._stored(target, record, completed, managers))

    def _scaled(self, target: Target, record: Record, scale: Body, manager: Manager) -> Body:
        assert target.resource.scale is not None
        change = placed(target.resource.scale[0], at(scale, ".spec.replicas"))
        new = ownership.merged(record.manifest, change, target.resource.shape)
        before = _managers(target, record)
        managers = ownership.updated(record.manifest, new, target.resource.shape, before, manager)
        return _scale(target.resource, self._stored(target, record, new, managers))

    def _stored(self, target: Target, record: Record, new: Body, managers: Managers) -> Record:
        resource, old = target.resource, record.manifest
        new = self._complete(target, self._with_identity(record, new))
        if (field := immutable(resource, old, new)) is not None:
            _invalid(target, [("FieldValueInvalid", "Invalid value: …: field is immutable", field)])
        if resource.has_generation and _bumps_generation(resource, old, new):
            new = {**new, "metadata": {**new["metadata"], "generation": old["metadata"]["generation"] + 1}}
        stored = self.store.put(resource, new, managers)
        if resource.kind == kinds.CUSTOM_RESOURCE_DEFINITION and old.get("spec") != new.get("spec"):
            stored = self._establish(stored)
        return stored

    def _establish(self, record: Record) -> Record:
        for resource in custom(record.manifest):
            self.serve(resource)
        conditions = [
            {"type": kind, "status": "True", "reason": "Ok"} for kind in ("NamesAccepted", "Established")
        ]
        crd = next(
            resource for resource in self.store.objects if resource.kind == kinds.CUSTOM_RESOURCE_DEFINITION
        )
        return self.store.put(crd, {**record.manifest, "status": {"conditions": conditions}}, record.managers)

    def _complete(self, target: Target, manifest: Body) -> Body:
        """Defaulted, pruned and valid."""
        resource = target.resource
        new = defaulted(resource, manifest) if resource.schema is None else pruned(manifest, resource.schema)
        metadata = new["metadata"]
        new = {"apiVersion": resource.kind.api_version, "kind": resource.kind.name, **new}
        broken = []
        if not _NAME.fullmatch(metadata["name"]):
            broken.append(
                (
                    "FieldValueInvalid",
                    f'Invalid value: "{metadata["name"]}": a lowercase name',
                    "metadata.name",
                )
            )
        for value in (metadata.get("labels") or {}).values():
            if not isinstance(value, str) or not _LABEL.fullmatch(value) or len(value) > 63:
                broken.append(
                    ("FieldValueInvalid", f'Invalid value: "{value}": a valid label', "metadata.labels")
                )
        if resource.schema is not None:
            broken += [
                (reason, message, field) for field, reason, message in violations(new, resource.schema)
            ]
        if broken:
            _invalid(target, broken)
        return new

    def _with_identity(self, record: Record, new: Body) -> Body:
        old = record.manifest["metadata"]
        fixed = ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp",
                 "deletionGracePeriodSeconds", "generateName")  # fmt: skip
        metadata = {
            k: v for k, v in (new.get("metadata") or {}).items() if k not in fixed and k != "managedFields"
        }
        metadata = {key: value for key, value in metadata.items() if value not in ({}, [], None)}
        return {**new, "metadata": {**metadata, **{key: old[key] for key in fixed if key in old}}}

    def shown(self, resource: Resource, record: Record) -> Body:
        """Defaults of a schema that came after the object appear without a write."""
        shown: Body = record.shown
        return shown if resource.schema is None else pruned(shown, resource.schema)

    def _found(self, target: Target) -> Record:
        record = self.store.objects[target.resource].get(target.key)
        if record is None:
            raise Refused(404, "NotFound", f'{target.resource.qualified} "{target.name}" not found')
        return record

    def _check_version(self, target: Target, record: Record, metadata: Body) -> None:
        wanted = metadata.get("resourceVersion")
        if wanted and wanted != record.manifest["metadata"]["resourceVersion"]:
            _conflict(target, _MODIFIED)

    def _check_uid(self, target: Target, record: Record, metadata: Body) -> None:
        if metadata.get("uid", record.manifest["metadata"]["uid"]) != record.manifest["metadata"]["uid"]:
            message = f'Invalid value: "{metadata["uid"]}": field is immutable'
            _invalid(target, [("FieldValueInvalid", message, "metadata.uid")])

    def _check_declared(self, resource: Resource, stated: Body) -> None:
        unknown = list(undeclared(stated, resource.schema)) if resource.schema is not None else []
        if unknown:
            message = f"failed to create typed patch object: {unknown[0]}: field not declared in schema"
            raise Refused(500, "", message)

    def _check_namespace(self, target: Target) -> None:
        if not target.namespace:
            return
        namespaces = next(records for r, records in self.store.objects.items() if r.kind == kinds.NAMESPACE)
        namespace = namespaces.get(("", target.namespace))
        if namespace is None:
            raise Refused(404, "NotFound", f'namespaces "{target.namespace}" not found')
        if namespace.manifest["metadata"].get("deletionTimestamp"):
            what = f"namespace {target.namespace} is being terminated"
            cause = ("NamespaceTerminating", what, "metadata.namespace")
            raise Refused(403, "Forbidden", f"unable to create new content: {what}", [cause])


def _managers(target: Target, record: Record) -> Managers:
    """Who owns what when a write arrives. Of two entries that differ in fields alone the server reads the last."""
    managers = {manager: fields for manager, fields in record.managers.items() if not manager.split}
    if target.subresource != "scale" or target.resource.scale is None:
        return managers
    path = tuple(f"f:{key}" for key in target.resource.scale[0].strip(".").split("."))
    return ownership.split_by_scale(managers, path)


def _bumps_generation(resource: Resource, old: Body, new: Body) -> bool:
    skipped = {"metadata", "status"} if resource.has_status else {"metadata"}
    if any(old.get(key) != new.get(key) for key in {*old, *new} - skipped):
        return True
    # the Deployment controller copies annotations to ReplicaSets, so their change counts as one of the spec
    annotations = old["metadata"].get("annotations"), new["metadata"].get("annotations")
    return resource.kind == kinds.DEPLOYMENT and annotations[0] != annotations[1]


def _scale(resource: Resource, record: Record) -> Body:
    if resource.scale is None:
        raise Refused(404, "NotFound", "the server could not find the requested resource")
    spec_path, status_path, selector_path = resource.scale
    replicas = at(record.manifest, spec_path)
    if replicas is None:
        raise Refused(500, "InternalError", f'the spec replicas field "{spec_path}" does not exist')
    status: Body = {"replicas": at(record.manifest, status_path) or 0}
    labels = at(record.manifest, ".spec.selector.matchLabels") or {}
    selector = (
        at(record.manifest, selector_path)
        if selector_path
        else ",".join(f"{k}={v}" for k, v in labels.items())
    )
    if selector:
        status["selector"] = selector
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: record.manifest["metadata"][key] for key in kept},
        "spec": {"replicas": replicas} if replicas else {},  # a zero is left out, there and here
        "status": status,
    }


def _bad(message: str) -> NoReturn:
    raise Refused(400, "BadRequest", message)


def _conflict(target: Target, message: str) -> NoReturn:
    what = f'Operation cannot be fulfilled on {target.resource.qualified} "{target.name}": {message}'
    raise Refused(409, "Conflict", what)


def _invalid(target: Target, causes: list[tuple[str, str, str]]) -> NoReturn:
    what = ", ".join(f"{field}: {message}" for _, message, field in causes)
    raise Refused(422, "Invalid", f'{target.resource.kind.name} "{target.name}" is invalid: {what}', causes)
