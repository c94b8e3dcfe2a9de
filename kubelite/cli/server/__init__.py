"""The ``kubelite server`` command."""
