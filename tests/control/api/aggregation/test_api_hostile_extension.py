"""An extension server that answers what it likes, when it likes: other servers are tried all the
same, nobody's discovery breaks, and only so many wait for it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from kubelite.control.api.auth.pki import Pki
from kubelite.control.api.server import app
from kubelite.control.api.wire.request import User
from tests.control.api.aggregation.test_api_aggregation import (
    ADDRESS,
    API_SERVICES,
    GROUP,
    SECONDS,
    SERVICE,
    SERVICES,
    SLICES,
    api_service,
    condition,
    slice_of,
)
from tests.control.world import Cluster, cluster, on_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
ENDLESS_PIECES = 1024
"""Of 64 KiB: many times what is read of an answer."""
INDEX, LINKED, SWAGGER = "/openapi/v3", "/openapi/v3/x?hash=1", "/openapi/v2"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
GOOD = {"name": "flunders", "namespaced": True, "kind": "Flunder", "verbs": ["get"]}
WRONG: list[Any] = [None, True, 5, 1.5, "text", [], [5], {}, {"a": 1}]
SLOW, LEVELS = (
    f"{GROUP}/flunders/slow",
    ("/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"),
)
DISCOVERY = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}


def http(body: bytes | Any) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
        len(content),
        content,
    )


def listing(resources: Any) -> bytes:
    return http({"kind": "APIResourceList", "resources": resources})


HONEST = {GROUP: listing([GOOD])}
ROWS = [
    *WRONG,
    *({"name": name} for name in (None, 5, [])),
    *({"name": "bad", key: 5}
      for key in ("kind", "verbs", "shortNames", "categories", "group", "version", "singularName",
                  "namespaced")),
    *({"name": "bad", key: [5]} for key in ("verbs", "shortNames", "categories")),
]  # fmt: skip
"""Rows that are none."""
ANSWERS = [
    *({GROUP: http(body)} for body in WRONG),
    *({GROUP: listing(resources)} for resources in WRONG),
    {GROUP: http(b"\xff\xfe not JSON")},
    {GROUP: http(b"[" * 100_000)},
    {GROUP: http(b'{"resources": [' + b"1" * 5000 + b"]}")},
    {GROUP: b"\xff\xfe" * 5000 + b"\r\n\r\n"},
    {GROUP: b"HTTP/1.1 200 " + b"\xff" * 100 + b"\r\n\xff: \xff\r\n\r\n"},
    {GROUP: b"HTTP/1.1 999999 \r\n\r\n"},
    {GROUP: ENDLESS},
    *({**HONEST, INDEX: http(body), SWAGGER: http(body)} for body in WRONG),
    *({**HONEST, INDEX: http({"paths": paths})} for paths in WRONG),
    *(
        {**HONEST, INDEX: http({"paths": {GROUP[1:]: {"serverRelativeURL": link}}})}
        for link in (5, "//[", "/%zz?hash=\0", "http://other/", "/" + "x" * 20_000)
    ),
    {
        **HONEST,
        INDEX: http({"paths": {GROUP[1:]: {"serverRelativeURL": LINKED}}}),
        LINKED: http([5]),
    },
    *(
        {**HONEST, SWAGGER: http({"paths": paths, "definitions": definitions})}
        for paths, definitions in [
            ([], {}), ({}, {"a": {"multipleOf": "x"}}), ({}, {"a": {"enum": 5}}), ({GROUP: 5}, {}),
        ]
    ),
]  # fmt: skip


class Hostile:
    """Answers by path with the bytes it is given; ``asked`` has an entry for each listing."""

    def __init__(self) -> None:
        self.answers = HONEST
        self.asked: asyncio.Queue[None] = asyncio.Queue()
        self.waiting = 0
        self.go_on = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
            answer = self.answers.get(path, NOT_FOUND)
            if path == GROUP:
                self.asked.put_nowait(None)
            if path == SLOW:
                self.waiting += 1
                await self.go_on.wait()
            writer.write(answer)
            for _ in range(ENDLESS_PIECES if answer is ENDLESS else 0):
                writer.write(b" " * 65536)
                await writer.drain()
                await asyncio.sleep(0)  # a connection that the other side has left lets drain go on
        writer.close()

    async def is_tried(self, api: Cluster) -> None:
        """Until it has been tried with its present answers and the verdict is known: servers are
        tried one round after the other.
        """
        while not self.asked.empty():
            self.asked.get_nowait()
        for _ in range(2):
            slices = f"{SLICES}/wardle-1"
            now = (await api.get(slices)).ok()["metadata"]["resourceVersion"]
            (await api.patch(slices, {"metadata": {"annotations": {"after": now}}})).ok()
            async with asyncio.timeout(SECONDS):
                await self.asked.get()


@asynccontextmanager
async def with_hostile(path: Path, **options: Any) -> AsyncIterator[tuple[Cluster, Hostile]]:
    hostile = Hostile()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*Pki(str(path / "hostile")).server(["wardle.default.svc"]))
    async with cluster(path, **options) as api:
        with on_loopback(ADDRESS):
            server = await asyncio.start_server(hostile.serve, ADDRESS, 0, ssl=tls)
            port = server.sockets[0].getsockname()[1]
            (await api.create(SERVICES, SERVICE)).ok()
            (await api.create(SLICES, slice_of(ADDRESS, port))).ok()
            (await api.create(API_SERVICES, api_service(insecureSkipTLSVerify=True))).ok()
            await condition(api, "Passed")
            yield api, hostile
            server.close()


async def resources(api: Cluster) -> Any:
    """What everybody's discovery says of the group."""
    items = json.loads((await api.get("/apis", headers=DISCOVERY)).body)["items"]
    (item,) = (item for item in items if item["metadata"]["name"] == "wardle.example.com")
    return item["versions"][0]["resources"]


