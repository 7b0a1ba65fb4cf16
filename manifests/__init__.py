"""What is applied to a cluster, and the code that writes part of it."""
