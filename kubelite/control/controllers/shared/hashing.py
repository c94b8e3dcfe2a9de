"""Hashes in names of objects: FNV-1a and the alphabet without vowels. Pure.

The hash of a template differs from that of kube-controller-manager, which hashes the memory layout
of a Go struct; its form (a 32-bit FNV-1a as a decimal number in the safe alphabet) is the same.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
MAX_BASE = 63 - SUFFIX_LENGTH
_OFFSET, _PRIME = 0x811C9DC5, 0x01000193


def fnv32a(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    value = _OFFSET
    for byte in data:
        value = (value ^ byte) * _PRIME & 0xFFFFFFFF
    return value


def safe_encode(text: str) -> str:
    """Each character replaced by one of 27 that make no words."""
    return "".join(ALPHABET[ord(char) % len(ALPHABET)] for char in text)


def template_hash(template: Any, collisions: int | None = None) -> str:
    """The value of ``pod-template-hash``: of a template, and of how often a name was taken."""
    data = msgspec.json.encode(template, order="deterministic")
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    return safe_encode(str(fnv32a(data)))


def suffix(*parts: str) -> str:
    """Five characters of the safe alphabet that are a function of the parts."""
    digest = int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest(), "big")
    chars = []
    for _ in range(SUFFIX_LENGTH):
        digest, rest = divmod(digest, len(ALPHABET))
        chars.append(ALPHABET[rest])
    return "".join(chars)


def generated_name(base: str, *parts: str) -> str:
    """A name such as the API server generates from ``base``, but a function of the parts: made
    again after a crash it is the same, and nothing is created twice.
    """
    return base[:MAX_BASE] + suffix(*parts)
