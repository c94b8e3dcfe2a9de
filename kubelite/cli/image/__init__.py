"""The ``kubelite image`` commands, one module per verb."""
