"""Every exception as a sentence: no traceback reaches a person who did not ask for one. Pure.

The rooms below raise their own trees; this module knows them by what they carry. It is imported
only when something has gone wrong.
"""

from __future__ import annotations

import errno

from kubelite.cli.text import CliError, Trouble
from kubelite.core.errors import CoreError, NativeError
from kubelite.node.cgroup.errors import CgroupError
from kubelite.node.image.errors import ImageError
from kubelite.node.network.errors import NetworkError
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.volume.errors import VolumeError

BUG = "this is a bug in kubelite: --debug shows where; please report it with the command line"
_HINTS = {
    errno.ENOSPC: "the disk is full: `kubelite image ls` and `kubelite pod ls -A` show what could go",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the state root lies on a read-only file system: choose another with --root",
    errno.EMFILE: "too many open files: raise `ulimit -n`",
    errno.ENFILE: "the machine has no open files left",
    errno.ENOMEM: "the machine has no memory left",
}
_NOT_ROOT = "kubelite needs root for this: try sudo"


class Interrupted(KeyboardInterrupt):
    """A signal asks the command to end; what catches KeyboardInterrupt to undo its work catches
    this too.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def troubles(error: BaseException, *, exit: int = 1) -> tuple[Trouble, ...]:
    """What to show for an exception. ``exit`` is the code of a failure that has none of its own."""
    if isinstance(error, CliError):
        return error.troubles
    if isinstance(error, RuntimeFailure):
        return (Trouble(error.message, cause=error.cause or "", hint=error.hint or "", exit=exit),)
    if isinstance(error, (ImageError, VolumeError, CgroupError, NetworkError)):
        return (Trouble(error.message, hint=error.hint, exit=exit),)
    if isinstance(error, NativeError):
        return (_native(error, exit),)
    if isinstance(error, CoreError):
        return (Trouble(f"{error}", hint="`kubelite pod ls` shows what still runs", exit=exit),)
    if isinstance(error, OSError) and error.errno is not None:
        return (_system(error, exit),)
    if isinstance(error, MemoryError):
        return (Trouble("not enough memory", exit=exit),)
    return (Trouble(_unforeseen(error), hint=BUG, exit=exit),)


def _native(error: NativeError, exit: int) -> Trouble:
    hint = _NOT_ROOT if error.errno in (errno.EPERM, errno.EACCES) else _HINTS.get(error.errno, "")
    return Trouble(f"{error}", hint=hint, exit=exit)


def _system(error: OSError, exit: int) -> Trouble:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    where = f"{' -> '.join(names)}: " if names else ""
    hint = _NOT_ROOT if isinstance(error, PermissionError) else _HINTS.get(error.errno or 0, "")
    return Trouble(f"{where}{error.strerror}", hint=hint or ("" if names else BUG), exit=exit)


def _unforeseen(error: BaseException) -> str:
    said = " ".join(str(error).split())[:300]
    return f"unexpected {type(error).__name__}" + (f": {said}" if said else "")


def usage(error: Exception) -> Trouble | None:
    """A wrong command line, as the parser reports it; None when the exception is something else.

    The parser's errors are known by ``format_message`` and ``exit_code``, the part of their shape
    that has never changed.
    """
    if not hasattr(error, "format_message") or not hasattr(error, "exit_code"):
        return None
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "kubelite")
    message = str(error.format_message()).rstrip(".")
    return Trouble(
        message[:1].lower() + message[1:], hint=f"`{path} -h` shows how it is used", exit=2
    )
