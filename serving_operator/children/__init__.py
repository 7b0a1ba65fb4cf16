"""Manifests of everything that a service owns: pure functions of the service and of what was recorded of a revision."""
