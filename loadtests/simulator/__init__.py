"""Services under load in simulated time, request by request, in front of the production autoscaler.

* `promql`: the part of PromQL that the autoscaler's own questions use, as a syntax tree.
* `store`: what was scraped, and `evaluate`: the answer to a question, as Prometheus gives it.
* `requests`: every request of one service, from the gateway to the end of its work. Compiled where Numba is installed.
* `batched`: the same where pods work on several at once (`iterations`, by the numbers of an `engine`) or a `gateway` tries again.
* `published`: numbers of engines, requests and starts, with their sources; `starts`: how long pods take to start.
* `scrapes`: what pods and gateways expose, as the autoscaler's profiles read it.
* `world`: services whose pods start, serve, drain and are scraped, while `tick` decides.
"""
