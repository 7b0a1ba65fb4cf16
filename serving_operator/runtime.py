"""What a service's pods run: a built-in runtime on a stored model, or the user's own container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving_api.names import HTTP_PORT_NAME, METRICS_PORT_NAME
from serving_api.predictor import ContainerSource, ModelSource, Predictor
from serving_api.service import SignalProfile

Manifest = dict[str, Any]

MODEL_PATH = "/mnt/models"
DEFAULT_HTTP_PORT = 8080
CLAIM_SCHEME = "pvc://"

MLSERVER = "mlserver"
MLSERVER_VERSION = "1.7.1"
MLSERVER_IMPLEMENTATIONS = {"sklearn": "mlserver_sklearn.SKLearnModel"}
MLSERVER_METRICS_PORT = 8082
MODEL_LOAD_SECONDS = 600
_ASKING = ("httpGet", "tcpSocket", "exec", "timeoutSeconds")


@dataclass(frozen=True, slots=True)
class StoredModel:
    """Where a model lies: a folder of a PersistentVolumeClaim; an empty folder is the claim's root."""

    claim: str
    folder: str

    @classmethod
    def parse(cls, uri: str) -> StoredModel:
        """Read `pvc://CLAIM/PATH`. Raises ValueError for any other scheme."""
        if not uri.startswith(CLAIM_SCHEME):
            raise ValueError(f"storageUri {uri!r}: expected pvc://CLAIM/PATH")
        claim, _, folder = uri.removeprefix(CLAIM_SCHEME).partition("/")
        return cls(claim, folder.strip("/"))


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
    version: str | None = None

    @property
    def record(self) -> Manifest:
        """What a ControllerRevision says of it."""
        said = {"name": self.name, "version": self.version, "image": self.image, "profile": self.profile}
        return {key: value for key, value in said.items() if value is not None}

    @property
    def metrics_port(self) -> int:
        """The port that Prometheus scrapes."""
        return self.ports.get(METRICS_PORT_NAME, self.ports[HTTP_PORT_NAME])


def resolve(predictor: Predictor, service: str) -> Runtime:
    """Return what the predictor runs. Raises ValueError unless exactly one of model and container is set."""
    if predictor.model is not None and predictor.container is None:
        return _mlserver(predictor.model, service, predictor.model_load_seconds or MODEL_LOAD_SECONDS)
    if predictor.container is not None and predictor.model is None:
        return _container(predictor.container, predictor.model_load_seconds)
    raise ValueError("spec.predictor: set exactly one of model and container")


def _mlserver(model: ModelSource, service: str, load_seconds: int) -> Runtime:
    settings = {
        "MLSERVER_HTTP_PORT": str(DEFAULT_HTTP_PORT),
        "MLSERVER_METRICS_PORT": str(MLSERVER_METRICS_PORT),
        "MLSERVER_DEBUG": "false",
        # One process per pod: replicas are how a service grows, and a second process would hide its load.
        "MLSERVER_PARALLEL_WORKERS": "0",
        # Both default to folders of the image, which is read-only.
        "MLSERVER_ENVIRONMENTS_DIR": "/tmp/environments",  # noqa: S108  (the pod's own emptyDir)
        "MLSERVER_METRICS_DIR": "/tmp/metrics",  # noqa: S108
        # For a folder without model-settings.json; what that file says goes before these.
        "MLSERVER_MODEL_NAME": service,
        "MLSERVER_MODEL_IMPLEMENTATION": MLSERVER_IMPLEMENTATIONS[model.model_format.name],
        "MLSERVER_MODEL_URI": MODEL_PATH,
    }
    live = {"httpGet": {"path": "/v2/health/live", "port": HTTP_PORT_NAME}}
    ready = {"httpGet": {"path": "/v2/health/ready", "port": HTTP_PORT_NAME}}
    return Runtime(
        name=MLSERVER,
        version=MLSERVER_VERSION,
        image=f"docker.io/seldonio/mlserver:{MLSERVER_VERSION}-{model.model_format.name}",
        profile="mlserver",
        ports={HTTP_PORT_NAME: DEFAULT_HTTP_PORT, METRICS_PORT_NAME: MLSERVER_METRICS_PORT},
        command=("mlserver", "start", MODEL_PATH),
        env=_merged(settings, [variable.wire() for variable in model.env or ()]),
        probes={
            # Asked often, because its success is what the measured start time ends with.
            "startupProbe": ready | {"timeoutSeconds": 5} | _within(load_seconds, period_seconds=2),
            # The model computes in the server's own loop: a busy pod answers late, and that is no reason to
            # take it away from the others.
            "readinessProbe": ready | {"periodSeconds": 5, "timeoutSeconds": 10, "failureThreshold": 6},
            "livenessProbe": live | {"periodSeconds": 20, "timeoutSeconds": 20, "failureThreshold": 6},
        },
        resources=model.resources.wire() if model.resources else None,
        model=StoredModel.parse(model.storage_uri),
    )


def _container(container: ContainerSource, load_seconds: int | None) -> Runtime:
    stated = {
        "readinessProbe": container.readiness_probe,
        "livenessProbe": container.liveness_probe,
        "startupProbe": container.startup_probe,
    }
    probes = {name: probe.wire() for name, probe in stated.items() if probe is not None}
    connects = {"tcpSocket": {"port": HTTP_PORT_NAME}, "periodSeconds": 5, "failureThreshold": 3}
    probes = {"readinessProbe": connects} | probes
    if load_seconds is not None:
        asks = {key: value for key, value in probes["readinessProbe"].items() if key in _ASKING}
        probes["startupProbe"] = asks | _within(load_seconds, period_seconds=5)
    return Runtime(
        name="container",
        image=container.image,
        profile="gateway",
        ports={port.name: port.container_port for port in container.ports or ()}
        or {HTTP_PORT_NAME: DEFAULT_HTTP_PORT},
        command=tuple(container.command) if container.command else None,
        args=tuple(container.args) if container.args else None,
        env=tuple(variable.wire() for variable in container.env or ()),
        probes=probes,
        resources=container.resources.wire() if container.resources else None,
    )


def _within(load_seconds: int, *, period_seconds: int) -> Manifest:
    """Let a startup probe fail for so long before the container is restarted."""
    return {"periodSeconds": period_seconds, "failureThreshold": -(-load_seconds // period_seconds)}


def _merged(settings: Mapping[str, str], stated: list[Manifest]) -> tuple[Manifest, ...]:
    """Variables by name, the user's before ours."""
    made = {name: {"name": name, "value": value} for name, value in settings.items()}
    return tuple((made | {variable["name"]: variable for variable in stated}).values())
