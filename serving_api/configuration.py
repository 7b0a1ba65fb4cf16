"""The administrator's configuration: what one file says to both programs, for all services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from serving_api.headers import sendable
from serving_api.pod import Toleration
from serving_api.route import ParentReference
from serving_api.schema import Model, Name

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"


class Section(Model):
    """A part of the configuration that is no object of the API."""


_SERIES_LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"


class LabelNames(Section):
    """Labels of series, where the scrape configuration names them otherwise than ours."""

    namespace: Annotated[str, Field(pattern=_SERIES_LABEL)] | None = None
    """Label that has the namespace of the pod; `namespace` if absent."""
    pod: Annotated[str, Field(pattern=_SERIES_LABEL)] | None = None
    """Label that has the name of the pod, and so of its revision; `pod` if absent."""

    @property
    def others(self) -> dict[str, str]:
        """Our names of the labels that have another one, and that."""
        return {name: label for name, label in self if label is not None and label != name}


class PrometheusConfiguration(Section):
    """Where both programs read metrics."""

    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """Where queries are answered. If absent the autoscaler asks `http://prometheus.monitoring.svc:9090`, and canaries are not judged."""
    bearer_token_file: Annotated[str, Field(pattern="^/")] | None = None
    """File with the token that is sent along; read at each query."""
    ca_file: Annotated[str, Field(pattern="^/")] | None = None
    """File with the certificate authority of an https address; the system's if absent."""
    headers: Annotated[dict[str, str], Field(max_length=16), AfterValidator(sendable)] = Field(default={})
    """HTTP headers of each query, such as `X-Scope-OrgID`."""
    matcher: Annotated[str, Field(pattern=r"^[^{}\[\]()]*$")] | None = None
    """Label matcher that is added to every query, such as `cluster="a"`."""
    labels: LabelNames = Field(default=LabelNames())
    """Labels of series, where the scrape configuration names them otherwise than ours."""


class AllowedRoutes(Section):
    """What the services of some namespaces may ask for; what several entries allow adds up."""

    namespaces: Annotated[list[Name | Literal["*"]], Field(min_length=1)]
    """Namespaces of the services; `*` is all."""
    parent_refs: list[ParentReference] | None = None
    """Gateways, by `name` and `namespace` (the service's own if absent); any if absent."""
    hostname_suffixes: (
        list[Annotated[str, Field(max_length=253, pattern=rf"^\.?{_LABEL}(\.{_LABEL})*$")]] | None
    ) = None
    """Ends of host names, such as `.team-a.example.com`; without the dot, one host name. Any if absent."""


class RouteConfiguration(Section):
    """Routes of services."""

    parent_refs: Annotated[list[ParentReference], Field(max_length=8)] = Field(default=[])
    """Gateways of a service whose `spec.route` names none."""
    hostname_template: Annotated[str, Field(max_length=253, pattern=r"^[-a-z0-9.{}]+$")] | None = None
    """Host name of a service whose `spec.route` names none, such as `{name}.{namespace}.example.com`."""
    allowed: list[AllowedRoutes] = Field(default=[])
    """What services may ask for; everything if the list is empty. What is not allowed is not written, and what was written before stays."""

    @model_validator(mode="after")
    def _names_the_service(self) -> Self:
        if self.hostname_template is not None:
            rest = self.hostname_template.replace("{name}", "").replace("{namespace}", "")
            if "{name}" not in self.hostname_template or "{" in rest or "}" in rest:
                raise ValueError(
                    "hostnameTemplate must hold {name}, may hold {namespace}, and no other braces"
                )
        return self


class AcceleratorConfiguration(Section):
    """What pods with one kind of accelerator get besides."""

    resource: Annotated[
        str, Field(max_length=253, pattern=rf"^{_LABEL}(\.{_LABEL})*/[A-Za-z0-9][-A-Za-z0-9_.]*$")
    ]
    """Resource that a container asks for, such as `nvidia.com/gpu`."""
    tolerations: Annotated[list[Toleration], Field(min_length=1, max_length=16)]
    """Tolerations that new revisions with this resource get besides their own."""


