"""An attached process: an exec session, or the streams of a container's main process."""

from __future__ import annotations

from kubelite.core import protocol
from kubelite.core.protocol import Message
from kubelite.core.shim import Shim


class Session:
    """One attached process. ``read`` blocks; ``fileno`` and ``read_packet`` are for poll. Closing
    detaches from the process and leaves it running.
    """

    def __init__(self, shim: Shim) -> None:
        self._shim = shim
        self._input_open = True

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Readable when :meth:`read_packet` has something."""
        return self._shim.fileno()

    def read(self) -> tuple[int, bytes] | int:
        """The next output as (1 or 2, bytes), or at the end the exit code. Raises ShimGone."""
        while (received := self.read_packet()) is None:
            pass
        return received

    def read_packet(self) -> tuple[int, bytes] | int | None:
        """As :meth:`read`, but of one packet; None for one that carries no output. Does not block
        when the session is readable.
        """
        packet = self._shim.stream()
        if packet.type == Message.DATA:
            return packet.flags, packet.body
        if packet.type == Message.EXITED:
            return protocol.read_processes(packet.body)[0].code
        return None

    def write(self, data: bytes) -> None:
        """Sends input, in pieces that fit a packet. Blocks while the process does not read."""
        for start in range(0, len(data), protocol.MAX_DATA_SIZE):
            self._shim.ask(Message.DATA, data[start : start + protocol.MAX_DATA_SIZE])

    def close_stdin(self) -> None:
        """End of input; further calls do nothing."""
        if self._input_open:
            self._input_open = False
            self._shim.ask(Message.END)

    def resize(self, rows: int, columns: int) -> None:
        """Sets the size of the process' terminal, in characters."""
        self._shim.ask(Message.RESIZE, protocol.window(rows, columns))

    def close(self) -> None:
        """Detaches from the process."""
        self._shim.close()
