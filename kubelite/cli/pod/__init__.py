"""The ``kubelite pod`` commands, one module per verb."""
