"""Services under load in simulated time, request by request, in front of the production autoscaler.

* `promql`: the part of PromQL that the autoscaler's own questions use, as a syntax tree.
* `store`: what was scraped, and `evaluate`: the answer to a question, as Prometheus gives it.
* `requests`: every request of one service, from the gateway to the end of its work. Compiled where Numba is installed.
* `world`: services whose pods start, serve, drain and are scraped, while `tick` decides.
"""
