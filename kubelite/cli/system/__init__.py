"""The ``kubelite system`` commands, one module per verb."""
