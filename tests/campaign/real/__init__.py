"""A real API server in the place of the store in memory; everything else of a run stays as it is."""
