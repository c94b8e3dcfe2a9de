"""The body of an answer, and what ends it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kubelite.lib.http_body import pieces

SECONDS = 10


async def read_while_the_session_closes() -> None:
    """An answer that goes on; its client has had enough after the first piece."""
    over = asyncio.Event()

    async def begin(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        await over.wait()
        return response

    application = web.Application()
    application.router.add_get("/", begin)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        body = pieces(await session.get(server.make_url("/")))
        assert await anext(body) == b"begun"
        await session.close()
        with pytest.raises(aiohttp.ClientError):
            await anext(body)
        over.set()


def test_a_session_that_is_closed_meanwhile_ends_with_a_client_error() -> None:
    asyncio.run(asyncio.wait_for(read_while_the_session_closes(), SECONDS))
