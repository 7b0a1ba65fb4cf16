"""Fetches a model into a folder: pinned, guarded against addresses inside the cluster, resumable, all or nothing."""
