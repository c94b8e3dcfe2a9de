"""A program in a terminal of its own, with somebody who types and reads."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from tests.e2e.world import TIMEOUT


class Terminal:
    """Runs ``command`` in a terminal of 24 rows and 80 columns until it ends or :meth:`close`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.resize(24, 80)
        self._shown = ""
        self._process = subprocess.Popen(
            command,
            env={**env, "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            # The terminal is the program's controlling one, so that it hears of a new size.
            preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def resize(self, rows: int, columns: int) -> None:
        """Gives the terminal another size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Types ``text``."""
        os.write(self._master, text.encode())

    def expect(self, pattern: str, seconds: float = TIMEOUT) -> re.Match[str]:
        """The first match in what was shown since the last one."""
        deadline = time.monotonic() + seconds
        while (match := re.search(pattern, self._shown)) is None:
            more = self._read(deadline)
            assert more, f"no {pattern!r} in: {self._shown}"
            self._shown += more
        self._shown = self._shown[match.end() :]
        return match

    def wait(self, seconds: float = TIMEOUT) -> int:
        """The exit code of the program."""
        deadline = time.monotonic() + seconds
        while more := self._read(deadline):
            self._shown += more
        return self._process.wait(max(deadline - time.monotonic(), 0.1))

    def _read(self, deadline: float) -> str:
        """What is shown next; "" when the program has closed the terminal, or at the deadline."""
        if not select.select([self._master], [], [], max(deadline - time.monotonic(), 0))[0]:
            return ""
        try:
            return os.read(self._master, 1 << 16).decode(errors="replace").replace("\r\n", "\n")
        except OSError:
            return ""

    def close(self) -> None:
        """Ends the program."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._master)
