"""What the autoscaler would have done: the same `tick` over recorded answers, beside what happened and what peers would do.

* `recording`: what is recorded, its format and files; `export` makes one from Prometheus.
* `faithful`: the tick on what was recorded; `survey`: whether its decisions are those that were recorded.
* `compare`: every policy on a `model` of the replicas, ours by the tick on `counterfactual` answers, peers as `rivals`.
* `report`: what each cost and held. `command`: the command line, with `settings`.
"""
