"""What the last days teach, learned again after a restart from the history that Prometheus keeps."""
