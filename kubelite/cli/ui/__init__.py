"""The command ``kubelite ui``."""