class ModelConfiguration(Section):
    """Models that an init container downloads."""

    downloader_image: Annotated[str, Field(min_length=1)] | None = None
    """Image of the init container that fetches models from s3, https and hf."""
    download_networks: list[str] = Field(default=[])
    """Networks that models may come from although they are not public, such as `10.96.0.0/12` of a store in the cluster."""
    download_limit_megabytes: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """The largest model that is downloaded."""


class OperatorConfiguration(Section):
    """The operator alone."""

    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    """Services that are worked on at the same time."""
    resync_seconds: Annotated[float, Field(ge=10, le=86400)] | None = None
    """How often everything is read anew, give or take a tenth."""
    propagation_delay_seconds: Annotated[float, Field(ge=0, le=600)] | None = None
    """How long the gateway's proxies may lag behind what its controller acknowledges; every change of a weight waits for it."""
    min_ready_seconds: Annotated[int, Field(ge=0, le=600)] | None = None
    """How long a pod must be ready to count."""
    drain_seconds: Annotated[int, Field(ge=0, le=600)] | None = None
    """How long a leaving pod goes on answering until endpoints and gateways know of it."""
    stable_broken_seconds: Annotated[float, Field(ge=0, le=86400)] | None = None
    """How long a stable revision must have had no ready pod to be called broken."""
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    """How much is logged."""


class AutoscalerConfiguration(Section):
    """The autoscaler alone."""

    tick_seconds: Annotated[float, Field(ge=1, le=60)] | None = None
    """Time between decisions."""


class Configuration(Section):
    """All of it. What is absent has the default of the program's flag."""

    namespaces: Annotated[list[Name], Field(max_length=1000)] = Field(default=[])
    """Namespaces that are watched and scaled; all if the list is empty."""
    prometheus: PrometheusConfiguration = PrometheusConfiguration()
    """Where both programs read metrics."""
    route: RouteConfiguration = RouteConfiguration()
    """Routes of services."""
    accelerators: Annotated[list[AcceleratorConfiguration], Field(max_length=16)] = Field(default=[])
    """What pods with accelerators get besides."""
    models: ModelConfiguration = ModelConfiguration()
    """Models that an init container downloads."""
    operator: OperatorConfiguration = OperatorConfiguration()
    """The operator alone."""
    autoscaler: AutoscalerConfiguration = AutoscalerConfiguration()
    """The autoscaler alone."""


def parse(content: Any) -> Configuration:
    """Read what a YAML file holds; an empty one is all defaults. Raises ValueError that names each key at fault."""
    if content is None:
        return Configuration()
    if not isinstance(content, dict):
        raise ValueError(
            f"expected keys such as {', '.join(Configuration.model_fields)}, not {type(content).__name__}"
        )
    try:
        # Unlike in the API, an unknown key is an error: it is a slip of the pen.
        return Configuration.model_validate(content, by_name=False, strict=True, extra="forbid")
    except ValidationError as error:
        raise ValueError("; ".join(_fault(dict(fault)) for fault in error.errors())) from error


def _fault(fault: dict[str, Any]) -> str:
    place = ".".join(
        str(part) for part in fault["loc"] if not str(part).startswith(("constrained", "literal"))
    )
    if fault["type"] == "extra_forbidden":
        return f"{place}: there is no such key; docs/install.md lists them"
    return f"{place or 'route'}: {fault['msg']}"


def keys(model: type[Model] = Configuration, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each key that holds a value, as a dotted path (`[]` is each entry of a list), with what it says."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner, is_list = _model_in(field)
        if inner is None or not issubclass(inner, Section):
            yield path, field.description or ""
        elif is_list:
            yield path, field.description or ""
            yield from keys(inner, f"{path}[].")
        else:
            yield from keys(inner, f"{path}.")


def _model_in(field: FieldInfo) -> tuple[type[Model] | None, bool]:
    annotation = field.annotation
    entries = [
        entry for entry in get_args(annotation) if isinstance(entry, type) and issubclass(entry, Model)
    ]
    if entries:
        return entries[0], True
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation, False
    return None, False
