"""KServe's fields that have no place in our service, as data: why, and the way out; and those that say nothing new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FRAMEWORKS = (
    "sklearn",
    "xgboost",
    "tensorflow",
    "pytorch",
    "triton",
    "onnx",
    "huggingface",
    "pmml",
    "lightgbm",
    "paddle",
)
"""The older spelling of `model`: the format is the field's own name."""

_OWN_IMAGE = "serve an image of your own as predictor.container, which takes it"
_NO_PODSPEC = "there is no raw PodSpec in our service"

REFUSED_SPEC: Mapping[str, str] = {
    "transformer": "our service has one component; deploy the transformer as a service of its own that calls this one",
    "explainer": "our service has one component; deploy the explainer as a service of its own that calls this one",
    "canary": "a canary is the next spec of the same service, not a second predictor: apply the stable predictor first, then this one",
}
REFUSED_PREDICTOR: Mapping[str, str] = {
    "workerSpec": "a replica is one pod; serving over several nodes is not supported",
    "logger": "requests are not logged; log them in the model server or in the gateway",
    "batcher": "requests are not batched in front of the server; use the server's own batching (MLServer: max_batch_size, vLLM: always)",
    "storageUris": "one model per service; mount further claims with predictor.persistentVolumeClaims",
    "storageContainerName": "models are fetched by one downloader; what it opens is in predictor.model.storage.secretName",
    "initContainers": f"{_NO_PODSPEC}; prepare the claim with a Job, or do it in the image's entry point",
    "ephemeralContainers": f"{_NO_PODSPEC}; use kubectl debug",
    "nodeName": "pods are placed by the scheduler; use nodeSelector",
    "hostAliases": f"{_NO_PODSPEC}; use a Service of type ExternalName, or DNS",
    "hostname": f"{_NO_PODSPEC}; pods have names of their own",
    "subdomain": f"{_NO_PODSPEC}; pods have names of their own",
    "dnsConfig": f"{_NO_PODSPEC}; set it for the cluster",
    "readinessGates": f"{_NO_PODSPEC}; a pod is ready when its probe says so",
    "overhead": "it comes from the runtime class; use runtimeClassName",
    "activeDeadlineSeconds": "a server has no deadline",
    "resourceClaims": "devices are asked for as extended resources, such as nvidia.com/gpu, in resources.limits",
    "resources": "resources belong to the container",
    "schedulingGates": f"{_NO_PODSPEC}; nobody would open the gate",
    "priority": "use priorityClassName",
    "preemptionPolicy": "use a priority class that says so",
}
REFUSED_MODEL: Mapping[str, str] = {
    "runtimeVersion": "a runtime has one version, that of its image, which each revision records; leave it out",
    "storage": "storageUri names bucket and path, and predictor.model.storage.secretName the Secret (docs/storage.md)",
    "confidential": "encrypted models are not supported",
    "image": f"a runtime has its own image; {_OWN_IMAGE}",
    "command": f"a runtime has its own; {_OWN_IMAGE}",
    "ports": f"a runtime has its own; {_OWN_IMAGE}",
    "readinessProbe": f"a runtime has its own; {_OWN_IMAGE}",
    "livenessProbe": f"a runtime has its own; {_OWN_IMAGE}",
    "startupProbe": "a runtime has its own; predictor.modelLoadSeconds says how long it may load",
}
REFUSED_CONTAINER: Mapping[str, str] = {
    "envFrom": "name each variable in env, with valueFrom.configMapKeyRef or secretKeyRef",
    "lifecycle": "a leaving pod sleeps before it ends, so that gateways learn of it; further hooks are not supported",
    "workingDir": "start it with command: [sh, -c, 'cd … && exec …']",
    "volumeDevices": "block devices are not supported",
    "resizePolicy": "resources change with a new revision",
    "restartPolicy": f"{_NO_PODSPEC}; containers are restarted always",
    "restartPolicyRules": f"{_NO_PODSPEC}; containers are restarted always",
}
REFUSED_SECURITY: Mapping[str, str] = {
    "seLinuxOptions": "not supported; the restricted Pod Security Standard leaves it to the node",
    "supplementalGroups": "use fsGroup",
    "sysctls": "not supported",
    "privileged": "pods are held to the restricted Pod Security Standard",
    "procMount": "pods are held to the restricted Pod Security Standard",
}

_DEFAULT = "it is so for every pod of ours"
NOTED_POD: Mapping[str, tuple[Any, str]] = {
    "restartPolicy": ("Always", _DEFAULT),
    "dnsPolicy": ("ClusterFirst", _DEFAULT),
    "automountServiceAccountToken": (False, _DEFAULT),
    "enableServiceLinks": (False, _DEFAULT),
    "hostNetwork": (False, _DEFAULT),
    "hostPID": (False, _DEFAULT),
    "hostIPC": (False, _DEFAULT),
    "shareProcessNamespace": (False, _DEFAULT),
    "setHostnameAsFQDN": (False, _DEFAULT),
    "os": ({"name": "linux"}, _DEFAULT),
}
"""Fields of a pod that say nothing new with this one value; any other is refused."""
NOTED_CONTAINER: Mapping[str, tuple[Any, str]] = {
    "stdin": (False, _DEFAULT),
    "stdinOnce": (False, _DEFAULT),
    "tty": (False, _DEFAULT),
    "terminationMessagePath": ("/dev/termination-log", _DEFAULT),
    "terminationMessagePolicy": ("File", _DEFAULT),
}
NOTED_SECURITY: Mapping[str, tuple[Any, str]] = {
    "runAsNonRoot": (True, _DEFAULT),
    "allowPrivilegeEscalation": (False, _DEFAULT),
    "privileged": (False, _DEFAULT),
    "readOnlyRootFilesystem": (True, _DEFAULT),
    "capabilities": ({"drop": ["ALL"]}, _DEFAULT),
    "seccompProfile": ({"type": "RuntimeDefault"}, _DEFAULT),
}
ONLY_THIS = "only {!r} is possible: it is what every pod of ours has"
