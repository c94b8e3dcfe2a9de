"""Errors of the C core and of the shim protocol. Pure.

:mod:`kubelite.core.native` makes them of what a C function reports (``kl_fail`` in csrc/error.c),
:class:`kubelite.core.shim.Shim` of what a shim answers.

CoreError
├── NativeError     a system call failed: step, object and errno
├── ShimGone        the shim has exited, or does not listen on its socket
├── ShimSilent      the shim does not answer: it is stopped, or the machine is stuck
└── ProtocolError   a message that this version does not understand
"""

from __future__ import annotations

import errno as _errno
import os


class CoreError(Exception):
    """Root of this package's errors."""


class NativeError(CoreError):
    """A failed system call in C: ``step`` is the operation, ``object`` what it was applied to."""

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
    """The shim of a pod has exited, or its socket does not exist."""


class ShimSilent(CoreError, TimeoutError):
    """The shim of a pod does not answer in time. Its containers may run on."""


class ProtocolError(CoreError):
    """A message that violates the shim protocol."""
