"""KServe's InferenceServices as its users write them, from its documented fields; and what each becomes."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from servingctl.conversion.convert import Options
from servingctl.conversion.scaling import Objective
from servingctl.conversion.traffic import Route

OBJECTIVE = Options(objective=Objective(300))
ROUTED = Options(route=Route("infra", "public", "{name}.{namespace}.example.com"))
STANDARD = {"serving.kserve.io/deploymentMode": "Standard"}
MODEL = "{modelFormat: {name: sklearn}, protocolVersion: v2, storageUri: 'pvc://models/iris'}"
CONTAINER = "{name: kserve-container, image: 'ghcr.io/acme/model:v3'}"


def isvc(
    predictor: str, *, spec: str = "", annotations: dict[str, str] | None = None, **metadata: Any
) -> dict[str, Any]:
    """An InferenceService of KServe's, its predictor (and further parts of its spec) as YAML."""
    described = {"name": "iris", "namespace": "models", **metadata}
    if annotations:
        described["annotations"] = annotations
    more = yaml.safe_load(spec) if spec else {}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": described,
        "spec": {"predictor": yaml.safe_load(predictor), **more},
    }


class Case(NamedTuple):
    """A manifest, what the user adds, the verdict, and for some fields a word of what is said of them."""

    manifest: dict[str, Any]
    verdict: str
    says: dict[str, str] = {}  # noqa: RUF012  (read only)
    options: Options = Options()


def of_model(fields: str) -> str:
    """A model predictor with further fields of `model`."""
    return f"{{model: {{modelFormat: {{name: sklearn}}, protocolVersion: v2, storageUri: 'pvc://models/iris', {fields}}}}}"


def of_container(fields: str, beside: str = "") -> str:
    """A custom predictor with further fields of its container, and of the pod."""
    return f"{{containers: [{{name: kserve-container, image: 'ghcr.io/acme/model:v3', {fields}}}], {beside}}}"


