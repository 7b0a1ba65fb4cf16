"""What a service runs: a model on a runtime, or a container of the user's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from serving_api.pod import (
    RESERVED_ENV,
    ClaimMount,
    ContainerPort,
    EnvVar,
    NameReference,
    Probe,
    Toleration,
)
from serving_api.resources import Resources
from serving_api.scheduling import Affinity, TopologySpreads
from serving_api.schema import (
    KEYS_ARE_LABEL_KEYS,
    KEYS_ARE_QUALIFIED,
    LabelKey,
    LabelValue,
    Model,
    ObjectName,
    Quantity,
    rule,
    rules,
)

# Fields of the predictor whose change is no new revision. All others shape the pod; the timeout only as it is when a
# revision is recorded.
NOT_IN_REVISION = frozenset({"min_replicas", "max_replicas", "timeout"})

_NO_DUPLICATE_ENV = rule("self.all(e, self.exists_one(o, o.name == e.name))", "names must be unique")
_NO_RESERVED_ENV = rule(
    f"self.all(e, !(e.name in {list(RESERVED_ENV)!r}))",
    f"{', '.join(RESERVED_ENV)} are set by the operator",
)
Env = Annotated[
    list[EnvVar], Field(max_length=64, json_schema_extra=rules(_NO_DUPLICATE_ENV, _NO_RESERVED_ENV))
]
Arguments = Annotated[list[Annotated[str, Field(max_length=4096)]], Field(max_length=64)]
OwnLabels = Annotated[
    dict[LabelKey, LabelValue],
    Field(
        max_length=32,
        json_schema_extra=rules(
            rule(
                "self.all(k, !k.startsWith('serving-operator.dev/') && !k.startsWith('app.kubernetes.io/'))",
                "keys under serving-operator.dev/ and app.kubernetes.io/ are set by the operator",
            ),
            KEYS_ARE_LABEL_KEYS,
        ),
    ),
]
OwnAnnotations = Annotated[
    dict[LabelKey, Annotated[str, Field(max_length=4096)]],
    Field(
        max_length=32,
        json_schema_extra=rules(
            rule(
                "self.all(k, !k.startsWith('serving-operator.dev/') || k == 'serving-operator.dev/emulate-gpu')",
                "keys under serving-operator.dev/ are set by the operator",
            ),
            rule(KEYS_ARE_QUALIFIED, "keys must be annotation keys such as team or example.com/team"),
        ),
    ),
]


FormatName = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$")
]
FormatVersion = Annotated[
    str, Field(min_length=1, max_length=32, pattern=r"^[a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$")
]
UserOrGroup = Annotated[int, Field(ge=1, le=4294967294)]


STORAGE_FORMS = {
    "pvc": (r"^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[^/]+)*/?$", "pvc://CLAIM/PATH"),
    "s3": (
        r"^s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]/[^#]+#sha256=[0-9a-f]{64}$",
        "s3://BUCKET/FOLDER#sha256=DIGEST, pinned so that every pod gets the same",
    ),
    "https": (
        r"^https://[^/@#?]+/[^#]+#sha256=[0-9a-f]{64}$",
        "https://HOST/PATH#sha256=DIGEST, without credentials in it, pinned so that every pod gets the same",
    ),
    "hf": (
        r"^hf://[-.a-zA-Z0-9_]+/[-.a-zA-Z0-9_]+:[0-9a-f]{40}$",
        "hf://ORGANISATION/MODEL:COMMIT, all 40 digits, so that every pod gets the same",
    ),
    "oci": (
        r"^oci://[-.a-zA-Z0-9_:]+(/[-.a-z0-9_]+)+@sha256:[0-9a-f]{64}$",
        "oci://REGISTRY/REPOSITORY@sha256:DIGEST, an image whose files are the model",
    ),
}
"""By scheme: what a storageUri must match, and that in words. model_downloader reads the same forms."""


class ModelFormat(Model):
    """The format that the model is stored in."""

    name: FormatName
    """Name of the format, such as sklearn, onnx or huggingface; a runtime must support it."""
    version: FormatVersion | None = None
    """Version of the format; if stated, only a runtime that lists this version, or none, serves it."""


class ModelStorage(Model):
    """What opens the place where a model is stored."""

    secret_name: ObjectName
    """Secret with the label serving-operator.dev/storage: "true"; its keys are named as the variables of the store's own tools."""


class ModelSource(Model):
    """A stored model, served by a runtime."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "!has(self.storage) || !self.storageUri.matches('^(pvc|oci)://')",
                "storage.secretName has no effect with pvc:// and oci:// (imagePullSecrets open a registry); remove it",
                path=".storage",
            )
        )
    }

    model_format: ModelFormat
    """Format of the stored model."""
    runtime: ObjectName | None = None
    """ServingRuntime of the namespace, or else ClusterServingRuntime, that serves it; if absent the one that selects itself for the format."""
    storage_uri: Annotated[
        str,
        Field(
            min_length=7,
            max_length=1024,
            pattern=r"^(pvc|s3|https|hf|oci)://[!-~]+$",
            json_schema_extra=rules(
                rule("!self.contains('/../') && !self.endsWith('/..')", "must not contain .."),
                *(
                    rule(f"!self.startsWith('{scheme}://') || self.matches('{pattern}')", f"must be {form}")
                    for scheme, (pattern, form) in STORAGE_FORMS.items()
                ),
            ),
        ),
    ]
    """Where the model is, and which: a folder of a PersistentVolumeClaim, or a download that is pinned by digest or commit, or an image."""
    storage: ModelStorage | None = None
    """What opens the place where the model is stored."""
    args: Arguments | None = None
    """Further arguments of the runtime, after its own."""
    env: Env | None = None
    """Environment of the runtime; a name that the runtime sets too has this value."""
    resources: Resources | None = None
    """Compute resources of one replica, instead of the runtime's."""


