"""What a service's pods run: a runtime on a stored model, or the user's own container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from serving_api.names import HTTP_PORT_NAME, METRICS_PORT_NAME
from serving_api.predictor import ContainerSource, ModelSource, Predictor
from serving_api.runtime import ServingRuntime
from serving_api.scaling import SignalProfile
from serving_operator.runtimes.catalogue import Catalogue, Manifest, Unresolved, choose
from serving_operator.runtimes.storage import StoredModel

DEFAULT_HTTP_PORT = 8080
_ASKING = ("httpGet", "tcpSocket", "exec", "timeoutSeconds")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A resolved runtime: all of it that a revision records and that its pods need."""

    name: str
    image: str
    profile: SignalProfile
    ports: Mapping[str, int]
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[Manifest, ...] = ()
    probes: Mapping[str, Manifest] | None = None
    resources: Manifest | None = None
    model: StoredModel | None = None
    source: ServingRuntime | None = None
    """Where it comes from; None of a container."""

    @property
    def record(self) -> Manifest:
        """What a ControllerRevision says of it."""
        said: Manifest = {"name": self.name, "image": self.image, "profile": self.profile}
        if self.source is not None:
            said |= {"kind": self.source.kind, "spec": self.source.spec.wire()}
        return said

    @property
    def metrics_port(self) -> int:
        """The port that Prometheus scrapes."""
        return self.ports.get(METRICS_PORT_NAME, self.ports[HTTP_PORT_NAME])


def resolve(predictor: Predictor, catalogue: Catalogue) -> Runtime:
    """Return what the predictor runs.

    Raises Unresolved if no runtime serves its model, and ValueError unless it has exactly one of model and container.
    """
    if predictor.model is not None and predictor.container is None:
        return _served(predictor.model, choose(predictor.model, catalogue), predictor.model_load_seconds)
    if predictor.container is not None and predictor.model is None:
        return _container(predictor.container, predictor.model_load_seconds)
    raise ValueError("spec.predictor: set exactly one of model and container")


def resolved_record(predictor: Predictor, catalogue: Catalogue) -> Manifest | None:
    """Return what a revision that began now would record of its runtime; None if it could not begin."""
    try:
        return resolve(predictor, catalogue).record
    except Unresolved:
        return None


def _served(model: ModelSource, source: ServingRuntime, load_seconds: int | None) -> Runtime:
    container = source.spec.containers[0]
    stated = {variable["name"]: variable for variable in _variables(container)}
    stated |= {variable.name: variable.wire() for variable in model.env or ()}
    resources = model.resources or container.resources
    args = (*(container.args or ()), *(model.args or ()))
    return Runtime(
        name=source.name,
        image=container.image,
        profile=source.spec.signals.profile if source.spec.signals else "gateway",
        ports=_ports(container),
        command=tuple(container.command) if container.command else None,
        args=args or None,
        env=tuple(stated.values()),
        probes=_probes(container, load_seconds),
        resources=resources.wire() if resources else None,
        model=StoredModel(model.storage_uri, model.storage.secret_name if model.storage else None),
        source=source,
    )


def _container(container: ContainerSource, load_seconds: int | None) -> Runtime:
    return Runtime(
        name="container",
        image=container.image,
        profile="gateway",
        ports=_ports(container),
        command=tuple(container.command) if container.command else None,
        args=tuple(container.args) if container.args else None,
        env=tuple(_variables(container)),
        probes=_probes(container, load_seconds),
        resources=container.resources.wire() if container.resources else None,
    )


def _variables(container: ContainerSource) -> list[Manifest]:
    return [variable.wire() for variable in container.env or ()]


def _ports(container: ContainerSource) -> dict[str, int]:
    stated = {port.name: port.container_port for port in container.ports or ()}
    return stated or {HTTP_PORT_NAME: DEFAULT_HTTP_PORT}


def _probes(container: ContainerSource, load_seconds: int | None) -> dict[str, Manifest]:
    stated = {
        "readinessProbe": container.readiness_probe,
        "livenessProbe": container.liveness_probe,
        "startupProbe": container.startup_probe,
    }
    probes = {name: probe.wire() for name, probe in stated.items() if probe is not None}
    connects = {"tcpSocket": {"port": HTTP_PORT_NAME}, "periodSeconds": 5, "failureThreshold": 3}
    probes = {"readinessProbe": connects} | probes
    if load_seconds is not None:
        known = probes.get("startupProbe") or probes["readinessProbe"]
        period_seconds = probes.get("startupProbe", {}).get("periodSeconds", 5)
        asks = {key: value for key, value in known.items() if key in _ASKING}
        probes["startupProbe"] = asks | _within(load_seconds, period_seconds=period_seconds)
    return probes


def _within(load_seconds: int, *, period_seconds: int) -> Manifest:
    """Let a startup probe fail for so long before the container is restarted."""
    return {"periodSeconds": period_seconds, "failureThreshold": -(-load_seconds // period_seconds)}
