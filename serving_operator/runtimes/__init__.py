"""Runtimes: which one serves a model, and what its pods run."""
