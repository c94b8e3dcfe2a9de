"""Waiting for an object: asked once, then watched until it is as wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubelite.cli.api.common.discovery import ApiResource
from kubelite.client.client import Client, Selection
from kubelite.client.errors import Gone, NotFound

if TYPE_CHECKING:
    from kubelite.lib.json import Object

IsDone = Callable[["Object | None"], bool]
_AGAIN_SECONDS = 0.2


async def until(
    client: Client,
    resource: ApiResource,
    namespace: str,
    name: str,
    is_done: IsDone,
    timeout: float | None = None,
) -> None:
    """Returns when ``is_done`` holds for the object, which is None while there is none. Raises
    TimeoutError after ``timeout`` seconds, and what ``is_done`` raises.
    """
    async with asyncio.timeout(timeout):
        while not is_done(obj := await _get(client, resource, namespace, name)):
            await _watched(client, resource, Selection(namespace), name, obj, is_done)


async def _get(client: Client, resource: ApiResource, namespace: str, name: str) -> Object | None:
    try:
        return await client.get(resource.gvr, name, namespace)
    except NotFound:
        return None


async def _watched(
    client: Client,
    resource: ApiResource,
    selection: Selection,
    name: str,
    obj: Object | None,
    is_done: IsDone,
) -> None:
    """Returns when an event shows the object as wanted, or the watch has ended."""
    chosen = selection._replace(field_selector=f"metadata.name={name}")
    revision = str(obj["metadata"]["resourceVersion"]) if obj is not None else ""
    try:
        async with client.watch(resource.gvr, chosen, resource_version=revision) as batches:
            async for batch in batches:
                for event in batch:
                    if event.type == "BOOKMARK":
                        continue
                    if is_done(None if event.type == "DELETED" else event.object):
                        return
    except Gone:
        pass
    await asyncio.sleep(_AGAIN_SECONDS)
