"""The fixtures of this layer."""

from tests.attack.arena import arena, weak

__all__ = ["arena", "weak"]
