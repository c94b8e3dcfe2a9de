"""What a transport does for a client: one call and its reply, or one call and pieces of a stream.

Two exist: HttpTransport and LocalTransport. Both behave alike; tests run the same requests over
both.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol


class Identity(NamedTuple):
    """On whose behalf an in-process call is made: a user name and its groups."""

    user: str
    groups: tuple[str, ...] = ()


class Call(NamedTuple):
    """One request. ``path`` is escaped, ``query`` without the question mark."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Reply(NamedTuple):
    """A whole answer, whatever its code. ``retry_after`` is the text of that header."""

    code: int
    body: bytes
    retry_after: str = ""


Pieces = AsyncGenerator[bytes, None]
"""What a stream sends: any number of whole lines a piece, each with its newline."""


class Application(Protocol):
    """An API server in this process, as ``control.api.server.in_process`` hands it out.

    Authentication is replaced by the identity; authorisation, admission and audit apply.
    """

    async def call(self, call: Call, identity: Identity) -> Reply:
        """The answer to one request. Never raises but for cancellation."""

    async def stream(self, call: Call, identity: Identity) -> Reply | Pieces:
        """The lines of a watch, or the answer that refuses it."""


class Transport(Protocol):
    """How calls travel."""

    async def call(self, call: Call) -> Reply:
        """Makes one request. Raises Unreachable."""

    def stream(self, call: Call) -> AbstractAsyncContextManager[Pieces]:
        """Opens a stream, which the context closes. Raises ApiError, Unreachable."""

    async def close(self) -> None:
        """Closes connections."""
