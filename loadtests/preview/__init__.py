"""The shipped dashboards as one page, drawn from the answers of a Prometheus: for whom has no Grafana at hand."""
