"""The node agent: a kubelet that runs pods as local processes.

It differs from a kubelet where a process differs from a container, and nowhere else on purpose:

* No mount namespace. A volume lives in a directory of the run directory; wherever a container's own `env`,
  `command`, `args` and `workingDir` name a mountPath, that directory's name is put in its place. Paths inside
  files are not touched. Without a `workingDir` under a mount the process starts in its `HOME`.
* No images. `catalogue` says which local command stands for which public image reference.
* No network namespace. A pod reports 10.244.a.b and must listen on 127.244.a.b, given as `LISTEN_ADDRESS`.
* A mounted service account token is a file plus a kubeconfig that names it, given as `KUBECONFIG`.
* Processes run as the agent's user: `runAsUser` and the rest of `securityContext` are not applied.
* CPU limits hold by cgroup, or where none can be written by stopping and continuing the container's processes
  (the node's condition `CPULimitsEnforced` says which). Memory limits, `sizeLimit` and medium `Memory` of an
  emptyDir are not enforced, and nothing is killed for want of memory.
* Envoy and the GPU exporter are static ("mirror") pods: published and kept, run by the cluster's supervisor.
* No kubelet API: output is in `<run dir>/pods/<namespace>_<pod>/<container>.log`. gRPC probes always fail.
* The annotation `serving-operator.dev/emulate-loss: "true"` on a Node kills its pods and its heartbeat.
"""
