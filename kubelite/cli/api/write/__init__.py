"""Verbs that change objects."""
