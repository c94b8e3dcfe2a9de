"""The lock of a pod: one writer at a time, and no file of it once the pod is gone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from kubelite.lib.files import FileLock
from kubelite.node.runtime.home import Home


@contextlib.contextmanager
def hold_pod(home: Home, uid: str, *, timeout: float | None = None) -> Iterator[FileLock | None]:
    """Holds the lock of a pod; None where there is no such pod any more. ``timeout`` as of
    :class:`FileLock`. Raises TimeoutError, OSError.

    Whoever has waited while the pod was removed makes no new file: killed before it has looked, it
    would leave one that belongs to no pod.
    """
    path = home.pod(uid)
    lock = FileLock(home.pod_lock(uid), timeout=timeout, may_create=lambda: os.path.lexists(path))
    try:
        lock.acquire()
    except FileNotFoundError:
        if os.path.lexists(path):
            raise
        yield None
        return
    try:
        if os.path.lexists(path):
            yield lock
        else:
            lock.remove()
            yield None
    finally:
        lock.release()
