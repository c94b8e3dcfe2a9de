"""The caller's terminal: raw while a program in a container uses it, restored on every way out."""

from __future__ import annotations

import os
import signal
import termios
import tty
from types import FrameType, TracebackType

STDIN = 0


class RawTerminal:
    """Context manager: every key, Ctrl-C included, goes to the program.

    ``winch`` is a descriptor that becomes readable when the window changes its size.
    """

    def __init__(self, fd: int = STDIN) -> None:
        self._fd = fd

    def __enter__(self) -> RawTerminal:
        self._saved = termios.tcgetattr(self._fd)
        self.winch, self._wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wakeup = signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        self._handler = signal.signal(signal.SIGWINCH, _ignore)
        tty.setraw(self._fd, termios.TCSADRAIN)  # keeps what was typed ahead
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)
        signal.signal(signal.SIGWINCH, self._handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self.winch)
        os.close(self._wakeup_write)

    def resized(self) -> None:
        """Drains ``winch``: it becomes readable again with the next change."""
        try:
            os.read(self.winch, 4096)
        except BlockingIOError:
            return


def _ignore(number: int, frame: FrameType | None) -> None:
    """Does nothing: the byte in the wake-up pipe is what counts."""


def size(fd: int = STDIN) -> tuple[int, int]:
    """Rows and columns of the terminal, (0, 0) where there is none."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return 0, 0
    return rows, columns
