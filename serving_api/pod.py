"""The typed part of a pod that a service may shape. What is not here cannot be asked for: there is no raw PodSpec."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from serving_api.schema import (
    LabelKey,
    LabelValue,
    Model,
    ObjectName,
    PortReference,
    rule,
    rules,
)

ENV_NAME = r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"
RESERVED_ENV = ("SERVING_SERVICE", "SERVING_REVISION", "POD_IP")


class KeySelector(Model):
    """One key of a Secret or ConfigMap in the service's namespace."""

    name: ObjectName
    """Name of the Secret or ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key whose value is taken."""
    optional: bool | None = None
    """Whether the pod may start without the object or the key."""


class FieldSelector(Model):
    """A field of the pod itself."""

    field_path: Annotated[
        str,
        Field(
            max_length=253,
            json_schema_extra=rules(
                rule(
                    r"self.matches('^(metadata\\.(name|namespace|uid)|metadata\\.(labels|annotations)\\[\'.+\'\\]|"
                    r"spec\\.(nodeName|serviceAccountName)|status\\.(hostIP|podIP|podIPs))$')",
                    "must be metadata.name, .namespace, .uid, .labels['key'], .annotations['key'], spec.nodeName, "
                    "spec.serviceAccountName, status.hostIP, status.podIP or status.podIPs",
                )
            ),
        ),
    ]
    """Path of the field, such as status.podIP or metadata.labels['team']."""


class EnvSource(Model):
    """Where the value of a variable comes from; exactly one source."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].exists_one(x, x)",
                "set exactly one of secretKeyRef, configMapKeyRef and fieldRef",
            )
        )
    }

    secret_key_ref: KeySelector | None = None
    """A key of a Secret."""
    config_map_key_ref: KeySelector | None = None
    """A key of a ConfigMap."""
    field_ref: FieldSelector | None = None
    """A field of the pod."""


class EnvVar(Model):
    """One environment variable of the model container."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule("!(has(self.value) && has(self.valueFrom))", "set value or valueFrom, not both"),
        )
    }

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=ENV_NAME)]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """Value of the variable; $(OTHER) refers to a variable defined before it."""
    value_from: EnvSource | None = None
    """Source of the value."""


class ContainerPort(Model):
    """A port that the container listens on."""

    name: Annotated[str, Field(min_length=1, max_length=15, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the port: http (requests arrive here) or metrics (Prometheus scrapes here)."""
    container_port: Annotated[int, Field(ge=1024, le=65535)]
    """Port number; below 1024 needs a privilege that the pod does not have."""


class HttpHeader(Model):
    """A header of a probe's request."""

    name: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[-A-Za-z0-9]+$")]
    """Name of the header."""
    value: Annotated[str, Field(max_length=4096)]
    """Value of the header."""


class HttpGet(Model):
    """A probe by HTTP GET; a status from 200 to 399 is a success."""

    path: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^/")] = "/"
    """Path of the request."""
    port: PortReference = "http"
    """Port number or name."""
    http_headers: Annotated[list[HttpHeader], Field(max_length=16)] | None = None
    """Headers of the request."""


class TcpSocket(Model):
    """A probe by opening a TCP connection."""

    port: PortReference
    """Port number or name."""


class ExecAction(Model):
    """A probe by running a command in the container; exit code 0 is a success."""

    command: Annotated[list[Annotated[str, Field(max_length=4096)]], Field(min_length=1, max_length=64)]
    """Command and its arguments; not run in a shell."""


class Probe(Model):
    """How a container is asked whether it is well; exactly one way of asking."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "[has(self.httpGet), has(self.tcpSocket), has(self.exec)].exists_one(x, x)",
                "set exactly one of httpGet, tcpSocket and exec",
            )
        )
    }

    http_get: HttpGet | None = None
    """Ask by HTTP."""
    tcp_socket: TcpSocket | None = None
    """Ask by connecting."""
    exec_: Annotated[ExecAction | None, Field(alias="exec")] = None
    """Ask by a command."""
    initial_delay_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Seconds after the container's start before the first probe."""
    period_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None
    """Seconds between probes."""
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None
    """Seconds after which a probe has failed."""
    failure_threshold: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Failures in a row that count as a failure."""


class Toleration(Model):
    """A taint that the pods may run in spite of."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
                "operator Exists takes no value",
                path=".value",
            ),
            rule(
                "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
                "an empty key needs operator Exists",
                path=".operator",
            ),
            rule(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "tolerationSeconds needs effect NoExecute",
                path=".tolerationSeconds",
            ),
        )
    }

    key: LabelKey | None = None
    """Key of the taint."""
    operator: Literal["Exists", "Equal"] | None = None
    """Equal (the default) compares the value; Exists does not."""
    value: LabelValue | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; empty means all."""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds for which a NoExecute taint is tolerated."""


class NameReference(Model):
    """An object of the service's namespace by its name."""

    name: ObjectName
    """Name of the object."""


class ClaimMount(Model):
    """A PersistentVolumeClaim mounted into the model container."""

    claim_name: ObjectName
    """Name of the PersistentVolumeClaim."""
    mount_path: Annotated[
        str,
        Field(
            min_length=2,
            max_length=255,
            pattern=r"^/[^:]+$",
            json_schema_extra=rules(
                rule("!self.contains('..')", "must not contain .."),
                rule(
                    "!['/mnt/models', '/tmp', '/dev/shm'].exists(p, self == p || self.startsWith(p + '/'))",
                    "/mnt/models, /tmp and /dev/shm are taken",
                ),
            ),
        ),
    ]
    """Absolute path in the container."""
    read_only: bool | None = None
    """Whether the mount is read-only."""
