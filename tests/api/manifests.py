"""Valid manifests, and edits of them that the API server must refuse or accept."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

GONE = object()


def service(name: str = "digits", **edits: Any) -> dict[str, Any]:
    """Return a valid service with `edits` applied: keys are dotted paths written with double underscores."""
    made: dict[str, Any] = {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {
            "predictor": {
                "container": {"image": "docker.io/library/python:3.11-slim"},
                "minReplicas": 1,
                "maxReplicas": 4,
            },
            "objective": {"thresholdMilliseconds": 300},
            "route": {
                "parentRefs": [{"name": "local", "namespace": "gateway-system"}],
                "hostnames": ["digits.example.com"],
            },
        },
    }
    return edited(made, {key.replace("__", "."): value for key, value in edits.items()})


def autoscaler(name: str = "digits") -> dict[str, Any]:
    """Return a valid autoscaler of a Deployment that is none of ours."""
    return {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"name": name},
            "maxReplicas": 4,
            "objective": {"thresholdMilliseconds": 300},
            "signals": {"metrics": {"requestsTotal": "a_total", "durationSeconds": "a_seconds"}},
        },
    }


def edited(manifest: dict[str, Any], edits: dict[str, Any]) -> dict[str, Any]:
    """Return a copy with the values at dotted paths replaced; GONE removes a field."""
    made = copy.deepcopy(manifest)
    for path, value in edits.items():
        *parents, last = path.split(".")
        node = made
        for parent in parents:
            node = node.setdefault(parent, {})
        if value is GONE:
            node.pop(last, None)
        else:
            node[last] = copy.deepcopy(value)
    return made


class Refused(NamedTuple):
    """A manifest that is refused, the field that the message must name, and words that say what is allowed."""

    why: str
    edits: dict[str, Any]
    field: str
    says: str


_PIN = "0123456789abcdef" * 4
_MODEL = {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/digits/v1"}
_C = "spec.predictor.container"
_EXTERNAL: dict[str, Any] = {
    "spec.scaling": {"class": "External", "external": {"replicas": 2}},
    "spec.predictor.minReplicas": GONE,
    "spec.predictor.maxReplicas": GONE,
    "spec.objective": GONE,
}
_GATEWAY = {"name": "local", "namespace": "gateway-system"}
_PROBE = {"httpGet": {"path": "/health", "port": "http"}}
_SPREAD = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}


def _node_affinity(expression: dict[str, Any]) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"spec.predictor.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution": terms}


def _pod_affinity(selector: dict[str, Any], topology_key: str = "kubernetes.io/hostname") -> dict[str, Any]:
    terms = [{"labelSelector": selector, "topologyKey": topology_key}]
    return {"spec.predictor.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution": terms}


REFUSED = [
    Refused("a name longer than 40 characters", {"metadata.name": "a" * 41}, "metadata.name", "40 characters"),
    Refused("a name with a dot cannot name a Service", {"metadata.name": "a.b"}, "metadata.name", "DNS label"),
    Refused("a name that starts with a digit", {"metadata.name": "1st"}, "metadata.name", "starts with a letter"),
    Refused("no predictor", {"spec.predictor": GONE}, "spec.predictor", "Required value"),
    Refused("neither model nor container", {_C: GONE}, "spec.predictor", "exactly one"),
    Refused("both model and container", {"spec.predictor.model": _MODEL}, "spec.predictor", "exactly one"),
    Refused("a model format that is no word", {_C: GONE, "spec.predictor.model": _MODEL | {"modelFormat": {"name": "no word"}}}, "modelFormat.name", "should match"),
    Refused("a runtime with no possible name", {_C: GONE, "spec.predictor.model": _MODEL | {"runtime": "No_Name"}}, "model.runtime", "should match"),
    Refused("a storage scheme without effect", {_C: GONE, "spec.predictor.model": _MODEL | {"storageUri": "ftp://x/y"}}, "model.storageUri", "pvc|s3"),
    Refused("a folder that is not pinned", {_C: GONE, "spec.predictor.model": _MODEL | {"storageUri": "s3://models/llm"}}, "model.storageUri", "#sha256=DIGEST"),
    Refused("a branch of a model", {_C: GONE, "spec.predictor.model": _MODEL | {"storageUri": "hf://org/llm:main"}}, "model.storageUri", "COMMIT"),
    Refused("a password in an address", {_C: GONE, "spec.predictor.model": _MODEL | {"storageUri": f"https://me:secret@h/x#sha256={_PIN}"}}, "model.storageUri", "without credentials"),
    Refused("an image by its tag", {_C: GONE, "spec.predictor.model": _MODEL | {"storageUri": "oci://registry.example.com/llm:1"}}, "model.storageUri", "sha256:DIGEST"),
    Refused("credentials that open nothing", {_C: GONE, "spec.predictor.model": _MODEL | {"storage": {"secretName": "store"}}}, "model.storage", "has no effect"),
    Refused("a path that leaves the claim", {_C: GONE, "spec.predictor.model": _MODEL | {"storageUri": "pvc://models/../x"}}, "model.storageUri", "must not contain .."),
    Refused("no image", {_C: {"args": ["x"]}}, "container.image", "Required value"),
    Refused("an image with a space", {f"{_C}.image": "a b"}, "container.image", "should match"),
    Refused("zero replicas have nobody to hold a request", {"spec.predictor.minReplicas": 0}, "predictor.minReplicas", "greater than or equal to 1"),
    Refused("more than a thousand replicas", {"spec.predictor.maxReplicas": 1001}, "predictor.maxReplicas", "less than or equal to 1000"),
    Refused("bounds the wrong way round", {"spec.predictor.minReplicas": 5}, "predictor.minReplicas", "at most"),
    Refused("no upper bound for the autoscaler", {"spec.predictor.maxReplicas": GONE}, "predictor.maxReplicas", "required with scaling.class Auto"),
    Refused("no objective for the autoscaler", {"spec.objective": GONE}, "objective", "required with scaling.class Auto"),
    Refused("an indicator that is not measured", {"spec.objective.indicator": "Throughput"}, "objective.indicator", "RequestLatency"),
    Refused("an objective of no time", {"spec.objective.thresholdMilliseconds": 0}, "objective.thresholdMilliseconds", "greater than or equal to 1"),
    Refused("a promise of 100 percent", {"spec.objective.percent": 100}, "objective.percent", "less than or equal to 99"),
    Refused("a fraction where an integer is wanted", {"spec.objective.percent": 99.5}, "objective.percent", "integer"),
    Refused("an unknown scaling class", {"spec.scaling": {"class": "Manual"}}, "scaling.class", "External"),
    Refused("an unknown mode", {"spec.scaling": {"mode": "Off"}}, "scaling.mode", "Advise"),
    Refused("External without its object", {**_EXTERNAL, "spec.scaling": {"class": "External"}}, "scaling.external", "required with scaling.class External"),
    Refused("external replicas with class Auto", {"spec.scaling": {"external": {"replicas": 2}}}, "scaling.external", "no effect with scaling.class Auto"),
    Refused("External with a lower bound", {**_EXTERNAL, "spec.predictor.minReplicas": 1}, "predictor.minReplicas", "no effect with scaling.class External"),
    Refused("External with an upper bound", {**_EXTERNAL, "spec.predictor.maxReplicas": 4}, "predictor.maxReplicas", "no effect with scaling.class External"),
    Refused("External with a mode", {**_EXTERNAL, "spec.scaling.mode": "Advise"}, "scaling.mode", "no effect with scaling.class External"),
    Refused("External with a GPU target", {**_EXTERNAL, "spec.scaling.gpu": {"targetUtilizationPercent": 70}}, "scaling.gpu", "no effect with scaling.class External"),
    Refused("External with a hold", {**_EXTERNAL, "spec.scaling.scaleDownHoldSeconds": 60}, "scaling.scaleDownHoldSeconds", "no effect with scaling.class External"),
    Refused("External with signals", {**_EXTERNAL, "spec.scaling.signals": {"profile": "gateway"}}, "scaling.signals", "no effect with scaling.class External"),
    Refused("External with an objective", {**_EXTERNAL, "spec.objective": {"thresholdMilliseconds": 300}}, "objective", "no effect with scaling.class External"),
    Refused("a hold below ten seconds", {"spec.scaling": {"scaleDownHoldSeconds": 1}}, "scaling.scaleDownHoldSeconds", "greater than or equal to 10"),
    Refused("a GPU target above 100", {"spec.scaling": {"gpu": {"targetUtilizationPercent": 120}}}, "targetUtilizationPercent", "less than or equal to 100"),
    Refused("an unknown metric profile", {"spec.scaling": {"signals": {"profile": "guess"}}}, "signals.profile", "mlserver"),
    Refused("no steps", {"spec.rollout": {"steps": []}}, "rollout.steps", "at least 1"),
    Refused("eleven steps", {"spec.rollout": {"steps": [{"weight": 10 + n} for n in range(11)], "analysis": {}}}, "rollout.steps", "at most 10"),
    Refused("two steps that nothing judges", {"spec.rollout": {"steps": [{"weight": 10}, {"weight": 50}]}}, "rollout.steps", "need rollout.analysis"),
    Refused("steps of the same weight", {"spec.rollout": {"steps": [{"weight": 10}, {"weight": 10}], "analysis": {}}}, "rollout.steps", "must increase"),
    Refused("steps that go back", {"spec.rollout": {"steps": [{"weight": 50}, {"weight": 10}], "analysis": {}}}, "rollout.steps", "must increase"),
    Refused("a pause that nothing follows", {"spec.rollout": {"steps": [{"weight": 10, "pauseSeconds": 60}]}}, "rollout.steps", "pauseSeconds has no effect"),
    Refused("a pause of no time", {"spec.rollout": {"steps": [{"weight": 10, "pauseSeconds": 0}], "analysis": {}}}, "steps[0].pauseSeconds", "greater than or equal to 1"),
    Refused("requests that nobody counts", {"spec.rollout": {"steps": [{"weight": 10, "minimumRequests": 100}]}}, "rollout.steps", "minimumRequests has no effect"),
    Refused("automatic promotion that nothing judges", {"spec.rollout": {"promotion": "Automatic"}}, "rollout.promotion", "needs rollout.analysis"),
    Refused("an unknown promotion", {"spec.rollout": {"promotion": "Sometimes"}}, "rollout.promotion", "Automatic"),
    Refused("an analysis without an objective", {**_EXTERNAL, "spec.rollout": {"analysis": {}}}, "rollout.analysis", "remove the analysis"),
    Refused("an analysis without a route", {"spec.route": GONE, "spec.rollout": {"analysis": {}}}, "rollout.analysis", "takes a route"),
    Refused("a step without a route", {"spec.route": GONE, "spec.rollout": {"steps": [{"weight": 20}]}}, "rollout.steps", "no effect without route"),
    Refused("an unknown source of evidence", {"spec.rollout": {"analysis": {"source": "logs"}}}, "analysis.source", "runtime"),
    Refused("windows shorter than a scrape", {"spec.rollout": {"analysis": {"windowSeconds": 5}}}, "analysis.windowSeconds", "greater than or equal to 10"),
    Refused("a step that ends before its first window", {"spec.rollout": {"analysis": {"windowSeconds": 600, "stepDeadlineSeconds": 610}}}, "analysis.stepDeadlineSeconds", "at least windowSeconds + 30"),
    Refused("unacceptable what the objective allows", {"spec.objective.percent": 90, "spec.rollout": {"analysis": {"unacceptablePercent": 10}}}, "analysis.unacceptablePercent", "more than 100 - objective.percent"),
    Refused("an unknown way out", {"spec.rollout": {"analysis": {"onInconclusive": "Promote"}}}, "analysis.onInconclusive", "Pause"),
    Refused("a step of 100 percent", {"spec.rollout": {"steps": [{"weight": 100}]}}, "rollout.steps[0].weight", "less than or equal to 99"),
    Refused("an unknown surge", {"spec.rollout": {"surge": "None"}}, "rollout.surge", "Budget"),
    Refused("a budget that nobody may spend", {"spec.rollout": {"surge": "Budget"}, "spec.scaling.mode": "Advise"}, "rollout.surge", "which scaling.mode Advise only speaks of"),
    Refused("a budget of one replica", {"spec.rollout": {"surge": "Budget"}, "spec.predictor.maxReplicas": 1}, "rollout.surge", "must then be at least 2"),
    Refused("a deadline of nothing", {"spec.rollout": {"progressDeadlineSeconds": 0}}, "rollout.progressDeadlineSeconds", "greater than or equal to 10"),
    Refused("pods kept beside a budget", {"spec.rollout": {"keepWarmSeconds": 60, "surge": "Budget"}}, "rollout.keepWarmSeconds", "rollout.surge Budget has no room"),
    Refused("a budget without a route", {"spec.rollout": {"surge": "Budget"}, "spec.route": GONE}, "rollout.surge", "which takes a route"),
    Refused("pods kept for longer than a rollback", {"spec.rollout": {"keepWarmSeconds": 600, "rollbackWindowSeconds": 300}}, "rollout.keepWarmSeconds", "at most rollbackWindowSeconds"),
    Refused("pods kept by a word", {"spec.rollout": {"keepWarmSeconds": "long"}}, "rollout.keepWarmSeconds", "integer"),
    Refused("a window of more than a week", {"spec.rollout": {"rollbackWindowSeconds": 604801}}, "rollout.rollbackWindowSeconds", "less than or equal to 604800"),
    Refused("no time to load", {"spec.predictor.modelLoadSeconds": 0}, "predictor.modelLoadSeconds", "greater than or equal to 10"),
    Refused("two startup probes", {"spec.predictor.modelLoadSeconds": 1800, f"{_C}.startupProbe": _PROBE}, "predictor.modelLoadSeconds", "remove container.startupProbe"),
    Refused("no gateway", {"spec.route.parentRefs": []}, "route.parentRefs", "at least 1"),
    Refused("the same gateway twice", {"spec.route.parentRefs": [_GATEWAY, _GATEWAY]}, "route.parentRefs", "must differ"),
    Refused("one gateway with and without a listener", {"spec.route.parentRefs": [_GATEWAY, _GATEWAY | {"sectionName": "http"}]}, "route.parentRefs", "all set sectionName"),
    Refused("no host name", {"spec.route.hostnames": []}, "route.hostnames", "at least 1"),
    Refused("a host name twice", {"spec.route.hostnames": ["a.example.com", "a.example.com"]}, "route.hostnames", "unique"),
    Refused("a host name in capitals", {"spec.route.hostnames": ["A.example.com"]}, "route.hostnames[0]", "should match"),
    Refused("an IP address as host name", {"spec.route.hostnames": ["10.0.0.1"]}, "route.hostnames", "no hostname"),
    Refused("a time-out of nothing", {"spec.predictor.timeout": 0}, "predictor.timeout", "greater than or equal to 1"),
    Refused("a request above its limit", {f"{_C}.resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}, "container.resources.requests", "at most its limit"),
    Refused("an accelerator requested without a limit", {f"{_C}.resources": {"requests": {"nvidia.com/gpu": 1}}}, "container.resources.requests", "set in limits"),
    Refused("a resource that does not exist", {f"{_C}.resources": {"limits": {"cpus": "1"}}}, "container.resources.limits", "cpu, memory"),
    Refused("a quantity that is none", {f"{_C}.resources": {"limits": {"cpu": "much"}}}, "container.resources.limits", "should match"),
    Refused("a negative amount", {f"{_C}.resources": {"limits": {"cpu": -1}}}, "container.resources.limits", "greater than or equal to 0"),
    Refused("a fraction of an accelerator", {f"{_C}.resources": {"limits": {"nvidia.com/gpu": "500m"}}}, "container.resources.limits", "whole numbers"),
    Refused("an accelerator requested below its limit", {f"{_C}.resources": {"limits": {"nvidia.com/gpu": 2}, "requests": {"nvidia.com/gpu": 1}}}, "container.resources.requests", "must equal its limit"),
    Refused("a resource whose domain is none", {f"{_C}.resources": {"limits": {"nvidia..com/gpu": 1}}}, "container.resources.limits", "extended resource"),
    Refused("a variable twice", {f"{_C}.env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, "container.env", "unique"),
    Refused("a Secret for pulling twice", {"spec.predictor.imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, "predictor.imagePullSecrets", "unique"),
    Refused("a variable that the operator sets", {f"{_C}.env": [{"name": "SERVING_REVISION", "value": "1"}]}, "container.env", "set by the operator"),
    Refused("a variable with two values", {f"{_C}.env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}, "container.env[0]", "not both"),
    Refused("a variable from nowhere", {f"{_C}.env": [{"name": "A", "valueFrom": {}}]}, "container.env[0].valueFrom", "exactly one"),
    Refused("a field that pods do not offer", {f"{_C}.env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.hostNetwork"}}}]}, "fieldPath", "metadata.name"),
    Refused("no port for requests", {f"{_C}.ports": [{"name": "metrics", "containerPort": 9000}]}, "container.ports", "named http"),
    Refused("a privileged port", {f"{_C}.ports": [{"name": "http", "containerPort": 80}]}, "containerPort", "greater than or equal to 1024"),
    Refused("a port number twice", {f"{_C}.ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 8080}]}, "container.ports", "unique"),
    Refused("a probe that asks in two ways", {f"{_C}.readinessProbe": _PROBE | {"tcpSocket": {"port": "http"}}}, "container.readinessProbe", "exactly one"),
    Refused("a probe of port 0", {f"{_C}.readinessProbe": {"tcpSocket": {"port": 0}}}, "readinessProbe.tcpSocket.port", "from 1 to 65535"),
    Refused("the root user", {"spec.predictor.runAsUser": 0}, "predictor.runAsUser", "greater than or equal to 1"),
    Refused("a label of ours", {"spec.predictor.labels": {"serving-operator.dev/revision": "x"}}, "predictor.labels", "set by the operator"),
    Refused("a label value with a space", {"spec.predictor.labels": {"team": "a b"}}, "predictor.labels", "should match"),
    Refused("a label key that is none", {"spec.predictor.labels": {"team name": "a"}}, "predictor.labels", "label keys"),
    Refused("a node label key that is none", {"spec.predictor.nodeSelector": {"gpu type": "a100"}}, "predictor.nodeSelector", "label keys"),
    Refused("a node label key whose domain is too long", {"spec.predictor.nodeSelector": {f"{'a' * 254}/b": "c"}}, "predictor.nodeSelector", "label keys"),
    Refused("a taint key that is none", {"spec.predictor.tolerations": [{"key": "gpu/a/b", "operator": "Exists"}]}, "tolerations[0].key", "label key"),
    Refused("an affinity to a node label that is none", _node_affinity({"key": "-gpu", "operator": "Exists"}), "matchExpressions[0].key", "label key"),
    Refused("more nodes than several numbers", _node_affinity({"key": "gpus", "operator": "Gt", "values": ["1", "2"]}), "matchExpressions[0].values", "exactly one value"),
    Refused("more nodes than a word", _node_affinity({"key": "gpus", "operator": "Gt", "values": ["few"]}), "matchExpressions[0].values", "whole number"),
    Refused("an affinity to a pod label that is none", _pod_affinity({"matchLabels": {"a b": "c"}}), "labelSelector.matchLabels", "label keys"),
    Refused("an affinity to pods by a label that is none", _pod_affinity({"matchExpressions": [{"key": "a b", "operator": "Exists"}]}), "matchExpressions[0].key", "label key"),
    Refused("a topology that is no label key", _pod_affinity({}, "rack no"), "topologyKey", "label key"),
    Refused("one spread twice", {"spec.predictor.topologySpreadConstraints": [_SPREAD, _SPREAD | {"maxSkew": 2}]}, "predictor.topologySpreadConstraints", "must differ"),
    Refused("a mount over the model", {"spec.predictor.persistentVolumeClaims": [{"claimName": "x", "mountPath": "/mnt/models"}]}, "mountPath", "taken"),
    Refused("a toleration without key or operator", {"spec.predictor.tolerations": [{"value": "x"}]}, "tolerations[0]", "operator Exists"),
    Refused("a node affinity without values", _node_affinity({"key": "a", "operator": "In"}), "matchExpressions[0]", "need values"),
]  # fmt: skip

_METRICS = "spec.signals.metrics"
REFUSED_AUTOSCALERS = [
    Refused("no signals", {"spec.signals": {}}, "spec.signals", "exactly one"),
    Refused("bounds the wrong way round", {"spec.minReplicas": 5}, "spec.minReplicas", "at most"),
    Refused("a metric's name with a dash", {f"{_METRICS}.inFlight": "in-flight"}, f"{_METRICS}.inFlight", "should match"),
    Refused("a counter that PromQL reads as a number", {f"{_METRICS}.requestsTotal": "nan"}, f"{_METRICS}.requestsTotal", "name of a metric"),
    Refused("a gauge that PromQL reads as a number", {f"{_METRICS}.inFlight": "Inf"}, f"{_METRICS}.inFlight", "name of a metric"),
    Refused("a counter that PromQL reads as an operator", {f"{_METRICS}.failuresTotal": "GROUP_left"}, f"{_METRICS}.failuresTotal", "name of a metric"),
]  # fmt: skip

ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("the smallest service", {}),
    ("a model on the built-in runtime", {_C: GONE, "spec.predictor.model": _MODEL}),
    ("a model on a runtime by its name", {_C: GONE, "spec.predictor.model": _MODEL | {"runtime": "triton", "modelFormat": {"name": "onnx", "version": "1"}, "args": ["--log-verbose=1"]}}),
    ("a pinned folder with credentials", {_C: GONE, "spec.predictor.model": _MODEL | {"storageUri": f"s3://models/llm#sha256={_PIN}", "storage": {"secretName": "store"}}}),
    ("a pinned file", {_C: GONE, "spec.predictor.model": _MODEL | {"storageUri": f"https://h:8443/a/b.tar.gz#sha256={_PIN}"}}),
    ("a commit of a model", {_C: GONE, "spec.predictor.model": _MODEL | {"storageUri": f"hf://org/llm-1.5:{_PIN[:40]}"}}),
    ("an image by its digest", {_C: GONE, "spec.predictor.model": _MODEL | {"storageUri": f"oci://registry.example.com:5000/team/llm@sha256:{_PIN}"}}),
    ("class External", _EXTERNAL),
    ("mode Advise", {"spec.scaling": {"mode": "Advise"}}),
    ("a GPU target", {"spec.scaling": {"gpu": {"targetUtilizationPercent": 70}}}),
    ("an accelerator", {f"{_C}.resources": {"limits": {"nvidia.com/gpu": 1}}}),
    ("an accelerator requested as limited", {f"{_C}.resources": {"limits": {"nvidia.com/gpu": 2}, "requests": {"nvidia.com/gpu": "2"}}}),
    ("quantities as numbers", {f"{_C}.resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}),
    ("a name of 40 characters", {"metadata.name": "a" * 40}),
    ("secrets and fields as environment", {f"{_C}.env": [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "TEAM", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}}]}),
    ("ports of our own", {f"{_C}.ports": [{"name": "http", "containerPort": 9000}, {"name": "metrics", "containerPort": 9001}]}),
    ("probes of every kind", {f"{_C}.readinessProbe": _PROBE, f"{_C}.livenessProbe": {"tcpSocket": {"port": 8080}},
                             f"{_C}.startupProbe": {"exec": {"command": ["true"]}, "failureThreshold": 60}}),
    ("a route of nothing but defaults", {"spec.route": {}}),
    ("no route", {"spec.route": GONE, "spec.rollout": {"soakSeconds": 5}}),
    ("two gateways", {"spec.route.parentRefs": [_GATEWAY, {"name": "other"}]}),
    ("two listeners of one gateway", {"spec.route.parentRefs": [_GATEWAY | {"sectionName": "a"}, _GATEWAY | {"sectionName": "b"}]}),
    ("a wildcard host name", {"spec.route.hostnames": ["*.example.com"]}),
    ("another weight and soak", {"spec.rollout": {"steps": [{"weight": 50}], "soakSeconds": 0}}),
    ("a rollback without new pods", {"spec.rollout": {"keepWarmSeconds": 900, "rollbackWindowSeconds": 900}}),
    ("no rollback by a label", {"spec.rollout": {"rollbackWindowSeconds": 0}}),
    ("a model that loads for an hour", {_C: GONE, "spec.predictor.model": _MODEL, "spec.predictor.modelLoadSeconds": 3600}),
    ("a container that loads for an hour", {"spec.predictor.modelLoadSeconds": 3600}),
    ("an analysis by its defaults", {"spec.rollout": {"analysis": {}}}),
    ("three steps that promote themselves", {"spec.rollout": {
        "steps": [{"weight": 10, "pauseSeconds": 60}, {"weight": 30, "minimumRequests": 100}, {"weight": 60}], "promotion": "Automatic",
        "analysis": {"source": "istio", "windowSeconds": 10, "unacceptablePercent": 5, "stepDeadlineSeconds": 600, "onInconclusive": "Extend"}}}),
    ("a budget for both revisions", {"spec.rollout": {"surge": "Budget"}}),
    ("a budget of two replicas", {"spec.rollout": {"surge": "Budget"}, "spec.predictor.maxReplicas": 2}),
    ("a total that is split", {**_EXTERNAL, "spec.rollout": {"surge": "Budget"}}),
    ("ten steps", {"spec.rollout": {"steps": [{"weight": 9 * n} for n in range(1, 11)], "analysis": {}}}),
    ("placement", {"spec.predictor.nodeSelector": {"gpu": "a100"}, "spec.predictor.tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
                   "spec.predictor.topologySpreadConstraints": [_SPREAD, _SPREAD | {"whenUnsatisfiable": "DoNotSchedule"}]}),
    ("nodes with more than one device", _node_affinity({"key": "example.com/gpus", "operator": "Gt", "values": ["1"]})),
    ("a host for each pod", _pod_affinity({"matchLabels": {"example.com/team": "a"}, "matchExpressions": [{"key": "a.b/c", "operator": "In", "values": ["d"]}]})),
    ("storage and shared memory", {"spec.predictor.sharedMemory": "1Gi", "spec.predictor.fsGroup": 1000,
                                   "spec.predictor.persistentVolumeClaims": [{"claimName": "cache", "mountPath": "/cache"}]}),
    ("labels and annotations", {"spec.predictor.labels": {"example.com/team": "vision"}, "spec.predictor.annotations": {"note": "a b c"}}),
]  # fmt: skip
