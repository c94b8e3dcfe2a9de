"""SHA-256 for names and ids. Pure.

The interpreter has it built in; hashlib would load OpenSSL first, which is a noticeable part of a
short command. What hashes layers takes hashlib, whose code is faster once it is there.
"""

from __future__ import annotations

try:
    from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore,no-redef]
    except ImportError:
        from hashlib import sha256


def hexdigest(data: bytes) -> str:
    """64 hexadecimal digits."""
    return str(sha256(data).hexdigest())
