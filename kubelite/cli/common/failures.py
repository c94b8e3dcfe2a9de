"""Turns every exception into a diagnostic: nobody sees a traceback without asking. Pure.

The rooms below raise error trees of their own; this module knows them by what they carry. It is
imported only when something has gone wrong.
"""

from __future__ import annotations

import errno
import re

from kubelite.cli.common.command import GLOBAL_OPTIONS
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.core.errors import CoreError, NativeError
from kubelite.node.cgroup.errors import CgroupError
from kubelite.node.image.errors import ImageError
from kubelite.node.network.errors import NetworkError
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.volume.errors import VolumeError

BUG = "this is a bug in kubelite: --debug shows where; please report it with the command line"
_HINTS = {
    errno.ENOSPC: (
        "the disk is full: `kubelite image ls` and `kubelite pod ls -A` show what can be removed"
    ),
    errno.EDQUOT: "the disk quota is exceeded",
    errno.EROFS: "the state root is on a read-only file system: choose another with --root",
    errno.EMFILE: "too many open files: raise `ulimit -n`",
    errno.ENFILE: "the machine has too many open files",
    errno.ENOMEM: "the machine is out of memory",
    errno.EADDRINUSE: "another program listens there: `ss -lntp` shows which",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address: `ip address` shows them",
}
_TAKE_VALUES = [
    name for option in GLOBAL_OPTIONS.values() if option.metavar for name in option.names.split()
]
"""They are taken out of the command line before it is parsed, except for one without a value."""
_PLAINER = (
    (
        re.compile(r"^Got unexpected extra arguments?(?:\(s\))? \((.*)\)$"),
        r"too many arguments: \1",
    ),
    (re.compile(r"\. Choose from:\s*"), ": one of "),
    (re.compile(r",\n\s*"), ", "),
    (re.compile(r"is not in the range (-?\d+)<=x<=(-?\d+)$"), r"is not from \1 to \2"),
    (re.compile(r"is not in the range x>=(-?\d+)$"), r"is less than \1"),
    (re.compile(r"is not a valid int(eger)?( range)?$"), "is not a whole number"),
    (re.compile(rf"^No such option: ({'|'.join(_TAKE_VALUES)})$"), r"option '\1' needs a value"),
    (re.compile(r"requires an argument$"), "needs a value"),
)
"""The parser's own words, and plain ones for a person."""
_NOT_ROOT = "kubelite needs root for this: run it with sudo"


class Interrupted(KeyboardInterrupt):
    """A signal ends the command; whatever undoes its work on KeyboardInterrupt does so for this."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def diagnostics(error: BaseException, *, exit_code: int = 1) -> tuple[Diagnostic, ...]:
    """What to show for an exception. ``exit_code`` is that of a failure without its own."""
    if isinstance(error, CliError):
        return error.diagnostics
    if isinstance(error, RuntimeFailure):
        return (
            Diagnostic(
                error.message,
                cause=error.cause or "",
                hint=error.hint or "",
                exit_code=exit_code,
            ),
        )
    if isinstance(error, (ImageError, VolumeError, CgroupError, NetworkError)):
        return (Diagnostic(error.message, hint=error.hint, exit_code=exit_code),)
    if isinstance(error, NativeError):
        return (_native(error, exit_code),)
    if isinstance(error, CoreError):
        hint = "`kubelite pod ls` shows what is still running"
        return (Diagnostic(f"{error}", hint=hint, exit_code=exit_code),)
    if isinstance(error, OSError) and error.errno is not None:
        return (_system(error, exit_code),)
    if isinstance(error, MemoryError):
        return (Diagnostic("out of memory", exit_code=exit_code),)
    return (Diagnostic(_unexpected(error), hint=BUG, exit_code=exit_code),)


def _native(error: NativeError, exit_code: int) -> Diagnostic:
    hint = _NOT_ROOT if error.errno in (errno.EPERM, errno.EACCES) else _HINTS.get(error.errno, "")
    return Diagnostic(f"{error}", hint=hint, exit_code=exit_code)


def _system(error: OSError, exit_code: int) -> Diagnostic:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    if isinstance(error, FileNotFoundError) and not names:  # getcwd(2)
        message = "the current directory does not exist any more"
        return Diagnostic(message, hint="change to another one", exit_code=exit_code)
    where = f"{' -> '.join(names)}: " if names else ""
    hint = _NOT_ROOT if isinstance(error, PermissionError) else _HINTS.get(error.errno or 0, "")
    return Diagnostic(
        f"{where}{error.strerror}", hint=hint or ("" if names else BUG), exit_code=exit_code
    )


def _unexpected(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return f"unexpected {type(error).__name__}" + (f": {text}" if text else "")


def usage_error(error: Exception, verb: str) -> Diagnostic | None:
    """A wrong command line of a verb, "" for none, as the parser reports it; None if the exception
    is something else.

    The parser's errors are recognized by ``format_message`` and ``exit_code``, the part of their
    shape that has never changed.
    """
    if not hasattr(error, "format_message") or not hasattr(error, "exit_code"):
        return None
    context = getattr(error, "ctx", None)
    path = f"kubelite {verb}" if verb else getattr(context, "command_path", "kubelite")
    message = str(error.format_message()).rstrip(".")
    for theirs, plainer in _PLAINER:
        message = theirs.sub(plainer, message)
    return Diagnostic(
        message[:1].lower() + message[1:], hint=f"`{path} -h` shows the usage", exit_code=2
    )
