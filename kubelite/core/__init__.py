"""The Python interface of the C core."""
