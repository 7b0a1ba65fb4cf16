"""The benchmark of the autoscaler: the same services under every policy, and what each costs and holds."""
