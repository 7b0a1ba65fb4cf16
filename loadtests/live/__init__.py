"""The autoscaler beside the real HPA and the real KEDA, on the local cluster."""
