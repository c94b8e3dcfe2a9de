"""Calls an API server of this process: no socket, no TLS, and the same rules as over one.

The application is handed in by whoever puts the process together; nothing here knows kubelite's
server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from kubelite.client.errors import error_for
from kubelite.client.transport import Application, Call, Identity, Pieces, Reply


class LocalTransport:
    """Makes calls as one user: ``LocalTransport(application,
    Identity("system:kube-scheduler"))``.
    """

    def __init__(self, application: Application, identity: Identity) -> None:
        self._application = application
        self._identity = identity

    async def call(self, call: Call) -> Reply:
        return await self._application.call(call, self._identity)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Pieces]:
        answer = await self._application.stream(call, self._identity)
        if isinstance(answer, Reply):
            raise error_for(answer.code, answer.body, answer.retry_after)
        async with aclosing(answer) as pieces:
            yield pieces

    async def close(self) -> None:
        """The application belongs to somebody else."""