class ContainerSource(Model):
    """A container that serves HTTP by itself."""

    image: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[a-zA-Z0-9][-a-zA-Z0-9._/:@]*$")]
    """Image of the model server."""
    command: Arguments | None = None
    """Entry point; the image's own if absent."""
    args: Arguments | None = None
    """Arguments of the entry point."""
    env: Env | None = None
    """Environment of the container."""
    ports: (
        Annotated[
            list[ContainerPort],
            Field(
                max_length=4,
                json_schema_extra=rules(
                    rule("self.all(p, self.exists_one(o, o.name == p.name))", "names must be unique"),
                    rule(
                        "self.all(p, self.exists_one(o, o.containerPort == p.containerPort))",
                        "port numbers must be unique",
                    ),
                    rule(
                        "self.exists_one(p, p.name == 'http')",
                        "one port must be named http: requests arrive there",
                    ),
                ),
            ),
        ]
        | None
    ) = None
    """Ports; http 8080 if absent. A port named metrics is scraped instead of http."""
    resources: Resources | None = None
    """Compute resources of one replica."""
    readiness_probe: Probe | None = None
    """When the replica may get requests; a TCP probe of port http if absent."""
    liveness_probe: Probe | None = None
    """When the container is to be restarted; none if absent."""
    startup_probe: Probe | None = None
    """Until when the container is starting; none if absent."""


class Predictor(Model):
    """What is run, how much of it, and how its pods look."""

    model_config = Model.model_config | {
        "json_schema_extra": rules(
            rule(
                "!has(self.modelLoadSeconds) || !has(self.container) || !has(self.container.startupProbe)",
                "predictor.modelLoadSeconds makes the startup probe; remove container.startupProbe, or modelLoadSeconds",
                path=".modelLoadSeconds",
            )
        )
    }

    model: ModelSource | None = None
    """A stored model, served by a runtime."""
    container: ContainerSource | None = None
    """A container that serves HTTP by itself."""
    min_replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Fewest replicas; 1 if absent. 0 is refused: a request for a service without pods has nobody to hold it."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Most replicas; required with scaling class Auto."""
    timeout: Annotated[int, Field(ge=1, le=3600)] = 60
    """Seconds that a request may take; the gateway ends it then. A leaving pod has what this was when its revision began, 60 at least, to finish."""
    model_load_seconds: Annotated[int, Field(ge=10, le=86400)] | None = None
    """Seconds that a pod may load from its container's start before it is restarted; if absent as the startupProbe of runtime or container has it."""
    node_selector: (
        Annotated[
            dict[LabelKey, LabelValue], Field(max_length=32, json_schema_extra=rules(KEYS_ARE_LABEL_KEYS))
        ]
        | None
    ) = None
    """Labels that a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] | None = None
    """Taints that the pods may run in spite of."""
    affinity: Affinity | None = None
    """Scheduling constraints."""
    topology_spread_constraints: TopologySpreads | None = None
    """How evenly the pods are spread."""
    priority_class_name: ObjectName | None = None
    """Priority of the pods."""
    runtime_class_name: ObjectName | None = None
    """Container runtime of the pods."""
    scheduler_name: ObjectName | None = None
    """Scheduler that places the pods."""
    image_pull_secrets: (
        Annotated[
            list[NameReference],
            Field(
                max_length=8,
                json_schema_extra=rules(
                    rule("self.all(s, self.exists_one(o, o.name == s.name))", "names must be unique")
                ),
            ),
        ]
        | None
    ) = None
    """Secrets for pulling the image."""
    service_account_name: ObjectName | None = None
    """Service account of the pods; its token is not mounted."""
    shared_memory: Quantity | None = None
    """Size of /dev/shm, taken from memory."""
    persistent_volume_claims: (
        Annotated[
            list[ClaimMount],
            Field(
                max_length=8,
                json_schema_extra=rules(
                    rule(
                        "self.all(m, self.exists_one(o, o.mountPath == m.mountPath))",
                        "mountPath must be unique",
                    )
                ),
            ),
        ]
        | None
    ) = None
    """PersistentVolumeClaims that the container sees."""
    run_as_user: UserOrGroup | None = None
    """User id of the container; if absent the runtime's, or 1000. 0 (root) is refused."""
    run_as_group: UserOrGroup | None = None
    """Group id of the container."""
    fs_group: UserOrGroup | None = None
    """Group that owns the mounted volumes."""
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=7200)] | None = None
    """Seconds from the end signal to the kill; if absent drain time, timeout as it was when the revision began (60 at least), and 10 more."""
    labels: OwnLabels | None = None
    """Further labels of the pods."""
    annotations: OwnAnnotations | None = None
    """Further annotations of the pods."""
