"""The ``kubelite network`` commands."""
