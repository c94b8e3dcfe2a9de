"""A request as the server has read it, and what becomes known of it on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kubelite.control.api.auth.audit_policy import Seen
    from kubelite.control.api.auth.authentication import Credentials


class Incoming(NamedTuple):
    """A request as the server read it. ``path`` is still escaped."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    credentials: Credentials
    read_body: Callable[[], Awaitable[bytes]]
    peer: str = ""


class Trace:
    """What the audit log wants to know of a request, as it becomes known."""

    def __init__(self) -> None:
        self.seen: Seen | None = None
        self.body = b""
        self.notes: dict[str, str] = {}

    def reading(self, read: Callable[[], Awaitable[bytes]]) -> Callable[[], Awaitable[bytes]]:
        """The reader of a body, which is remembered."""

        async def remember() -> bytes:
            self.body = await read()
            return self.body

        return remember
