"""The page's server over real sockets: the page, the session, and the way to a real API server."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from kubelite.client.client import Client
from kubelite.client.errors import NotFound
from kubelite.client.resources import NODES, PODS, GroupVersionResource
from kubelite.client.transport import Identity
from kubelite.ui.assets import CONTENT_TYPES, DIRECTORY
from kubelite.ui.headers import CONTENT_POLICY
from tests.client.servers import config_map, pod
from tests.control.fake_kubelet import fake_kubelet
from tests.ui.place import Place, page

CONFIG_MAPS = GroupVersionResource("", "v1", "configmaps")
CONFIG = "/api/v1/namespaces/default/configmaps"


async def test_the_page_is_there_and_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    async with page(tmp_path, opened=False) as (place, _):
        async with place.browser.get(place.url("/ui/")) as answer:
            text, head = await answer.text(), answer.headers
        assert answer.status == 200 and "<title>kubelite" in text
        assert head["Content-Type"] == "text/html; charset=utf-8"
        assert head["Content-Encoding"] == "gzip"
        assert head["Content-Security-Policy"] == CONTENT_POLICY
        again = {"If-None-Match": head["ETag"]}
        async with place.browser.get(place.url("/ui/"), headers=again) as unchanged:
            assert (unchanged.status, await unchanged.read()) == (304, b"")
        async with place.browser.get(place.url("/"), allow_redirects=False) as redirect:
            assert (redirect.status, redirect.headers["Location"]) == (308, "/ui/")
        module = re.findall(r'src="([^"]+/main.js)"', text)[0]
        async with place.browser.get(place.url(f"/ui/{module}")) as answer:
            assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.headers["Content-Security-Policy"] == CONTENT_POLICY
        assert (await place.get("/ui/main.js"))[0] == 401


def test_every_file_of_the_page_can_be_served() -> None:
    names = [path.suffix for path in Path(DIRECTORY).rglob("*") if path.is_file()]
    assert set(names) <= set(CONTENT_TYPES) and ".html" in names


async def test_the_token_is_good_for_one_browser(tmp_path: Path) -> None:
    async with page(tmp_path, opened=False) as (place, _):
        for token in ("", "wrong", place.token[:-1], "\udcff"):
            sent = token.encode("utf-8", "surrogateescape")
            assert await swap(place, sent) == 401
        assert (await place.get("/version"))[0] == 401
        await place.open()
        (cookie,) = place.browser.cookie_jar
        assert cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == "/"
        assert not cookie["domain"] or cookie["domain"] == "127.0.0.1"
        assert place.token not in cookie.value
        assert (await place.get("/version"))[0] == 200
        place.browser.cookie_jar.clear()
        assert await swap(place, place.token.encode()) == 401
        assert (await place.get("/version"))[0] == 401


async def swap(place: Place, token: bytes) -> int:
    headers = {"Origin": place.origin}
    async with place.browser.post(place.url("/ui/session"), data=token, headers=headers) as answer:
        return answer.status


async def test_what_another_site_in_the_same_browser_sends_is_refused(tmp_path: Path) -> None:
    async with page(tmp_path) as (place, api):
        assert (await place.get("/version"))[0] == 200
        assert (await place.get("/version", Host="evil.example"))[0] == 403
        assert (await place.get("/version", Origin="http://evil.example"))[0] == 403
        assert (await place.get("/version", Sec_Fetch_Site="cross-site"))[0] == 403
        assert (await place.get("/version", Sec_Fetch_Site="same-site"))[0] == 403
        body = config_map("planted")
        code, _ = await place.send("POST", CONFIG, body, Origin="http://evil.example")
        assert code == 403
        async with place.browser.post(place.url(CONFIG), json=body) as answer:
            assert answer.status == 403
        with pytest.raises(NotFound):
            await api.client.get(CONFIG_MAPS, "planted", "default")


@pytest.mark.parametrize("origin", ["http://evil.example", ""])
async def test_a_websocket_of_another_site_is_refused(tmp_path: Path, origin: str) -> None:
    headers = {"Origin": origin} if origin else {}
    path = "/api/v1/namespaces/default/pods?watch=1"
    async with page(tmp_path) as (place, _):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await place.browser.ws_connect(place.url(path), headers=headers)
    assert refused.value.status == 403


ELSEWHERE = [
    "/ui/../server.py",
    "/ui/%2e%2e/server.py",
    "/ui/..%2fserver.py",
    "/ui//etc/passwd",
    "/ui/static/app.js",
    "/ui/index.html",
    "/etc/passwd",
    "/metrics",
    "//evil.example/",
    "/api/../metrics",
    "/api/%2e%2e/metrics",
    "/api//v1",
    "/api/v1/namespaces/default/pods/p/proxy/",
    "/api/v1/namespaces/default/services/s/%70roxy/x.js",
    "/api/v1/nodes/n/proxy/pods",
    "/api/v1/nodes/n/proxy/stats/summary/x",
    "/api/v1/namespaces/default/pods/p/proxy/stats/summary",
    "/api/v1%2Fnodes%2Fn%2Fproxy%2Fpods",
    "/api/v1/nodes/n%2fproxy/pods",
]


async def test_no_path_leads_elsewhere(tmp_path: Path) -> None:
    async with page(tmp_path) as (place, _):
        for path in ELSEWHERE:
            answer = await raw_answer(place, path)
            assert answer.split(b" ")[1] in (b"400", b"403", b"404"), path
            assert b"Content-Security-Policy: default-src 'none'" in answer, path
            assert b"X-Content-Type-Options: nosniff" in answer, path
        assert b" 200 " in await raw_answer(place, "/version")


async def raw_answer(place: Place, path: str) -> bytes:
    """What a request with exactly this path is answered."""
    host, port = place.address.host, place.address.port
    cookie = "; ".join(f"{c.key}={c.value}" for c in place.browser.cookie_jar)
    reader, writer = await asyncio.open_connection(host, port)
    head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def test_the_api_is_there_with_the_users_own_rights(tmp_path: Path) -> None:
    viewer = Identity("eve", ("developers",))
    async with page(tmp_path, viewer) as (place, _):
        code, status = await place.get(CONFIG)
        assert (code, status["reason"]) == (403, "Forbidden")
        assert 'User "eve" cannot list resource "configmaps"' in status["message"]
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        code, who = await place.send("POST", path, review, Impersonate_User="root")
        assert who["status"]["userInfo"]["username"] == "eve"


async def test_what_the_page_writes_arrives(tmp_path: Path) -> None:
    async with page(tmp_path) as (place, api):
        code, created = await place.send("POST", CONFIG, config_map("one", key="value"))
        assert (code, created["data"]) == (201, {"key": "value"})
        patch = {"data": {"key": "other"}}
        kind = "application/merge-patch+json"
        code, _ = await place.send("PATCH", f"{CONFIG}/one", patch, Content_Type=kind)
        assert code == 200
        assert (await api.client.get(CONFIG_MAPS, "one", "default"))["data"] == patch["data"]
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        code, table = await place.get(f"{CONFIG}/one", Accept=accept)
        assert (code, table["kind"], len(table["rows"])) == (200, "Table", 1)
        code, _ = await place.send("DELETE", f"{CONFIG}/one", None)
        assert code == 200


async def test_a_watch_brings_each_change_as_it_happens(tmp_path: Path) -> None:
    async with page(tmp_path) as (place, api):
        url = place.url(f"{CONFIG}?watch=1&fieldSelector=metadata.name%3Da")
        async with place.browser.get(url) as answer:
            assert "Content-Security-Policy" in answer.headers
            await api.client.create(CONFIG_MAPS, config_map("a"), "default")
            first = json.loads(await answer.content.readline())
            await api.client.delete(CONFIG_MAPS, "a", "default")
            second = json.loads(await answer.content.readline())
    assert [event["type"] for event in (first, second)] == ["ADDED", "DELETED"]


async def on_a_node(client: Client, kubelet: int) -> None:
    """A running pod ``web`` on a node with this port of its kubelet."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    await client.create(NODES, node)
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet}},
    }
    await client.patch_status(NODES, "n", {"status": status}, kind="strategic")
    await client.create(PODS, pod("web", nodeName="n"), "default")


