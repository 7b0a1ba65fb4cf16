"""ServingRuntime and ClusterServingRuntime: how models of a format are served."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from serving_api.predictor import ContainerSource, FormatName, FormatVersion, UserOrGroup
from serving_api.scaling import Signals
from serving_api.schema import Model, Quantity, rule, rules


class SupportedModelFormat(Model):
    """A format that the runtime serves."""

    name: FormatName
    """Name of the format, as predictor.model.modelFormat.name has it."""
    version: FormatVersion | None = None
    """Version of the format that is served; any if absent."""
    auto_select: bool = False
    """Whether a model that names no runtime may be served by this one."""
    priority: Annotated[int, Field(ge=1, le=1000)] = 1
    """Among runtimes that may be selected, the highest is."""


class RuntimeContainer(ContainerSource):
    """The container that serves the model, which lies at /mnt/models."""

    name: Literal["model"]
    """Name of the container: model."""


class ServingRuntimeSpec(Model):
    """A model server: which formats it serves, and how its container runs."""

    supported_model_formats: Annotated[
        list[SupportedModelFormat],
        Field(
            min_length=1,
            max_length=32,
            json_schema_extra=rules(
                rule(
                    "self.all(f, self.exists_one(o, o.name == f.name && "
                    "(has(o.version) ? o.version : '') == (has(f.version) ? f.version : '')))",
                    "a format and version may be listed once",
                )
            ),
        ),
    ]
    """Formats that are served."""
    disabled: bool = False
    """Whether no new revision may use this runtime; running pods stay."""
    containers: Annotated[list[RuntimeContainer], Field(min_length=1, max_length=1)]
    """The one container. $(SERVING_SERVICE) in command, args and env is the service's name."""
    signals: Signals | None = None
    """Whose metrics its pods have; gateway if absent: load and latency are read at the gateway."""
    shared_memory: Quantity | None = None
    """Size of /dev/shm, taken from memory, unless the predictor states one."""
    run_as_user: UserOrGroup | None = None
    """User id that the image runs with, unless the predictor states one. 0 (root) is refused."""
    run_as_group: UserOrGroup | None = None
    """Group id that the image runs with, unless the predictor states one."""
    fs_group: UserOrGroup | None = None
    """Group that owns the mounted volumes, unless the predictor states one."""


class ServingRuntime(Model):
    """A ServingRuntime or ClusterServingRuntime as read from the API server."""

    kind: str
    name: str
    spec: ServingRuntimeSpec

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> ServingRuntime:
        """Read an object of the API. Raises pydantic.ValidationError if its spec is not one that the CRD admits."""
        spec = ServingRuntimeSpec.model_validate(raw["spec"])
        return cls(kind=raw["kind"], name=raw["metadata"]["name"], spec=spec)
