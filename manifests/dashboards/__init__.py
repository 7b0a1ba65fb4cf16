"""Grafana dashboards as code: one file for each, and how their parts look."""
