"""Hands the application to clients in this process: what the socket does for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.client.transport import Call, Identity, Pieces, Reply
from kubelite.control.api.wire.answer import Answer
from kubelite.control.api.wire.raw_request import Credentials, RawRequest

if TYPE_CHECKING:
    from kubelite.control.api.server.app import App
    from kubelite.control.api.wire.answer import Stream


class InProcess:
    """``client.transport.Application`` over an App.

    An identity counts like a client certificate that the TLS layer has checked: its user and
    groups are taken as they are, and system:authenticated is added.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def call(self, call: Call, identity: Identity) -> Reply:
        """The answer to one request."""
        answer = await self._handle(call, identity)
        if isinstance(answer, Answer):
            return _reply(answer)
        return Reply(501, b"this stream needs a connection of its own")

    async def stream(self, call: Call, identity: Identity) -> Reply | Pieces:
        """The lines of a watch, or the answer that refuses it."""
        answer = await self._handle(call, identity)
        if isinstance(answer, Answer):
            return _reply(answer)
        if answer.pieces is None:
            return Reply(501, b"this stream needs a connection of its own")
        return answer.pieces()

    async def _handle(self, call: Call, identity: Identity) -> Answer | Stream:
        async def read_body() -> bytes:
            return call.body

        names = (("organizationName", group) for group in identity.groups)
        credentials = Credentials((("commonName", identity.user), *names))
        return await self._app.handle(
            RawRequest(call.method, call.path, call.query, call.headers, credentials, read_body)
        )


def _reply(answer: Answer) -> Reply:
    retry_after = next((value for name, value in answer.headers if name == "Retry-After"), "")
    return Reply(answer.code, answer.body, retry_after)
