"""An API server over a backend of one's choice, in the test's own event loop, with the requests
tests make of it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.store.memory import Memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from kubelite.control.api.wire.request import User
    from kubelite.control.store.backend import Backend

Object = dict[str, Any]


class Reply(NamedTuple):
    """What came back. ``value`` is the JSON, or None where it is none."""

    code: int
    value: Any
    body: bytes
    headers: Mapping[str, str]

    def ok(self) -> Any:
        assert self.code < 300, (self.code, self.body)
        return self.value


class Cluster:
    """A running server and a client of it. ``user`` None is the cluster's admin."""

    def __init__(self, server: ApiServer, session: aiohttp.ClientSession, url: str) -> None:
        self.server = server
        self.url = url
        self.session = session
        # A certificate wins over a token: requests with one are made without it.
        self.bare = ssl.create_default_context(cafile=server.pki.authority.certificate)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        headers: Mapping[str, str] | None = None,
        raw: bytes = b"",
    ) -> Reply:
        sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        if body is not None and "Content-Type" not in sent:
            sent["Content-Type"] = "application/json"
        data = json.dumps(body).encode() if body is not None else raw or None
        certificate = {} if "Authorization" not in sent else {"ssl": self.bare}
        async with self.session.request(
            method, self.url + path, data=data, headers=sent, **certificate
        ) as response:
            content = await response.read()
            is_json = response.headers.get("Content-Type", "").startswith("application/json")
            return Reply(
                response.status,
                json.loads(content) if is_json and content else None,
                content,
                response.headers,
            )

    async def get(self, path: str, **rest: Any) -> Reply:
        return await self.ask("GET", path, **rest)

    async def create(self, path: str, body: Any, **rest: Any) -> Reply:
        return await self.ask("POST", path, body, **rest)

    async def update(self, path: str, body: Any, **rest: Any) -> Reply:
        return await self.ask("PUT", path, body, **rest)

    async def delete(self, path: str, body: Any = None, **rest: Any) -> Reply:
        return await self.ask("DELETE", path, body, **rest)

    async def patch(self, path: str, body: Any, kind: str = "merge", **rest: Any) -> Reply:
        names = {
            "merge": "merge-patch+json",
            "json": "json-patch+json",
            "strategic": "strategic-merge-patch+json",
        }
        content = "application/" + names.get(kind, "apply-patch+yaml")
        return await self.ask(
            "PATCH",
            path,
            body,
            headers={"Content-Type": content, **rest.pop("headers", {})},
            **rest,
        )

    @asynccontextmanager
    async def watch(self, path: str, **rest: Any) -> AsyncIterator[Watch]:
        headers = {"Authorization": f"Bearer {rest['token']}"} if "token" in rest else {}
        mark = "&" if "?" in path else "?"
        timeout = aiohttp.ClientTimeout(total=None)
        certificate = {"ssl": self.bare} if headers else {}
        async with self.session.get(
            f"{self.url}{path}{mark}watch=1", headers=headers, timeout=timeout, **certificate
        ) as response:
            yield Watch(response)


class Watch:
    """The events of a watch, one at a time."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self._held = b""

    async def next(self, seconds: float = 10) -> Object | None:
        """The next event; None when the stream has ended."""
        async with asyncio.timeout(seconds):
            while b"\n" not in self._held:
                piece = await self.response.content.readany()
                if not piece:
                    return None
                self._held += piece
        line, self._held = self._held.split(b"\n", 1)
        event: Object = json.loads(line)
        return event

    async def take(self, count: int) -> list[Object]:
        events = [await self.next() for _ in range(count)]
        return [event for event in events if event is not None]


@asynccontextmanager
async def cluster(
    path: Path,
    backend: Backend | None = None,
    tokens: Mapping[str, User] | None = None,
    options: Options | None = None,
) -> AsyncIterator[Cluster]:
    """A cluster that the admin's certificate opens. Further users come by ``tokens``."""
    wanted = (options or Options(""))._replace(
        pki_directory=str(path / "pki"), port=0, static_tokens=tokens or {}
    )
    server = ApiServer(backend or Memory(), wanted)
    await server.start()
    admin = server.pki.client("admin", "kubernetes-admin", ("system:masters",))
    context = ssl.create_default_context(cafile=server.pki.authority.certificate)
    context.load_cert_chain(admin.certificate, admin.key)
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            yield Cluster(server, session, f"https://127.0.0.1:{server.port}")
        finally:
            await server.close()


@asynccontextmanager
async def stranger(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The same server, seen without a certificate."""
    context = ssl.create_default_context(cafile=cluster.server.pki.authority.certificate)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=0)
    ) as session:
        yield Cluster(cluster.server, session, cluster.url)


@contextmanager
def on_loopback(address: str) -> Iterator[None]:
    """An endpoint of a service has no loopback address: the tests' own host gets another."""
    subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True)


def config_map(name: str, **data: str) -> Object:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": data}


def pod(name: str, **spec: Any) -> Object:
    spec.setdefault("containers", [{"name": "c", "image": "example/app"}])
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}


CONFIG = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
