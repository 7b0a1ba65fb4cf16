"""Whether a canary is good enough, worse than stable, or not yet known: from counts alone."""
