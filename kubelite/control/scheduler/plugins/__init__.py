"""Filters, scores, profiles and their arguments."""
