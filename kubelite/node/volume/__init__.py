"""Volumes: where a pod's directories come from, how containers see them, and their safe removal."""
