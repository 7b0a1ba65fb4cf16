"""What is served, in the plain (not aggregated) form of discovery."""

from __future__ import annotations

from tests.fakes.kube.resources import Resource
from tests.fakes.kube.shapes import Json

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def answer(path: str, resources: list[Resource]) -> Json | None:
    """The document at a path, or None if it is no path of discovery."""
    path = path.rstrip("/")
    if path in ("/healthz", "/readyz", "/livez"):
        return {"status": "ok"}
    if path == "/version":
        return {"major": "1", "minor": "37", "gitVersion": "v1.37.0-fake"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    versions = {resource.kind.api_version for resource in resources if resource.kind.group}
    if path == "/apis":
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [_group(version) for version in sorted(versions)],
        }
    served = [resource for resource in resources if resource.kind.root == path]
    if not served:
        return None
    listed = [entry for resource in served for entry in _entries(resource)]
    version = served[0].kind.api_version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}


def _group(version: str) -> Json:
    name, _, short = version.rpartition("/")
    entry = {"groupVersion": version, "version": short}
    return {"name": name, "versions": [entry], "preferredVersion": entry}


def _entries(resource: Resource) -> list[Json]:
    kind = resource.kind
    singular = resource.names.get("singular") or kind.name.lower()
    main = {
        "name": kind.plural,
        "singularName": singular,
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": _VERBS,
        "shortNames": resource.names.get("shortNames") or [],
        "categories": resource.names.get("categories") or [],
    }
    extra = {"singularName": "", "namespaced": kind.namespaced, "verbs": ["get", "patch", "update"]}
    entries = [main]
    if resource.has_status:
        entries.append({"name": f"{kind.plural}/status", "kind": kind.name, **extra})
    if resource.scale is not None:
        entries.append({"name": f"{kind.plural}/scale", "kind": "Scale", **extra})
    return entries
