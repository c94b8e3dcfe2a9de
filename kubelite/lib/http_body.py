"""The body of an answer as it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import aiohttp


async def pieces(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """What has arrived, as soon as it has. Raises aiohttp.ClientError, also where this side has
    closed the session meanwhile: aiohttp's reader tells that by a RuntimeError.
    """
    import aiohttp

    try:
        async for piece in response.content.iter_any():
            yield piece
    except RuntimeError as error:
        raise aiohttp.ClientConnectionError(str(error)) from error
