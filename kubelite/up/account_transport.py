"""Calls over HTTPS as a service account, whose token is asked for and renewed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kubelite.client.client import Client
from kubelite.client.errors import AlreadyExists, NotFound
from kubelite.client.http import HttpTransport
from kubelite.client.kubeconfig import ClusterAccess
from kubelite.client.resources import SERVICE_ACCOUNTS
from kubelite.client.transport import Call, Pieces, Reply

NAMESPACE = "kube-system"
TOKEN_SECONDS = 3600
RENEWED_AFTER = 0.8 * TOKEN_SECONDS


class AccountTransport:
    """A transport as a service account in kube-system. ``client`` may ask for its tokens, and makes
    the account where there is none.
    """

    def __init__(self, client: Client, access: ClusterAccess, account: str) -> None:
        self._client = client
        self._access = access
        self._account = account
        self._transport: HttpTransport | None = None
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    async def call(self, call: Call) -> Reply:
        return await (await self._current()).call(call)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Pieces]:
        async with (await self._current()).stream(call) as pieces:
            yield pieces

    async def _current(self) -> HttpTransport:
        """The transport with a token that is still good."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._transport is None or now > self._renew_at:
                token = await self._token()
                old, self._renew_at = self._transport, now + RENEWED_AFTER
                plain = self._access._replace(certificate=b"", key=b"", token=token, token_file="")
                self._transport = HttpTransport(plain._replace(headers={}))
                if old is not None:
                    asyncio.get_running_loop().call_later(60.0, asyncio.ensure_future, old.close())
            return self._transport

    async def _token(self) -> str:
        try:
            answer = await self._client.create_token(
                NAMESPACE, self._account, seconds=TOKEN_SECONDS
            )
        except NotFound:
            await self._make_account()
            answer = await self._client.create_token(
                NAMESPACE, self._account, seconds=TOKEN_SECONDS
            )
        return str(answer["status"]["token"])

    async def _make_account(self) -> None:
        metadata = {"name": self._account, "namespace": NAMESPACE}
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        try:
            await self._client.create(SERVICE_ACCOUNTS, body)
        except AlreadyExists:
            pass

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.close()
            self._transport = None
