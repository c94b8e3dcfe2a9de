"""Exec and attach: a process in a container joined with a client's channels.

The status that ends a session is Kubernetes' (``remotecommand``): Success, or Failure with reason
NonZeroExitCode and the code as a cause.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from kubelite.core.errors import CoreError
from kubelite.node.kubelet.server.channels import (
    ERROR,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Channels,
    has_status,
)
from kubelite.node.kubelet.server.http import Request


class Process(Protocol):
    """A process with streams: :class:`kubelite.node.runtime.exec.session.Session`."""

    def fileno(self) -> int:
        """Readable when :meth:`read_packet` has something."""

    def read_packet(self) -> tuple[int, bytes] | int | None:
        """(1 or 2, output), at the end the exit code; None for what is no output. Blocks only when
        the process is not readable.
        """

    def write(self, data: bytes) -> None:
        """Sends input; blocks while the process does not read."""

    def close_stdin(self) -> None:
        """End of input."""

    def resize(self, rows: int, columns: int) -> None:
        """The size of the terminal."""

    def close(self) -> None:
        """Leaves the process."""


class Options(NamedTuple):
    """Which streams a client asks for, and whether over a terminal."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @property
    def channels(self) -> frozenset[int]:
        """The channels that a client with these options opens."""
        is_open = {ERROR: True, STDIN: self.stdin, STDOUT: self.stdout}
        is_open |= {STDERR: self.stderr and not self.tty, RESIZE: False}
        return frozenset(channel for channel in is_open if is_open[channel])


def options(request: Request) -> Options | None:
    """The options of a request, or None where no stream is asked for."""
    tty = request.flag("tty")
    streams = Options(
        request.flag("input"),
        request.flag("output"),
        request.flag("error") and not tty,
        tty,
    )
    return streams if streams.stdin or streams.stdout or streams.stderr else None


async def run(
    channels: Channels, process: Process, streams: Options, *, protocol: str, is_exec: bool
) -> None:
    """Joins the two until the process ends or the client has gone; closes neither."""
    inputs = asyncio.create_task(_forward_input(channels, process, streams))
    outputs = asyncio.create_task(_forward_output(channels, process, streams))
    try:
        await asyncio.wait({inputs, outputs}, return_when=asyncio.FIRST_COMPLETED)
        if inputs.done() and not outputs.done():
            return  # the client has gone
        code = await outputs
        status = exit_status(code) if is_exec else SUCCESS
        text = status if has_status(protocol) else _plain_text(status)
        if text:
            await channels.send(ERROR, text)
        for channel in (STDOUT, STDERR, ERROR):
            await channels.end(channel)
    finally:
        for task in (inputs, outputs):
            task.cancel()
        await asyncio.gather(inputs, outputs, return_exceptions=True)


async def _forward_input(channels: Channels, process: Process, streams: Options) -> None:
    """Everything the client sends; returns when the client has gone."""
    async for message in channels.messages():
        if message.channel == RESIZE and streams.tty:
            size = terminal_size(message.data)
            if size is not None:
                await asyncio.to_thread(process.resize, *size)
        elif message.channel == STDIN and streams.stdin:
            if message.data:
                await asyncio.to_thread(process.write, message.data)
            if message.is_end:
                await asyncio.to_thread(process.close_stdin)


async def _forward_output(channels: Channels, process: Process, streams: Options) -> int:
    """Output until the process ends; its exit code."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            readable = asyncio.Event()
            loop.add_reader(process.fileno(), readable.set)
            try:
                await readable.wait()
            finally:
                # A slow client must not make the loop spin over output that waits.
                loop.remove_reader(process.fileno())
            received = process.read_packet()
            if isinstance(received, int):
                return received
            if received is not None:
                stream, data = received
                channel = STDERR if stream == 2 and not streams.tty else STDOUT
                if streams.stderr if channel == STDERR else streams.stdout:
                    await channels.send(channel, data)
    except CoreError:
        return 137  # the shim has gone, and what it looked after with it


SUCCESS = json.dumps({"metadata": {}, "status": "Success"}).encode()


def exit_status(code: int) -> bytes:
    """The Status document for an exit code."""
    if code == 0:
        return SUCCESS
    return failure(
        f"command terminated with non-zero exit code: exit status {code}",
        reason="NonZeroExitCode",
        details={"causes": [{"reason": "ExitCode", "message": str(code)}]},
    )


def failure(message: str, reason: str = "InternalError", **fields: Any) -> bytes:
    """A Status document of a failure."""
    status = {"metadata": {}, "status": "Failure", "message": message, "reason": reason}
    return json.dumps(status | fields).encode()


def terminal_size(data: bytes) -> tuple[int, int] | None:
    """Rows and columns of a resize message; None for what is none."""
    try:
        document = json.loads(data)
        rows, columns = int(document["Height"]), int(document["Width"])
    except (ValueError, LookupError, TypeError):
        return None
    return (rows, columns) if 0 < rows < 65536 and 0 < columns < 65536 else None


def _plain_text(status: bytes) -> bytes:
    document: Mapping[str, Any] = json.loads(status)
    return str(document.get("message", "")).encode()
