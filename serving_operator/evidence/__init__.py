"""What canary and stable have done, counted from Prometheus: sources as data, counting pure, one task that reads."""
