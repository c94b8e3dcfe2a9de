"""The fixture of this layer."""

from tests.e2e.world import world

__all__ = ["world"]
