"""What is wrong with a manifest, found without a cluster: its schema and the rules beside it."""
