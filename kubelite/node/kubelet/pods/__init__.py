"""The verbs of local pods: create, query, copy, wait, reset."""
