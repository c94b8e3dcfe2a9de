"""The caller's terminal: raw while a program in a container has it, as it was before on every way
out.
"""

from __future__ import annotations

import os
import signal
import termios
import tty
from types import FrameType, TracebackType

STDIN = 0


class RawTerminal:
    """A context in which every key, Ctrl-C included, goes to the program and changes of the
    window's size are told.

    ``winch`` is a descriptor that becomes readable when the window changes its size.
    """

    def __init__(self, fd: int = STDIN) -> None:
        self._fd = fd

    def __enter__(self) -> RawTerminal:
        self._before = termios.tcgetattr(self._fd)
        self.winch, self._signalled = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = signal.set_wakeup_fd(self._signalled, warn_on_full_buffer=False)
        self._handler = signal.signal(signal.SIGWINCH, _noticed)
        tty.setraw(self._fd, termios.TCSADRAIN)  # what was typed ahead is kept
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
        signal.signal(signal.SIGWINCH, self._handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self.winch)
        os.close(self._signalled)

    def resized(self) -> None:
        """Takes note of the changes so far: ``winch`` is quiet again until the next one."""
        try:
            os.read(self.winch, 4096)
        except BlockingIOError:
            return


def _noticed(number: int, frame: FrameType | None) -> None:
    """Does nothing: the number in the wake-up pipe is what counts."""


def size(fd: int = STDIN) -> tuple[int, int]:
    """Rows and columns of the terminal, (0, 0) where there is none."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return 0, 0
    return rows, columns
