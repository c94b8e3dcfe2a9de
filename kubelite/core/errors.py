"""What can go wrong below Python. Pure.

CoreError
├── NativeError     a system call failed: step, object and errno
├── ShimGone        nobody answers at a shim's socket any more
└── ProtocolError   the shim said something that this version does not understand
"""

from __future__ import annotations

import errno as _errno
import os


class CoreError(Exception):
    """Root of this room's errors."""


class NativeError(CoreError):
    """A system call failed in C: ``step`` says which act, ``object`` what it was done to, ``errno``
    why.
    """

    def __init__(self, step: str, object: str, errno: int) -> None:
        super().__init__(step, object, errno)
        self.step = step
        self.object = object
        self.errno = errno

    def __str__(self) -> str:
        return f"{self.step} {self.object}: {os.strerror(self.errno)}"

    @property
    def code(self) -> str:
        """The errno's name, such as ``ENOENT``."""
        return _errno.errorcode.get(self.errno, str(self.errno))


class ShimGone(CoreError):
    """The shim of a pod has ended, or its socket is gone."""


class ProtocolError(CoreError):
    """A message that does not fit the shim protocol."""
