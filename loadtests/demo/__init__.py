"""The main job, live: a service is applied, scaled, rolled out and defended against a broken version."""