P = "spec.predictor"
CASES: dict[str, Case] = {
    "a model on MLServer": Case(isvc(f"{{model: {MODEL}}}"), "Lossless"),
    "a model by the runtime's name": Case(isvc(of_model("runtime: kserve-mlserver")), "Lossless"),
    "a custom container": Case(isvc(f"{{containers: [{CONTAINER}]}}"), "Lossless"),
    "the older field of a framework": Case(
        isvc("{sklearn: {storageUri: 'pvc://models/iris'}}"),
        "LosslessWithNotes",
        {f"{P}.sklearn.storageUri": "V2 protocol"},
    ),
    "the protocol is left open": Case(
        isvc("{model: {modelFormat: {name: sklearn}, storageUri: 'pvc://m'}}"),
        "LosslessWithNotes",
        {f"{P}.model.modelFormat.name": "V2 protocol"},
    ),
    "V1 is asked for": Case(
        isvc("{model: {modelFormat: {name: sklearn}, protocolVersion: v1, storageUri: 'pvc://m'}}"),
        "Refused",
        {f"{P}.model.protocolVersion": "V2 protocol"},
    ),
    "a format without a runtime": Case(
        isvc("{model: {modelFormat: {name: pmml, version: '4'}, storageUri: 'pvc://m'}}"),
        "LosslessWithNotes",
        {f"{P}.model.modelFormat.name": "takes a runtime of our group"},
    ),
    "an older framework without a runtime": Case(
        isvc("{paddle: {storageUri: 'pvc://m'}}"),
        "LosslessWithNotes",
        {f"{P}.paddle.storageUri": "takes a runtime of our group"},
    ),
    "a bucket": Case(
        isvc("{model: {modelFormat: {name: sklearn}, storageUri: 'gs://b/m'}}"),
        "Refused",
        {f"{P}.model.storageUri": "do not come from gs://"},
    ),
    "a pinned download": Case(
        isvc(
            f"{{model: {{modelFormat: {{name: sklearn}}, protocolVersion: v2, storageUri: 's3://bucket/m#sha256={'0' * 64}'}}}}"
        ),
        "Lossless",
    ),
    "a download that may change": Case(
        isvc("{model: {modelFormat: {name: huggingface}, storageUri: 'hf://acme/model'}}"),
        "Refused",
        {f"{P}.model.storageUri": "hf://ORGANISATION/MODEL:COMMIT"},
    ),
    "two models": Case(
        isvc(f"{{model: {MODEL}, storageUris: [{{uri: 's3://a/b'}}]}}"),
        "Refused",
        {f"{P}.storageUris[0].uri": "one model"},
    ),
    "storage by key": Case(
        isvc(of_model("storage: {key: a, path: b}")), "Refused", {f"{P}.model.storage.key": "secretName"}
    ),
    "a version of the runtime": Case(
        isvc(of_model("runtimeVersion: 1.2")), "Refused", {f"{P}.model.runtimeVersion": "one version"}
    ),
    "a runtime of their own": Case(
        isvc(of_model("runtime: acme-rt")), "LosslessWithNotes", {f"{P}.model.runtime": "ServingRuntime"}
    ),
    "a runtime of ours by KServe's name": Case(
        isvc("{model: {modelFormat: {name: onnx}, runtime: kserve-tritonserver, storageUri: 'pvc://m'}}"),
        "LosslessWithNotes",
        {f"{P}.model.runtime": "triton of our group"},
    ),
    "a runtime of KServe's": Case(
        isvc(
            "{model: {modelFormat: {name: huggingface}, runtime: kserve-huggingfaceserver, storageUri: 'pvc://m'}}"
        ),
        "Refused",
        {f"{P}.model.runtime": "of KServe's"},
    ),
    "arguments of a runtime": Case(isvc(of_model("args: [--workers=2]")), "Lossless"),
    "transformer": Case(
        isvc(f"{{model: {MODEL}}}", spec=f"transformer: {{containers: [{CONTAINER}]}}"),
        "Refused",
        {"spec.transformer.containers[0].image": "a service of its own"},
    ),
    "explainer": Case(
        isvc(f"{{model: {MODEL}}}", spec="explainer: {art: {type: SquareAttack}}"),
        "Refused",
        {"spec.explainer.art.type": "its own"},
    ),
    "canaries": Case(
        isvc(
            f"{{model: {MODEL}}}",
            spec=f"canary: [{{trafficPercent: 20, predictor: {{name: v2, model: {MODEL}}}}}]",
        ),
        "Refused",
        {"spec.canary[0].trafficPercent": "the next spec of the same service"},
    ),
    "several nodes": Case(
        isvc(f"{{model: {MODEL}, workerSpec: {{pipelineParallelSize: 2}}}}"),
        "Refused",
        {f"{P}.workerSpec.pipelineParallelSize": "one pod"},
    ),
    "logger and batcher": Case(
        isvc(f"{{model: {MODEL}, logger: {{mode: all, url: 'http://l'}}, batcher: {{maxBatchSize: 32}}}}"),
        "Refused",
        {f"{P}.logger.mode": "not logged", f"{P}.batcher.maxBatchSize": "own batching"},
    ),
    "given up": Case(
        isvc(f"{{model: {MODEL}, logger: {{mode: all}}}}"),
        "LosslessWithNotes",
        {f"{P}.logger.mode": "given up"},
        Options(drop=frozenset({f"{P}.logger"})),
    ),
    "a field that nobody knows": Case(
        isvc(f"{{model: {MODEL}, custom: {{x: 1}}}}"), "Refused", {f"{P}.custom.x": "no documented field"}
    ),
    "an unknown field of spec": Case(
        isvc(f"{{model: {MODEL}}}", spec="scaleTo: 3"), "Refused", {"spec.scaleTo": "no documented field"}
    ),
    "nothing that runs": Case(isvc("{minReplicas: 1}"), "Refused"),
    "two implementations": Case(
        isvc(f"{{model: {MODEL}, containers: [{CONTAINER}]}}"),
        "Refused",
        {f"{P}.model.storageUri": "exactly one of"},
    ),
    # scaling
    "a fixed number": Case(
        isvc(f"{{model: {MODEL}, minReplicas: 3}}"),
        "Lossless",
        {f"{P}.minReplicas": "spec.scaling.external.replicas"},
    ),
    "KServe's HPA": Case(
        isvc(f"{{model: {MODEL}, minReplicas: 2, maxReplicas: 5, scaleMetric: cpu, scaleTarget: 60}}"),
        "Lossless",
        {f"{P}.scaleTarget": "HorizontalPodAutoscaler spec.metrics[0].resource.target.averageUtilization"},
    ),
    "metrics of the HPA": Case(
        isvc(
            f"{{model: {MODEL}, maxReplicas: 5, autoScaling: {{metrics: [{{type: Resource, resource: {{name: memory, target: "
            "{type: Utilization, averageUtilization: 70}}}]}}"
        ),
        "Lossless",
        {f"{P}.autoScaling.metrics[0].resource.name": "HorizontalPodAutoscaler"},
    ),
    "an objective instead": Case(
        isvc(f"{{model: {MODEL}, minReplicas: 2, maxReplicas: 5, scaleTarget: 60}}"),
        "LosslessWithNotes",
        {f"{P}.maxReplicas": "spec.predictor.maxReplicas", f"{P}.scaleTarget": "follow the objective"},
        OBJECTIVE,
    ),
    "KEDA": Case(
        isvc(
            f"{{model: {MODEL}, maxReplicas: 5, autoScaling: {{metrics: [{{type: External, external: {{metric: {{query: up}}}}}}]}}}}",
            annotations={"serving.kserve.io/autoscalerClass": "keda"},
        ),
        "Refused",
        {f"{P}.autoScaling.metrics[0].external.metric.query": "--objective-milliseconds"},
    ),
    "KEDA with an objective": Case(
        isvc(
            f"{{model: {MODEL}, maxReplicas: 5, autoScaling: {{metrics: [{{type: External}}]}}}}",
            annotations={"serving.kserve.io/autoscalerClass": "keda"},
        ),
        "LosslessWithNotes",
        {f"{P}.autoScaling.metrics[0].type": "follow the objective"},
        OBJECTIVE,
    ),
    "scaled by somebody else": Case(
        isvc(
            f"{{model: {MODEL}, minReplicas: 2}}",
            annotations={"serving.kserve.io/autoscalerClass": "external"},
        ),
        "Lossless",
        {f"{P}.minReplicas": "external.replicas"},
    ),
    "requests per second": Case(
        isvc(f"{{model: {MODEL}, maxReplicas: 3, scaleMetric: rps, scaleTarget: 9}}"),
        "Refused",
        {f"{P}.scaleMetric": "cpu and memory"},
    ),
    "scale to zero": Case(
        isvc(f"{{model: {MODEL}, minReplicas: 0}}"), "Refused", {f"{P}.minReplicas": "nobody to hold it"}
    ),
    "zero in Standard mode": Case(
        isvc(f"{{model: {MODEL}, minReplicas: 0}}", annotations=STANDARD),
        "LosslessWithNotes",
        {f"{P}.minReplicas": "takes 0 for 1"},
    ),
    "bounds the wrong way round": Case(
        isvc(f"{{model: {MODEL}, minReplicas: 4, maxReplicas: 2}}"),
        "Refused",
        {f"{P}.maxReplicas": "less than"},
    ),
    "concurrency": Case(
        isvc(f"{{model: {MODEL}, containerConcurrency: 4}}"),
        "Refused",
        {f"{P}.containerConcurrency": "the limit there"},
    ),
    "concurrency in Standard mode": Case(
        isvc(f"{{model: {MODEL}, containerConcurrency: 4}}", annotations=STANDARD), "Lossless"
    ),
    "a canary's weight": Case(
        isvc(f"{{model: {MODEL}, canaryTrafficPercent: 20}}"),
        "LosslessWithNotes",
        {f"{P}.canaryTrafficPercent": "spec.rollout.steps[0].weight"},
        ROUTED,
    ),
    "a canary's weight without a route": Case(
        isvc(f"{{model: {MODEL}, canaryTrafficPercent: 20}}"),
        "Refused",
        {f"{P}.canaryTrafficPercent": "--gateway"},
    ),
    "time-out": Case(
        isvc(f"{{model: {MODEL}, timeout: 120}}"), "Lossless", {f"{P}.timeout": "spec.predictor.timeout"}
    ),
    "a time-out that is none": Case(
        isvc(f"{{model: {MODEL}, timeout: 0}}"), "Refused", {f"{P}.timeout": "at least 1"}
    ),
    "rolling updates": Case(
        isvc(
            f"{{model: {MODEL}, deploymentStrategy: {{type: RollingUpdate, rollingUpdate: {{maxSurge: '1'}}}}}}"
        ),
        "LosslessWithNotes",
        {f"{P}.deploymentStrategy.rollingUpdate.maxSurge": "is a canary"},
    ),
    "pods replaced at once": Case(
        isvc(f"{{model: {MODEL}, deploymentStrategy: {{type: Recreate}}}}"),
        "Refused",
        {f"{P}.deploymentStrategy.type": "Budget"},
    ),
    # the pod
    "placement": Case(
        isvc(
            f"{{model: {MODEL}, nodeSelector: {{gpu: a100}}, tolerations: [{{key: nvidia.com/gpu, operator: Exists}}], "
            "priorityClassName: high, schedulerName: volcano, imagePullSecrets: [{name: s}], terminationGracePeriodSeconds: 90, "
            "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: "
            "[{key: zone, operator: In, values: [a]}]}]}}}}"
        ),
        "Lossless",
        {f"{P}.tolerations[0].key": "spec.predictor.tolerations[0].key"},
    ),
    "service account": Case(
        isvc(f"{{model: {MODEL}, serviceAccountName: sa}}"),
        "LosslessWithNotes",
        {f"{P}.serviceAccountName": "token"},
    ),
    "affinity over namespaces": Case(
        isvc(
            f"{{model: {MODEL}, affinity: {{podAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: "
            "[{topologyKey: zone, namespaces: [a]}]}}}"
        ),
        "Refused",
        {
            f"{P}.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespaces[0]": "has no field namespaces"
        },
    ),
    "spreading": Case(
        isvc(
            f"{{model: {MODEL}, topologySpreadConstraints: [{{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, "
            "labelSelector: {matchLabels: {app: a}}}]}"
        ),
        "LosslessWithNotes",
        {f"{P}.topologySpreadConstraints[0].labelSelector.matchLabels.app": "a selector of ours"},
    ),
    "init containers": Case(
        isvc(f"{{model: {MODEL}, initContainers: [{{name: a, image: b}}]}}"),
        "Refused",
        {f"{P}.initContainers[0].image": "Job"},
    ),
    "a host's network": Case(
        isvc(f"{{model: {MODEL}, hostNetwork: true}}"), "Refused", {f"{P}.hostNetwork": "only False"}
    ),
    "users and groups": Case(
        isvc(
            of_container(
                "securityContext: {runAsUser: 1001, runAsNonRoot: true, capabilities: {drop: [ALL]}}",
                "securityContext: {fsGroup: 2000}",
            )
        ),
        "Lossless",
        {
            f"{P}.containers[0].securityContext.runAsUser": "spec.predictor.runAsUser",
            f"{P}.securityContext.fsGroup": "spec.predictor.fsGroup",
        },
    ),
    "root": Case(
        isvc(of_container("securityContext: {runAsUser: 0}")),
        "Refused",
        {f"{P}.containers[0].securityContext.runAsUser": "at least 1"},
    ),
    "privileged": Case(
        isvc(of_container("securityContext: {privileged: true}")),
        "Refused",
        {f"{P}.containers[0].securityContext.privileged": "only False"},
    ),
    # the container
    "a container with everything": Case(
        isvc(
            of_container(
                "command: [python], args: [-m, server], imagePullPolicy: IfNotPresent, env: [{name: A, value: b}, {name: S, valueFrom: "
                "{secretKeyRef: {name: s, key: k}}}], ports: [{name: http1, containerPort: 9000, protocol: TCP}], resources: "
                "{limits: {nvidia.com/gpu: 1, memory: 8Gi}}, readinessProbe: {httpGet: {path: /r, port: http1, scheme: HTTP}, "
                "successThreshold: 1}, livenessProbe: {tcpSocket: {port: 9000}}"
            )
        ),
        "Lossless",
        {f"{P}.containers[0].readinessProbe.httpGet.port": "readinessProbe.httpGet.port"},
    ),
    "gRPC": Case(
        isvc(of_container("ports: [{name: h2c, containerPort: 9000}]")),
        "Refused",
        {f"{P}.containers[0].ports[0].name": "gRPC"},
    ),
    "a probe by gRPC": Case(
        isvc(of_container("readinessProbe: {grpc: {port: 9000}}")),
        "Refused",
        {f"{P}.containers[0].readinessProbe.grpc.port": "httpGet"},
    ),
    "env from": Case(
        isvc(of_container("envFrom: [{secretRef: {name: s}}]")),
        "Refused",
        {f"{P}.containers[0].envFrom[0].secretRef.name": "each variable"},
    ),
    "STORAGE_URI": Case(
        isvc(of_container("env: [{name: STORAGE_URI, value: 'pvc://a'}]")),
        "Refused",
        {f"{P}.containers[0].env[0].value": "/mnt/models"},
    ),
    "a variable of ours": Case(
        isvc(of_container("env: [{name: POD_IP, value: a}]")),
        "Refused",
        {f"{P}.containers[0].env[0].name": "set by the operator"},
    ),
    "a side-car": Case(
        isvc(f"{{containers: [{CONTAINER}, {{name: b, image: c}}]}}"),
        "Refused",
        {f"{P}.containers[1].image": "one container"},
    ),
    "claims and shared memory": Case(
        isvc(
            of_container(
                "volumeMounts: [{name: c, mountPath: /cache, readOnly: true}, {name: m, mountPath: /dev/shm}]",
                "volumes: [{name: c, persistentVolumeClaim: {claimName: cache}}, {name: m, emptyDir: {medium: Memory, sizeLimit: 2Gi}}]",
            )
        ),
        "Lossless",
        {f"{P}.volumes[1].emptyDir.sizeLimit": "spec.predictor.sharedMemory"},
    ),
    "a ConfigMap as files": Case(
        isvc(
            of_container(
                "volumeMounts: [{name: c, mountPath: /etc/c}]", "volumes: [{name: c, configMap: {name: c}}]"
            )
        ),
        "Refused",
        {f"{P}.volumes[0].configMap.name": "ConfigMaps"},
    ),
    "latest": Case(
        isvc("{containers: [{name: a, image: 'a/b:latest', imagePullPolicy: Never}]}"),
        "Refused",
        {f"{P}.containers[0].imagePullPolicy": "Always"},
    ),
    # metadata
    "labels and annotations": Case(
        isvc(
            f"{{model: {MODEL}}}",
            labels={"team": "a", "kueue.x-k8s.io/queue-name": "q", "app.kubernetes.io/name": "n"},
            annotations={
                "sidecar.istio.io/inject": "false",
                "prometheus.kserve.io/port": "8082",
                "example.com/a": "b",
            },
        ),
        "LosslessWithNotes",
        {
            "metadata.labels['kueue.x-k8s.io/queue-name']": "spec.predictor.labels",
            "metadata.labels['app.kubernetes.io/name']": "on the object only",
            "metadata.annotations['prometheus.kserve.io/port']": "the runtime says where its own are",
        },
    ),
    "a place of metrics on a model's pods": Case(
        isvc(
            f"{{model: {MODEL}, annotations: {{prometheus.io/path: /stats, prometheus.io/scrape: 'true'}}}}"
        ),
        "LosslessWithNotes",
        {
            f"{P}.annotations['prometheus.io/path']": "the runtime says where its own are",
            f"{P}.annotations['prometheus.io/scrape']": f"{P}.annotations['prometheus.io/scrape']",
        },
    ),
    "a place of metrics on a container's pods": Case(
        isvc(f"{{containers: [{CONTAINER}]}}", annotations={"prometheus.kserve.io/port": "8082"}),
        "Lossless",
        {
            "metadata.annotations['prometheus.kserve.io/port']": "spec.predictor.annotations['prometheus.io/port']"
        },
    ),
    "an objective without scrapes": Case(
        isvc(f"{{model: {MODEL}}}", annotations={"serving.kserve.io/enable-prometheus-scraping": "false"}),
        "LosslessWithNotes",
        {
            "metadata.annotations['serving.kserve.io/enable-prometheus-scraping']": "the autoscaler does not see"
        },
        OBJECTIVE,
    ),
    "no scrapes": Case(
        isvc(f"{{model: {MODEL}}}", annotations={"serving.kserve.io/enable-prometheus-scraping": "false"}),
        "Lossless",
        {
            "metadata.annotations['serving.kserve.io/enable-prometheus-scraping']": "annotations['prometheus.io/scrape']"
        },
    ),
    "Knative's annotations": Case(
        isvc(f"{{model: {MODEL}}}", annotations={"autoscaling.knative.dev/target": "5"}),
        "Refused",
        {"metadata.annotations['autoscaling.knative.dev/target']": "--objective-milliseconds"},
    ),
    "Knative mode": Case(
        isvc(f"{{model: {MODEL}}}", annotations={"serving.kserve.io/deploymentMode": "Serverless"}),
        "LosslessWithNotes",
        {"metadata.annotations['serving.kserve.io/deploymentMode']": "does not scale to zero"},
    ),
    "stopped": Case(
        isvc(f"{{model: {MODEL}}}", annotations={"serving.kserve.io/stop": "true"}),
        "Refused",
        {"metadata.annotations['serving.kserve.io/stop']": "delete"},
    ),
    "an unknown annotation of KServe's": Case(
        isvc(f"{{model: {MODEL}}}", annotations={"serving.kserve.io/new-thing": "x"}),
        "Refused",
        {"metadata.annotations['serving.kserve.io/new-thing']": "none that is documented"},
    ),
    "a name that is too long": Case(
        isvc(f"{{model: {MODEL}}}", name="a" * 41), "Refused", {"metadata.name": "at most 40"}
    ),
    "as the cluster has it": Case(
        {
            **isvc(
                f"{{model: {MODEL}}}",
                uid="u",
                resourceVersion="1",
                finalizers=["inferenceservice.finalizers"],
            ),
            "status": {"url": "http://x", "conditions": [{"type": "Ready"}]},
        },
        "Lossless",
    ),
    "nulls": Case(
        isvc(f"{{model: {MODEL}, nodeSelector: null, tolerations: [], minReplicas: null}}"), "Lossless"
    ),
    "local to the cluster": Case(
        isvc(f"{{model: {MODEL}}}", labels={"networking.kserve.io/visibility": "cluster-local"}),
        "Lossless",
        {},
        ROUTED,
    ),
}
