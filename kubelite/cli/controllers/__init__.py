"""``kubelite controllers``."""
