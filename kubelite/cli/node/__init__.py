"""The ``kubelite node`` commands."""
