"""What the autoscaler would have done: the same `tick` over recorded answers, beside what happened and what peers would do.

* `recording`: the format; `files` reads and writes it, `recorder` keeps a running loop, `export` asks Prometheus.
* `faithful`: the tick on what was recorded; `survey`: whether its decisions are those that were recorded.
* `compare`: every policy on a `model` of the replicas, ours by the tick on `counterfactual` answers, peers as `rivals`.
* `outcome`, `sheet`, `page`, `plot`: what each cost and held, as numbers, text and a page. `command`: the command line.
"""
