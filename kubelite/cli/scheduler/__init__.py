"""The ``kubelite scheduler`` commands, one module per verb."""
