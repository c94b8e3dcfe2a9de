"""The C core as Python sees it."""
