"""What the autoscaler would have done: the same `tick` over recorded answers, beside what happened and what peers would do.

* `recording`: the format of a recording; `files` reads and writes it; `export` makes one from Prometheus.
* `faithful`: the tick on what was recorded; `counterfactual`: the tick on what a model of the replicas makes of it.
* `score`, `outcome`, `sheet`: what each policy cost and held, as numbers, text and a page.
"""
