"""What Prometheus loads: scrape configuration, recording rules and alerts."""
