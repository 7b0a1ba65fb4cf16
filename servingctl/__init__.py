"""The command line of serving-operator, also installed as kubectl-serving."""
