"""The page whose watches are lost: its connections are cut, and the server has forgotten the
revision from which they would go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kubelite.client.client import Client
from kubelite.client.errors import ApiError
from kubelite.client.resources import GroupVersionResource
from kubelite.control.store.memory import Memory
from tests.client.servers import access, config_map, served
from tests.ui.browser import Browser
from tests.ui.place import page_of
from tests.ui.shop import ROW, Shop

CONFIG_MAPS = GroupVersionResource("", "v1", "configmaps")


class Wire:
    """A port of the loopback that leads to another one, unless it is cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._connections: set[asyncio.StreamWriter] = set()
        self.is_cut = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for as long as both ends want it."""
        if self.is_cut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._connections |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(1 << 16):
                target.write(piece)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            self._connections.discard(target)
            target.close()

    def cut(self) -> None:
        """Ends what is carried, and carries nothing more."""
        self.is_cut = True
        for writer in self._connections:
            writer.transport.abort()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[tuple[Wire, int]]:
    wire = Wire(port)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    try:
        yield wire, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        wire.cut()


async def is_forgotten(client: Client, revision: str) -> bool:
    """Whether a watch from a revision is answered with 410."""
    try:
        async with (
            asyncio.timeout(5),
            client.watch(CONFIG_MAPS, resource_version=revision) as events,
        ):
            async for _ in events:
                break
    except ApiError as error:
        return error.code == 410
    return False


async def test_what_the_server_has_forgotten_is_listed_anew(shop: Shop, tmp_path: Path) -> None:
    store = Memory()
    async with (
        served(tmp_path, store=store) as api,
        wire_to(api.server.port) as (wire, port),
        page_of(
            access(api.server)._replace(server=f"https://127.0.0.1:{port}"), opened=False
        ) as place,
    ):
        await api.client.create(CONFIG_MAPS, config_map("before"), "default")
        revision = (await api.client.list(CONFIG_MAPS)).resource_version
        browser = Browser(shop.browser.driver, str(place.address))
        await asyncio.to_thread(browser.enter, str(place.address))
        opened = "#/list/configmaps?namespace=default&open=configmaps/default/before"
        await asyncio.to_thread(browser.go, opened)
        await asyncio.to_thread(browser.see, ROW, "before")
        await asyncio.to_thread(browser.see, ".drawer .facts", "Created")
        await asyncio.to_thread(browser.see, ".live", "live")
        wire.cut()
        await asyncio.to_thread(browser.see, ".live", "reconnecting")
        await asyncio.to_thread(browser.see, ROW, "before")
        await api.client.create(CONFIG_MAPS, config_map("after"), "default")
        await api.client.delete(CONFIG_MAPS, "before", "default")
        await store.compact(store.revision)
        assert await is_forgotten(api.client, revision)
        wire.is_cut = False
        await asyncio.to_thread(browser.see, ROW, "after")
        await asyncio.to_thread(browser.miss, ROW, "before")
        await asyncio.to_thread(browser.see, ".drawer", "does not exist")
        await asyncio.to_thread(browser.see, ".live", "live")
        await api.client.create(CONFIG_MAPS, config_map("later"), "default")
        await asyncio.to_thread(browser.see, ROW, "later")
