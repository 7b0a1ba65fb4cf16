"""The restricted Pod Security Standard as a function: what a pod template breaks of it."""

from __future__ import annotations

from collections.abc import Iterator

from serving_operator.world import Manifest

# As k8s.io/pod-security-admission v0.37.2 has them in policy/check_restrictedVolumes.go.
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def violations(template: Manifest) -> list[str]:
    """Return each control that the template breaks, in the words of the standard."""
    return list(_violations(template["spec"]))


def _violations(spec: Manifest) -> Iterator[str]:
    pod = spec.get("securityContext") or {}
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    for volume in spec.get("volumes") or ():
        if extra := set(volume) - {"name"} - VOLUMES:
            yield f"volume type {extra}"
    for container in [*spec["containers"], *(spec.get("initContainers") or ())]:
        own = container.get("securityContext") or {}
        both = pod | own
        if own.get("privileged"):
            yield "privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield "allowPrivilegeEscalation"
        if both.get("runAsNonRoot") is not True:
            yield "runAsNonRoot"
        if both.get("runAsUser") == 0:
            yield "runAsUser"
        if (both.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield "seccompProfile"
        capabilities = own.get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()):
            yield "capabilities.drop"
        if set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
            yield "capabilities.add"
        if any("hostPort" in port for port in container.get("ports") or ()):
            yield "hostPort"
