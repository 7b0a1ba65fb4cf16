"""How the operator bears many services: a real API server, and nodes, a gateway and an autoscaler that only say that all is well."""
