"""Verbs for the containers of a pod."""
