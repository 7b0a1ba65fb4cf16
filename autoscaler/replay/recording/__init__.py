"""Recordings: what the API server and Prometheus told at each tick."""
