"""Whatever is sent, the answer is a Status, the server lives, and its memory stays bounded."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from kubelite.control.api.server import server as listening
from tests.control.world import CONFIG, PODS, cluster, config_map, pod

if TYPE_CHECKING:
    from pathlib import Path

    from tests.control.world import Cluster


async def raw(api: Cluster, data: bytes, *, seconds: float = 10) -> bytes:
    """What the server answers to bytes on a fresh connection."""
    context = ssl.create_default_context(cafile=api.server.pki.authority.certificate)
    own = api.server.pki.client("admin", "kubernetes-admin", ("system:masters",))
    context.load_cert_chain(own.certificate, own.key)
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", api.server.port, ssl=context, server_hostname="127.0.0.1"
        )
        writer.write(data)
        answer = await reader.read(1 << 20)
        writer.close()
    return answer


def variants() -> list[Any]:
    """Bodies that are objects, and wrong in every other way."""
    names: list[Any] = ["", "UPPER", "a/b", "..", "x" * 300, 5, None, [], {}]
    wrong: list[Any] = [
        None,
        5,
        "text",
        [],
        [1],
        {"a": 1},
        True,
        {"containers": 5},
        {"containers": [{}]},
        {"containers": [None]},
    ]
    return [
        {},
        *({"metadata": {"name": name}} for name in names),
        *({"metadata": value} for value in wrong),
        *({"metadata": {"name": "x"}, "spec": value} for value in wrong),
        *({"metadata": {"name": "x", "labels": value}} for value in wrong),
        *({"metadata": {"name": "x", "finalizers": value}} for value in wrong),
        *({"metadata": {"name": "x", "ownerReferences": value}} for value in wrong),
        *({"metadata": {"name": "x"}, "data": value} for value in wrong),
        *({"metadata": {"name": "x"}, "rules": value} for value in wrong),
        *({"metadata": {"name": "x"}, "status": value} for value in wrong),
    ]


async def test_odd_objects_of_every_kind(tmp_path: Path) -> None:
    wrong: list[Any] = []
    async with cluster(tmp_path) as api:
        for res in api.server.context.registry.all():
            base = f"/apis/{res.gv}" if res.group else f"/api/{res.version}"
            where = (
                f"{base}/namespaces/default/{res.plural}"
                if res.namespaced
                else f"{base}/{res.plural}"
            )
            for body in variants():
                reply = await api.create(where + "?dryRun=All", body)
                refused = isinstance(reply.value, dict) and (
                    reply.code < 400 or reply.value["kind"] == "Status"
                )
                if reply.code == 500 or not refused:
                    wrong.append((where, body, reply.body))
    assert not wrong


async def test_warnings_that_no_header_can_carry(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        for name, told in (
            ("a\x00b", 0),
            ("a\r\nb", 0),
            ("\x7f", 0),
            ("\u00fc", 1),
            ("x" * 9999, 1),
        ):
            made = await api.create(f"{CONFIG}?dryRun=All", config_map("a") | {name: 1})
            warnings = [text for key, text in made.headers.items() if key == "Warning"]
            assert (made.code, len(warnings)) == (201, told), name
            assert sum(map(len, warnings)) < 5000


async def test_odd_patches(tmp_path: Path) -> None:
    bodies: list[Any] = [
        None,
        5,
        "x",
        [],
        [{}],
        [{"op": "add"}],
        [{"op": "wild", "path": "/a"}],
        {"spec": 5},
        {"metadata": None},
    ]
    bodies += [
        {"metadata": {"name": "other"}},
        {"spec": {"containers": [{"name": 5}]}},
        {"$patch": "delete"},
        {"kind": "Secret"},
    ]
    async with cluster(tmp_path) as api:
        await api.create(PODS, pod("p"))
        for kind in ("merge", "json", "strategic", "apply"):
            for body in bodies:
                data = json.dumps(body).encode()
                names = {
                    "merge": "merge-patch+json",
                    "json": "json-patch+json",
                    "strategic": "strategic-merge-patch+json",
                }
                content = {"Content-Type": "application/" + names.get(kind, "apply-patch+yaml")}
                reply = await api.ask(
                    "PATCH",
                    f"{PODS}/p?fieldManager=m&force=true&dryRun=All",
                    raw=data,
                    headers=content,
                )
                assert reply.code != 500, (kind, body, reply.body)
                assert reply.value["kind"] in ("Status", "Pod")


@pytest.mark.parametrize(
    ("data", "content", "code"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"metadata":{"name":"a"}', "application/json", 400),
        (b"\xff\xfe{}", "application/json", 400),
        (b'{"metadata":{"name":"\xff"}}', "application/json", 400),
        (b"[" * 100_000 + b"]" * 100_000, "application/json", 400),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json", 400),
        (b"null", "application/json", 400),
        (b"a: &a [*a, *a]", "application/yaml", 400),
        (b"k8s\x00\x0a\xff\xff\xff\xff\x0f", "application/vnd.kubernetes.protobuf", 400),
        (b"k8s\x00", "application/vnd.kubernetes.protobuf", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "application/xml", 415),
        (b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}', "application/json", 400),
        (b"x" * (10 << 20), "application/json", 413),
    ],
)
async def test_bodies_that_are_none(tmp_path: Path, data: bytes, content: str, code: int) -> None:
    async with cluster(tmp_path) as api:
        reply = await api.ask("POST", CONFIG, raw=data or b" ", headers={"Content-Type": content})
        assert (reply.code, reply.value["kind"]) == (code, "Status"), reply.body[:300]
        assert (await api.get("/readyz")).code == 200


async def test_random_bytes(tmp_path: Path) -> None:
    rng = random.Random(6)
    text = json.dumps(config_map("a", x="1")).encode()
    kinds = [
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/apply-patch+yaml",
    ]
    async with cluster(tmp_path) as api:
        for _ in range(300):
            data = bytearray(text if rng.random() < 0.7 else b"k8s\x00" + rng.randbytes(60))
            for _ in range(rng.randrange(1, 8)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            cut = bytes(data[: rng.randrange(1, len(data) + 1)])
            kind = rng.choice(kinds)
            method = "PATCH" if "patch" in kind else "POST"
            path = (
                f"{CONFIG}/zz?fieldManager=f&dryRun=All"
                if method == "PATCH"
                else f"{CONFIG}?dryRun=All"
            )
            reply = await api.ask(method, path, raw=cut, headers={"Content-Type": kind})
            assert reply.code not in (500, 503), (cut, kind, reply.body)
            assert isinstance(reply.value, dict)


async def test_paths_cannot_leave_their_place(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        for path in (
            f"{CONFIG}/..%2f..%2fsecrets%2fx",
            f"{CONFIG}/%2e%2e",
            f"{CONFIG}/a%00b",
            f"{CONFIG}/a%2fb",
            "/api/v1/namespaces/..%2fkube-system/configmaps/x",
            "/api/v1/namespaces/%2e%2e/configmaps/x",
        ):
            for method in ("GET", "PUT", "DELETE"):
                request = (
                    f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
                    "Content-Length: 0\r\nConnection: close\r\n\r\n"
                )
                answer = await raw(api, request.encode())
                assert b" 400 " in answer.split(b"\r\n")[0], (path, answer[:200])
                assert b'"kind":"Status"' in answer


async def test_what_is_not_http_is_refused(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        for data in (
            b"\x00\x01\x02\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Bomb: " + b"x" * 2_000_000 + b"\r\n\r\n",
            b"GET /" + b"a" * 2_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            (
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            ),
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        ):
            answer = await raw(api, data)
            assert b" 400 " in answer.split(b"\r\n")[0], (data[:50], answer[:100])
            assert b'"kind":"Status"' in answer
        assert (await api.get("/readyz")).code == 200


async def test_slow_senders_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(listening, "BODY_SECONDS", 0.3)
    async with cluster(tmp_path) as api:
        assert await raw(api, b"GET / HTTP/1.1\r\nHost: ") == b""
        body = (
            b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\n"
            b"Host: x\r\nContent-Length: 500\r\n\r\n{"
        )
        answer = await raw(api, body)
        assert b" 400 " in answer.split(b"\r\n")[0]
        assert b"did not arrive" in answer


async def test_a_thousand_idle_watches(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(1000, (hard - 200) // 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        async with cluster(tmp_path) as api:
            context = ssl.create_default_context(cafile=api.server.pki.authority.certificate)
            own = api.server.pki.client("admin", "kubernetes-admin", ("system:masters",))
            context.load_cert_chain(own.certificate, own.key)
            request = b"GET /api/v1/namespaces/default/secrets?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n"

            async def idle() -> asyncio.StreamWriter:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", api.server.port, ssl=context, server_hostname="127.0.0.1"
                )
                writer.write(request)
                assert b" 200 " in await reader.readline()
                return writer

            writers: list[asyncio.StreamWriter] = []
            while len(writers) < count:
                writers += await asyncio.gather(*(idle() for _ in range(50)))
            assert (await api.create(CONFIG, config_map("a"))).code == 201
            secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}}
            async with asyncio.timeout(10):
                assert (await api.create("/api/v1/namespaces/default/secrets", secret)).code == 201
                assert (await api.get("/readyz")).code == 200
            for writer in writers:
                writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
