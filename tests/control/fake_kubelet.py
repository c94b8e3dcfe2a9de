"""The node's own server over programs of this machine in place of pods; logs are three lines."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

from kubelite.node.kubelet.server.server import KubeletServer, Pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from kubelite.control.api.auth.pki import Pki
    from kubelite.node.kubelet.server.remote_command import Options

LINES = [f"line {number}\n".encode() for number in range(1, 4)]


@contextlib.asynccontextmanager
async def fake_kubelet(pki: Pki) -> AsyncIterator[int]:
    """The port of a kubelet that only the API server's certificate opens."""
    own = pki.server(["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.load_verify_locations(pki.authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    server = KubeletServer(Programs(), Pages({}), None)
    port = await server.start("127.0.0.1", 0, context)
    try:
        yield port
    finally:
        await server.close()


class Programs:
    """Every container is this machine."""

    def documents(self) -> Sequence[Mapping[str, object]]:
        return []

    def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], options: Options
    ) -> Program:
        return Program(command, options)

    def attach(self, namespace: str, pod: str, container: str, options: Options) -> Program:
        return Program(["sh", "-c", "echo attached; cat"], options)

    async def logs(
        self, namespace: str, pod: str, container: str, query: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        tail = int(query.get("tailLines", "3"))
        for line in LINES[len(LINES) - tail :]:
            yield line

    def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), 5)


class Program:
    """A process of this machine with the streams of an exec session."""

    def __init__(self, command: Sequence[str], options: Options) -> None:
        stdin = subprocess.PIPE if options.stdin else subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._poll = select.epoll()
        self._streams = {}
        for number, stream in ((1, self._process.stdout), (2, self._process.stderr)):
            assert stream is not None
            self._streams[stream.fileno()] = number
            self._poll.register(stream, select.EPOLLIN | select.EPOLLHUP)
        # Readable once more when both streams have ended.
        self._end, self._over = os.pipe()
        self._poll.register(self._end, select.EPOLLIN)

    def fileno(self) -> int:
        return self._poll.fileno()

    def read_packet(self) -> tuple[int, bytes] | int | None:
        for fd, _ in self._poll.poll():
            if fd not in self._streams:
                return self._process.wait()
            if data := os.read(fd, 32768):
                return self._streams[fd], data
            self._poll.unregister(fd)
            del self._streams[fd]
            if not self._streams:
                os.write(self._over, b"x")
        return None

    def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def close_stdin(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def resize(self, rows: int, columns: int) -> None:
        return

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self._poll.close()
        os.close(self._end)
        os.close(self._over)
