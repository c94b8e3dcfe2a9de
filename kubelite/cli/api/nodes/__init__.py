"""Verbs for nodes."""
