"""The node in a cluster: registration, pods that an API server binds here, and their status."""