async def test_no_answer_of_a_server_keeps_others_from_being_tried(tmp_path: Path) -> None:
    async with with_hostile(tmp_path) as (api, hostile):
        for answers in ANSWERS:
            hostile.answers = answers
            await hostile.is_tried(api)
            if SWAGGER in answers:
                assert (await api.get(SWAGGER)).code == 200, answers
            await resources(api)
        hostile.answers = {GROUP: listing([*ROWS, GOOD])}
        await hostile.is_tried(api)
        assert [row["resource"] for row in await resources(api)] == ["flunders"]
        await condition(api, "Passed")


RBAC = "/apis/rbac.authorization.k8s.io/v1"


async def may_read_flunders(api: Cluster, user: str) -> None:
    about = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "flunders"}}
    rule = {"apiGroups": ["wardle.example.com"], "resources": ["flunders"], "verbs": ["*"]}
    group = "rbac.authorization.k8s.io"
    role = {"apiGroup": group, "kind": "ClusterRole", "name": "flunders"}
    subjects = [{"apiGroup": group, "kind": "User", "name": user}]
    binding = {**about, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": subjects}
    (
        await api.create(f"{RBAC}/clusterroles", {**about, "kind": "ClusterRole", "rules": [rule]})
    ).ok()
    (await api.create(f"{RBAC}/clusterrolebindings", binding)).ok()


async def test_what_is_passed_on_takes_a_seat_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jane = User("jane", groups=("system:authenticated",))
    async with with_hostile(tmp_path, tokens={"t": jane}) as (api, hostile):
        await may_read_flunders(api, "jane")
        level = (await api.get(f"{LEVELS}/global-default")).ok()
        level["spec"]["limited"] |= {
            "nominalConcurrencyShares": 1,  # of 600 seats: three
            "limitResponse": {"type": "Reject"},
        }
        (await api.ask("PUT", f"{LEVELS}/global-default", level)).ok()
        hostile.answers = {**HONEST, SLOW: http({}), f"{SLOW}?watch=1": http({})}
        slow = [asyncio.create_task(api.get(SLOW, token="t")) for _ in range(5)]
        async with asyncio.timeout(SECONDS):
            while sum(task.done() for task in slow) < 2 or hostile.waiting < 3:
                await asyncio.sleep(0.01)
        refused = [task.result() for task in slow if task.done()]
        assert [(reply.code, reply.headers["Retry-After"]) for reply in refused] == [(429, "1")] * 2
        assert (await api.get("/version", token="t")).code == 429
        assert (await api.get(f"{SLOW}?watch=1", token="t")).code == 200
        hostile.go_on.set()
        codes = sorted(reply.code for reply in await asyncio.gather(*slow))
        assert (codes, hostile.waiting) == ([200, 200, 200, 429, 429], 3)

        hostile.go_on.clear()
        monkeypatch.setattr(app, "_PASSED_SECONDS", 0.1)
        assert [(await api.get(SLOW, token="t")).code for _ in range(4)] == [503] * 4
        assert (await api.get("/version", token="t")).code == 200
        hostile.go_on.set()
