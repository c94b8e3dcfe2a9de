"""The state roots and data directories of this machine, so that a container on the machine's own
files sees none of them.

A registry directory holds one symbolic link per root, named after a digest of its path. It is best
effort: a user who may not write there leaves no entry, and nobody else could read such a root
through a container anyway.
"""

from __future__ import annotations

import os
import time

from kubelite.lib.digest import hexdigest
from kubelite.lib.files import names, unlink_missing

STALE_SECONDS = 3600  # a root may be registered a moment before it is made


def registry() -> str:
    """The registry directory; KUBELITE_REGISTRY names another one."""
    return os.environ.get("KUBELITE_REGISTRY") or "/var/lib/kubelite-roots"


def register(path: str) -> None:
    """Adds an absolute path."""
    link = _link(path)
    try:
        os.readlink(link)
    except OSError:
        try:
            os.makedirs(registry(), 0o700, exist_ok=True)
            _drop_stale()
            os.symlink(path, link)
        except OSError:
            pass  # taken by another process, or not permitted


def forget(path: str) -> None:
    """Removes a path, and the registry once it is empty."""
    try:
        unlink_missing(_link(path))
        os.rmdir(registry())
    except OSError:
        pass


def registered() -> list[str]:
    """Every registered path that exists."""
    try:
        links = [f"{registry()}/{name}" for name in names(registry())]
        return [os.readlink(link) for link in links if os.path.exists(link)]
    except OSError:
        return []


def _drop_stale() -> None:
    """Removes entries of roots that were deleted by hand. Raises OSError."""
    for name in names(registry()):
        link = f"{registry()}/{name}"
        if not os.path.exists(link) and os.lstat(link).st_mtime < time.time() - STALE_SECONDS:
            unlink_missing(link)


def _link(path: str) -> str:
    return f"{registry()}/{hexdigest(os.fsencode(path))[:16]}"
