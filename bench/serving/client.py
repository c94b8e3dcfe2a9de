"""The cheapest HTTP client there is: one TLS connection, requests and answers with a length,
nothing parsed but that.
"""

import asyncio
import ssl


def context_of(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    return context


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port = port
        self._context = context

    async def __aenter__(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._context, server_hostname="127.0.0.1", limit=1 << 20
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    def send(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
        if body:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)

    async def receive(self) -> tuple[int, bytes]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        start = lower.index(b"content-length:") + 15
        size = int(lower[start : lower.index(b"\r\n", start)])
        return int(head[9:12]), await self._reader.readexactly(size)

    async def ask(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        self.send(method, path, body, content_type)
        return await self.receive()

    async def lines(self) -> asyncio.StreamReader:
        """The rest of the connection, once the head of a stream has been read."""
        await self._reader.readuntil(b"\r\n\r\n")
        return self._reader
