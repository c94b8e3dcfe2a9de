"""Utilities that know neither Kubernetes nor containers: YAML with positions, atomic files,
SPDY.
"""
