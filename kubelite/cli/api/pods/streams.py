"""Programs in containers over a WebSocket of the API server: for exec, attach, run and cp.

Each message begins with the number of its channel (``v5.channel.k8s.io``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

import aiohttp

from kubelite.cli.api.common.session import Api
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.session import terminal
from kubelite.client.errors import Unreachable
from kubelite.client.resources import PODS
from kubelite.client.transport import Call
from kubelite.lib.json import Object

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_PIECE = 32 << 10


class Program(NamedTuple):
    """What runs in a container, or is attached to there (``command`` empty)."""

    namespace: str
    pod: str
    container: str
    command: Sequence[str] = ()
    stdin: bool = False
    tty: bool = False

    def call(self) -> Call:
        verb = "exec" if self.command else "attach"
        query = [
            ("container", self.container),
            ("stdin", str(self.stdin).lower()),
            ("stdout", "true"),
            ("stderr", str(not self.tty).lower()),
            ("tty", str(self.tty).lower()),
            *(("command", word) for word in self.command),
        ]
        return Call("GET", PODS.path(self.namespace, self.pod, verb), urlencode(query))


Sink = Callable[[int, bytes], None]
"""Takes what the program writes, with the channel: STDOUT or STDERR."""
Source = Callable[[], bytes]
"""Blocks for the next input of the program; b"" is its end."""


def read_stdin() -> bytes:
    """The caller's own input; a terminal that has gone away counts as the end."""
    try:
        return os.read(terminal.STDIN, _PIECE)
    except OSError:
        return b""


async def run_program(api: Api, program: Program, source: Source, sink: Sink) -> int:
    """Runs a program until it ends, and returns its exit code. With a terminal, keys and sizes go
    to it. Raises CliError, Unreachable.
    """
    try:
        async with api.transport.websocket(program.call(), _PROTOCOLS) as socket:
            with contextlib.ExitStack() as stack:
                if program.tty and program.stdin:
                    console = stack.enter_context(terminal.RawTerminal())
                    _follow_size(socket, console, stack)
                    await _send_size(socket)
                if program.stdin:
                    _start_reading(socket, source)
                return await _receive(socket, sink)
    except aiohttp.WSServerHandshakeError as error:
        raise CliError(
            Diagnostic(f"unable to upgrade connection: {error.message} ({error.status})")
        ) from error
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        raise Unreachable(f"the connection to {program.pod} broke off: {error}") from error


def _follow_size(
    socket: aiohttp.ClientWebSocketResponse,
    console: terminal.RawTerminal,
    stack: contextlib.ExitStack,
) -> None:
    loop = asyncio.get_running_loop()
    tasks = set[asyncio.Task[None]]()

    def resized() -> None:
        console.resized()
        task = loop.create_task(_send_size(socket))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_reader(console.winch, resized)
    stack.callback(loop.remove_reader, console.winch)


async def _send_size(socket: aiohttp.ClientWebSocketResponse) -> None:
    rows, columns = terminal.size()
    if rows and columns:
        size = json.dumps({"Width": columns, "Height": rows}).encode()
        await socket.send_bytes(bytes((RESIZE,)) + size)


def _start_reading(socket: aiohttp.ClientWebSocketResponse, source: Source) -> None:
    """Reads input in a thread, which nobody waits for: it may block when the program has ended."""
    loop = asyncio.get_running_loop()

    def send(data: bytes) -> None:
        asyncio.run_coroutine_threadsafe(socket.send_bytes(data), loop).result()

    def read() -> None:
        # The program may end, and the loop with it, while there is input.
        with contextlib.suppress(
            RuntimeError, OSError, aiohttp.ClientError, asyncio.CancelledError
        ):
            while data := source():
                send(bytes((STDIN,)) + data)
            if socket.protocol == _PROTOCOLS[0]:
                send(bytes((CLOSE, STDIN)))

    threading.Thread(target=read, name="stdin", daemon=True).start()


async def _receive(socket: aiohttp.ClientWebSocketResponse, sink: Sink) -> int:
    while True:
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is not aiohttp.WSMsgType.BINARY:
            raise Unreachable("the connection ended before the program did")
        elif message.data[:1] == bytes((ERROR,)):
            return exit_code(json.loads(message.data[1:]))
        elif message.data[1:]:
            sink(message.data[0], message.data[1:])


def exit_code(status: Object) -> int:
    """The exit code in the Status that ends a program. Raises CliError where it is another one."""
    if status.get("status") == "Success":
        return 0
    causes: Sequence[Mapping[str, str]] = (status.get("details") or {}).get("causes") or ()
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise CliError(Diagnostic(str(status.get("message") or "the program could not be run")))
