"""A container's environment and command line, from its spec and the objects that it names. Pure."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal

from localcluster.objects import Object

Reference = tuple[str, str]
"""("configmaps" or "secrets", name)."""
Lookup = Mapping[Reference, Object | None]

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)")
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.\-][\w.\-]*)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class ConfigError(Exception):
    """A container cannot be made from its spec: a named object, key or field is missing."""

    reason = "CreateContainerConfigError"


def quantity(text: str | int | float) -> Decimal:
    """The number that a Kubernetes quantity stands for."""
    match = _QUANTITY.fullmatch(str(text))
    if not match or match[2] not in _SUFFIXES:
        raise ConfigError(f"{text!r} is not a Kubernetes quantity such as 500m, 2 or 1Gi")
    return Decimal(match[1]) * _SUFFIXES[match[2]]


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; `$$` is one `$`, and unknown names stay as they are."""
    return _REFERENCE.sub(lambda m: "$" if m[0] == "$$" else env.get(m[1], m[0]), text)


def remount(text: str, mounts: Mapping[str, str]) -> str:
    """Replace each mountPath by its directory, where it stands as a path of its own or begins one."""
    if not mounts:
        return text
    longest_first = sorted(mounts, key=len, reverse=True)
    pattern = rf"(?<![\w.\-])({'|'.join(map(re.escape, longest_first))})(?![\w.\-])"
    return re.sub(pattern, lambda m: mounts[m[1]], text)


def field(pod: Object, path: str) -> str:
    """A `fieldRef` of the downward API."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    if match := _SUBSCRIPT.fullmatch(path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = metadata.get(path.removeprefix("metadata.")) or {}
        return "\n".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
    }
    if path not in known:
        raise ConfigError(f"fieldRef {path!r} is not supported; supported are {', '.join(sorted(known))}")
    return str(known[path])


def resource(pod: Object, reference: Object, container: str, allocatable: Mapping[str, str]) -> str:
    """A `resourceFieldRef`: the limit (else what the node has) over the divisor, rounded up."""
    kind, _, name = reference["resource"].partition(".")
    wanted = reference.get("containerName") or container
    spec = next(c for c in every_container(pod) if c["name"] == wanted)
    default = allocatable.get(name, "0") if kind == "limits" else "0"
    value = (spec.get("resources", {}).get(kind) or {}).get(name, default)
    divisor = quantity(reference.get("divisor") or 1) or Decimal(1)
    return str((quantity(value) / divisor).to_integral_value(ROUND_CEILING))


def every_container(pod: Object) -> list[Object]:
    """Init containers and containers, in order."""
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]


def entries(found: Lookup, kind: str, name: str, optional: bool) -> dict[str, bytes] | None:
    """A ConfigMap's or Secret's keys and values; None if it is missing and may be."""
    item = found.get((kind, name))
    if item is None:
        if optional:
            return None
        raise ConfigError(f'{kind.removesuffix("s")} "{name}" not found')
    binary = item.get("data" if kind == "secrets" else "binaryData") or {}
    text = (item.get("data") or {}) if kind == "configmaps" else {}
    return {k: v.encode() for k, v in text.items()} | {k: b64decode(v) for k, v in binary.items()}


def references(container: Object) -> set[Reference]:
    """The objects that a container's environment is read from."""
    found: set[Reference] = set()
    for source in container.get("envFrom") or []:
        for kind, key in (("configmaps", "configMapRef"), ("secrets", "secretRef")):
            if key in source:
                found.add((kind, source[key]["name"]))
    for item in container.get("env") or []:
        for kind, key in (("configmaps", "configMapKeyRef"), ("secrets", "secretKeyRef")):
            if key in (item.get("valueFrom") or {}):
                found.add((kind, item["valueFrom"][key]["name"]))
    return found


def _keyed(reference: Object, kind: str, found: Lookup) -> str | None:
    optional = bool(reference.get("optional"))
    values = entries(found, kind, reference["name"], optional)
    if values is None or reference["key"] not in values:
        if optional:
            return None
        raise ConfigError(
            f"couldn't find key {reference['key']} in {kind.removesuffix('s')} {reference['name']}"
        )
    return values[reference["key"]].decode()


def _from(container: Object, found: Lookup) -> Iterable[tuple[str, str]]:
    for source in container.get("envFrom") or []:
        for kind, key in (("configmaps", "configMapRef"), ("secrets", "secretRef")):
            if key in source:
                values = entries(found, kind, source[key]["name"], bool(source[key].get("optional"))) or {}
                yield from (
                    (source.get("prefix", "") + name, value.decode()) for name, value in values.items()
                )


def environment(
    container: Object, pod: Object, found: Lookup, allocatable: Mapping[str, str]
) -> dict[str, str]:
    """A container's own variables, in the order of its spec; later ones may refer to earlier ones."""
    env = dict(_from(container, found))
    for item in container.get("env") or []:
        source = item.get("valueFrom") or {}
        value: str | None
        if "fieldRef" in source:
            value = field(pod, source["fieldRef"]["fieldPath"])
        elif "resourceFieldRef" in source:
            value = resource(pod, source["resourceFieldRef"], container["name"], allocatable)
        elif "configMapKeyRef" in source:
            value = _keyed(source["configMapKeyRef"], "configmaps", found)
        elif "secretKeyRef" in source:
            value = _keyed(source["secretKeyRef"], "secrets", found)
        elif source:
            raise ConfigError(f"env {item['name']}: valueFrom {', '.join(source)} is not supported")
        else:
            value = expand(item.get("value") or "", env)
        if value is not None:
            env[item["name"]] = value
    return env