async def test_a_shell_runs_over_a_websocket_and_says_how_it_ended(tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/pods/web/exec"
    query = "?command=sh&command=-c&command=read+x;echo+$x;exit+3&stdin=1&stdout=1"
    async with page(tmp_path) as (place, api), fake_kubelet(api.server.pki) as port:
        await on_a_node(api.client, port)
        async with place.browser.ws_connect(
            place.url(path + query),
            protocols=["base64url.bearer.authorization.k8s.io.c2VjcmV0", "v5.channel.k8s.io"],
            headers={"Origin": place.origin},
        ) as shell:
            assert shell.protocol == "v5.channel.k8s.io"
            await shell.send_bytes(b"\x00hello\n")
            messages = [message.data async for message in shell]
    assert messages[0] == b"\x01hello\n"
    assert b'"ExitCode"' in messages[-1] and messages[-1].startswith(b"\x03")


async def test_a_shell_that_the_user_may_not_open_is_refused_by_the_api(tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/pods/web/exec?command=sh&stdout=1"
    async with page(tmp_path, Identity("eve")) as (place, _):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await place.browser.ws_connect(place.url(path), headers={"Origin": place.origin})
    assert refused.value.status == 403


async def test_without_its_api_server_the_page_stays_and_says_so(tmp_path: Path) -> None:
    async with page(tmp_path) as (place, api):
        await api.server.close()
        code, status = await place.get("/version")
        assert (code, status["reason"]) == (503, "ServiceUnavailable")
        assert (await place.get("/ui/info"))[0] == 200


async def test_a_timeline_is_shown_to_who_may_see_the_pod(tmp_path: Path) -> None:
    async with page(tmp_path) as (place, api):
        await api.client.create(PODS, pod("web", nodeName="elsewhere"), "default")
        code, start = await place.get("/ui/timeline?namespace=default&pod=web")
        assert (code, start["isExact"]) == (200, False)
        assert start["steps"][0]["step"] == "created"
        assert (await place.get("/ui/timeline?namespace=default&pod=other"))[0] == 404
        for query in ("", "?namespace=default&pod=", "?namespace=a%2F..&pod=web"):
            assert (await place.get(f"/ui/timeline{query}"))[0] == 400
    async with page(tmp_path / "other", Identity("eve")) as (place, _):
        assert (await place.get("/ui/timeline?namespace=default&pod=web"))[0] == 403


async def test_why_a_pod_is_pending_is_said_of_each_node(tmp_path: Path) -> None:
    async with page(tmp_path) as (place, api):
        for name, key in (("one", ""), ("two", "full")):
            taints = [{"key": key, "effect": "NoSchedule"}] if key else []
            node = {"metadata": {"name": name}, "spec": {"taints": taints}}
            await api.client.create(NODES, {"apiVersion": "v1", "kind": "Node", **node})
            status = {
                "capacity": {"cpu": "2", "pods": "9"},
                "allocatable": {"cpu": "2", "pods": "9"},
            }
            await api.client.patch_status(NODES, name, {"status": status}, kind="strategic")
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "3"}}}
        new = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]
        big = pod("big", containers=[container], tolerations=new)
        await api.client.create(PODS, big, "default")
        await api.client.create(PODS, pod("bound", nodeName="one"), "default")
        code, verdict = await place.get("/ui/why?namespace=default&pod=big")
        assert (code, verdict["selected"]) == (200, None)
        assert verdict["nodes"]["one"]["reasons"] == ["Insufficient cpu"]
        assert "untolerated taint" in verdict["nodes"]["two"]["reasons"][0]
        assert (await place.get("/ui/why?namespace=default&pod=bound"))[0] == 400
        assert (await place.get("/ui/why?namespace=default&pod=none"))[0] == 404
    async with page(tmp_path / "other", Identity("eve")) as (place, _):
        assert (await place.get("/ui/why?namespace=default&pod=big"))[0] == 403


