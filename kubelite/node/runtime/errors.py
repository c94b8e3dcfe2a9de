"""Errors of sandboxes and containers. Pure.

RuntimeFailure          one sentence; ``cause`` and ``hint`` where there is more to say
├── CannotStart         a container could not be started: ``exit_code`` 126, 127 or 128
├── NotFound            no such pod or container
├── NotRunning          the command needs it to be running
└── Conflict            another pod or process is in the way
"""

from __future__ import annotations


class RuntimeFailure(Exception):
    """Root of this room's errors."""

    def __init__(self, message: str, *, cause: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.hint = hint


class CannotStart(RuntimeFailure):
    """The start of a container failed. ``exit_code`` is that of a shell: 127 not found, 126 not
    executable, 128 anything else.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code: int = 128,
        cause: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, cause=cause, hint=hint)
        self.exit_code = exit_code


class NotFound(RuntimeFailure):
    """There is no such pod or container."""


class NotRunning(RuntimeFailure):
    """The pod or container does not run."""


class Conflict(RuntimeFailure):
    """Something else holds the name or the resource."""
