"""The page's server before a real API server, and a browser's view of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from kubelite.client.http import HttpTransport
from kubelite.client.kubeconfig import ClusterAccess
from kubelite.client.transport import Identity
from kubelite.node.runtime.home import Home
from kubelite.ui.server import Info, UiServer
from tests.client.servers import ADMIN, Served, access, served

CLUSTER = Info("cluster", "kubelite", "https://example")


class Place(NamedTuple):
    """A running page: its address with the token, and a session that has what a browser has."""

    address: URL
    browser: aiohttp.ClientSession

    @property
    def origin(self) -> str:
        return f"http://{self.address.authority}"

    @property
    def token(self) -> str:
        return self.address.fragment.removeprefix("token=")

    def url(self, path: str) -> URL:
        return URL(self.origin + path, encoded=True)

    async def open(self) -> None:
        """Swaps the token, as the page does first."""
        async with self.browser.post(
            self.url("/ui/session"), data=self.token, headers={"Origin": self.origin}
        ) as answer:
            assert answer.status == 204, await answer.text()

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.browser.get(self.url(path), headers=_named(headers)) as answer:
            return answer.status, await answer.json(content_type=None)

    async def send(self, method: str, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        sent = {"Origin": self.origin, **_named(headers)}
        async with self.browser.request(method, self.url(path), json=body, headers=sent) as answer:
            return answer.status, await answer.json(content_type=None)


def _named(headers: dict[str, str]) -> dict[str, str]:
    """Header names from those of Python's arguments: Sec_Fetch_Site."""
    return {name.replace("_", "-"): text for name, text in headers.items()}


@asynccontextmanager
async def page_of(
    access: ClusterAccess,
    info: Info = CLUSTER,
    home: Home | None = None,
    *,
    opened: bool = True,
) -> AsyncIterator[Place]:
    """The page of the API server behind ``access``; ``opened`` with a session."""
    transport = HttpTransport(access)
    server = UiServer(transport, info, home)
    address = URL(await server.start("127.0.0.1", 0))
    jar = aiohttp.CookieJar(unsafe=True)  # that of a browser: it keeps those of addresses too
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        place = Place(address, browser)
        try:
            if opened:
                await place.open()
            yield place
        finally:
            await server.close()
            await transport.close()


@asynccontextmanager
async def page(
    path: Path, identity: Identity = ADMIN, *, opened: bool = True
) -> AsyncIterator[tuple[Place, Served]]:
    """The page of a new cluster, for a user of it, and the cluster."""
    async with (
        served(path) as api,
        page_of(access(api.server, identity), opened=opened) as place,
    ):
        yield place, api
