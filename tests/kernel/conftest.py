"""Pods made in this process, as the attacks make them."""

from tests.attack.arena import arena, weak

__all__ = ["arena", "weak"]
