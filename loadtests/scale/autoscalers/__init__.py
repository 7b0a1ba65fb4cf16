"""How the autoscaler bears many InferenceAutoscalers: a real API server and a real Prometheus, and pods that are numbers."""
