"""A request as it came from the socket, and what becomes known of it while it is handled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kubelite.control.api.wire.request import Request, User


class Credentials(NamedTuple):
    """What a connection and a request bring: the subject of a verified client certificate, the
    Authorization header, and the WebSocket protocols, in which browsers hide a bearer token.
    """

    subject: tuple[tuple[str, str], ...] = ()
    authorization: str = ""
    protocols: str = ""


class RawRequest(NamedTuple):
    """A request as the server read it. ``path`` is still percent-encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    credentials: Credentials
    read_body: Callable[[], Awaitable[bytes]]
    peer: str = ""


class AuditTrace:
    """What the audit log records of a request, filled in as it becomes known."""

    def __init__(self) -> None:
        self.asker: User | None = None
        self.impersonated: User | None = None
        self.request: Request | None = None
        self.body = b""
        self.annotations: dict[str, str] = {}

    def recording(self, read: Callable[[], Awaitable[bytes]]) -> Callable[[], Awaitable[bytes]]:
        """A body reader that also keeps what it read in :attr:`body`."""

        async def read_and_keep() -> bytes:
            self.body = await read()
            return self.body

        return read_and_keep
