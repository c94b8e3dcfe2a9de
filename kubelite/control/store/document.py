"""The one thing a store knows about its documents: where ``metadata.resourceVersion`` stands. Pure.

Documents are objects in the servers' field order, so the first ``"uid":"`` outside a string's
escapes is ``metadata.uid``: only name, generateName and namespace come before it, and a quote
inside a JSON string is escaped.
"""

from __future__ import annotations

_UID = b'"uid":"'
_VERSION = b'"resourceVersion":"'


def stamp(value: bytes, revision: int) -> bytes:
    """The document with its revision written in. Raises ValueError where it has no uid."""
    end = value.index(b'"', value.index(_UID) + len(_UID)) + 1
    return b'%b,"resourceVersion":"%d"%b' % (value[:end], revision, _without_version(value[end:]))


def _without_version(rest: bytes) -> bytes:
    """What follows the uid, less a revision that already stood there."""
    if not rest.startswith(b"," + _VERSION):
        return rest
    return rest[rest.index(b'"', 1 + len(_VERSION)) + 1 :]