async def test_a_text_is_read_as_objects_with_their_lines(tmp_path: Path) -> None:
    async with page(tmp_path) as (place, _):

        async def read(text: str) -> tuple[int, Any]:
            headers = {"Origin": place.origin}
            url = place.url("/ui/documents")
            async with place.browser.post(url, data=text.encode(), headers=headers) as answer:
                return answer.status, await answer.json()

        assert await read("# none\n---\nkind: A\n---\n---\n\n{kind: B, count: 010}\n") == (
            200,
            {
                "documents": [
                    {"line": 3, "object": {"kind": "A"}},
                    {"line": 7, "object": {"kind": "B", "count": 8}},
                ]
            },
        )
        code, status = await read("kind: A\nkind: B\n")
        assert code == 400 and status["message"].startswith("line 2: ")
        assert (await read("- 1\n"))[0] == 400
        assert (await read("a: &a [x]\nb: [*a, *a" + ", *a" * 300_000 + "]\n"))[0] == 400
        assert (await place.get("/ui/documents"))[0] == 404


async def test_a_port_is_forwarded_to_who_may_see_the_pod(tmp_path: Path) -> None:
    path = "/ui/forward?namespace=default&pod=web&port="
    async with page(tmp_path) as (place, api), fake_kubelet(api.server.pki) as port:
        await on_a_node(api.client, port)
        for wrong in ("", "0", "65536", "-1", "8\u0660", "http"):
            assert (await place.send("POST", path + quote(wrong), None))[0] == 400
        assert (await place.send("POST", "/ui/forward?namespace=a&pod=../b&port=1", None))[0] == 400
        assert (await place.get(path + "80"))[0] == 404
    async with page(tmp_path / "other", Identity("eve")) as (place, _):
        code, status = await place.send("POST", path + "80", None)
        assert (code, status["reason"]) == (403, "Forbidden")
