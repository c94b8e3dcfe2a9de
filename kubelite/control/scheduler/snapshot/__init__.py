"""A snapshot of the cluster as columns of numbers for the C core."""
