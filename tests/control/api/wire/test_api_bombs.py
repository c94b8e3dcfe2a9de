"""Small requests that would grow, loop or confuse: each ends in its Status, soon, in bounded
memory, and the server lives.
"""

from __future__ import annotations

import gzip
import json
import random
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from kubelite.lib import spdy
from tests.control.api.wire.test_api_bad_input import raw
from tests.control.world import CONFIG, PODS, Cluster, Reply, cluster, config_map, pod

if TYPE_CHECKING:
    from pathlib import Path

JSON_PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
POLICY = {
    "matchConstraints": {
        "resourceRules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["pods"],
            }
        ]
    }
}
HEAD = b"GET /version HTTP/1.1\r\nHost: x\r\n"
POST = f"POST {CONFIG}?dryRun=All HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()


def resident() -> int:
    """Bytes of memory that this process, and so the server in it, holds."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


async def checked(api: Cluster, reply: Reply, *codes: int) -> None:
    """An answer with one of the codes, a Status, from a server that is well."""
    assert reply.code in codes, (reply.code, reply.body[:300])
    assert reply.value["kind"] == "Status"
    assert (await api.get("/readyz")).code == 200


async def test_patches_that_multiply(tmp_path: Path) -> None:
    start = [{"op": "add", "path": "/metadata/annotations", "value": {"a": "x" * 1000}}]
    doubling = [
        {"op": "copy", "from": "/metadata/annotations", "path": f"/metadata/annotations/b{n}"}
        for n in range(60)
    ]
    large = [{"op": "add", "path": "/metadata/annotations", "value": {"a": "x" * 100_000}}]
    many = [
        {"op": "copy", "from": "/metadata/annotations/a", "path": f"/metadata/annotations/b{n}"}
        for n in range(9000)
    ]
    nothing = [{"op": "test", "path": "/kind", "value": "Pod"}] * 10_001
    async with cluster(tmp_path) as api:
        (await api.create(PODS, pod("p"))).ok()
        before, since = resident(), time.monotonic()
        for operations in (start + doubling, large + many, nothing):
            data = json.dumps(operations).encode()
            await checked(
                api,
                await api.ask("PATCH", f"{PODS}/p", raw=data, headers={"Content-Type": JSON_PATCH}),
                413,
            )
        assert resident() - before < 100 << 20
        assert time.monotonic() - since < 10
        few = (
            start
            + doubling[:2]
            + [{"op": "remove", "path": f"/metadata/annotations/b{n}"} for n in range(2)]
        )
        data = json.dumps(few).encode()
        assert (
            await api.ask("PATCH", f"{PODS}/p", raw=data, headers={"Content-Type": JSON_PATCH})
        ).code == 200


async def test_compressed_bodies_are_not_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(b" " * (200 << 20))
    async with cluster(tmp_path) as api:
        before = resident()
        for coding, data in (
            ("gzip", bomb),
            ("gzip", b"junk"),
            ("deflate", b"junk"),
            ("br", b"junk"),
            ("zstd", b"junk"),
            ("a, b", b"{"),
        ):
            headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
            await checked(api, await api.ask("POST", CONFIG, raw=data, headers=headers), 400)
        assert resident() - before < 50 << 20


async def test_what_json_allows_and_kubernetes_does_not(tmp_path: Path) -> None:
    def one(field: bytes) -> bytes:
        return (
            b'{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"i"}],'
            + field
            + b"}}"
        )

    bodies = [
        one(b'"terminationGracePeriodSeconds":1' + b"0" * 5000),
        one(b'"terminationGracePeriodSeconds":1e400'),
        one(b'"terminationGracePeriodSeconds":NaN'), one(b'"hostname":"\\ud800"'),
        one(b'"hostname":"\xc3\x28"'), one(b'"hostname":"a\x00b"'),
        b"\xef\xbb\xbf{}", b"{}{}", b"{'a':1}", b"[{}]", b'"text"', b"\x00", b"{\xff:1}",
    ]  # fmt: skip
    async with cluster(tmp_path) as api:
        for body in bodies:
            reply = await api.ask(
                "POST", f"{PODS}?dryRun=All", raw=body, headers={"Content-Type": "application/json"}
            )
            assert (reply.code, reply.value["kind"]) == (400, "Status"), (
                body[:80],
                reply.body[:200],
            )
        (await api.create(PODS, pod("p"))).ok()
        twice = b'{"metadata":{"labels":{"a":"b","a":"c"}}}'
        for kind in (MERGE, "application/strategic-merge-patch+json"):
            reply = await api.ask(
                "PATCH",
                f"{PODS}/p?fieldValidation=Strict",
                raw=twice,
                headers={"Content-Type": kind},
            )
            assert (
                reply.code,
                'duplicate field "metadata.labels.a"' in reply.value["message"],
            ) == (422, True), reply.body


async def test_garbage_in_every_subresource(tmp_path: Path) -> None:
    """Bodies of wrong shapes, to everything that can be written below an object."""
    bodies: list[Any] = [
        None,
        5,
        "x",
        [],
        {},
        {"metadata": 5},
        {"metadata": {"name": 5}},
        {"spec": 5},
        {"spec": {"replicas": "x"}},
    ]
    bodies += [
        {"target": 5},
        {"target": {"name": "n"}, "metadata": {"annotations": 5}},
        {"target": {"name": "n"}},
        {"deleteOptions": 5},
    ]
    bodies += [
        {"spec": {"audiences": 5}},
        {"spec": {"audiences": [5]}},
        {"spec": {"boundObjectRef": 5}},
        {"spec": {"boundObjectRef": {"kind": 5}}},
    ]
    bodies += [
        {"spec": {"expirationSeconds": "x"}},
        {"spec": {"expirationSeconds": 10**30}},
        {"status": 5},
        {"status": {"conditions": 5}},
    ]
    bodies += [
        {"deleteOptions": {"preconditions": 5}},
        {"deleteOptions": {"dryRun": 5}},
        {"preconditions": {"uid": 5}},
        {"kind": 5},
    ]
    wrong: list[Any] = []
    async with cluster(tmp_path) as api:
        (await api.create(PODS, pod("x"))).ok()
        for res in api.server.context.registry.all():
            base = f"/apis/{res.gv}" if res.group else f"/api/{res.version}"
            where = (
                f"{base}/namespaces/default/{res.plural}"
                if res.namespaced
                else f"{base}/{res.plural}"
            )
            for path in (
                where,
                f"{where}/x",
                *(f"{where}/x/{sub}" for sub in res.subresources if sub != "proxy"),
            ):
                for method in ("POST", "PUT", "PATCH", "DELETE"):
                    if method == "DELETE" and path == where:
                        continue  # would empty the cluster
                    # What all kinds share is tried with a few; what a subresource has of its own
                    # with all.
                    few = path in (where, f"{where}/x") or path.endswith("/status")
                    for body in bodies[:6] if few else bodies:
                        content = {
                            "Content-Type": MERGE if method == "PATCH" else "application/json"
                        }
                        reply = await api.ask(
                            method,
                            f"{path}?dryRun=All",
                            raw=json.dumps(body).encode(),
                            headers=content,
                        )
                        if reply.code >= 500 or not isinstance(reply.value, dict):
                            wrong.append((method, path, body, reply.code, reply.body[:200]))
    assert not wrong, wrong[:5]


test_garbage_in_every_subresource.seconds = 120  # type: ignore[attr-defined]


async def test_protobuf_garbage(tmp_path: Path) -> None:
    rng, kind = random.Random(7), {"Content-Type": "application/vnd.kubernetes.protobuf"}
    envelope = b"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap"
    nested = b""
    for _ in range(5000):
        size = len(nested)
        nested = b"\x0a" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + nested
    bodies = [
        envelope + b"\x12\xff\xff\xff\x7f",
        envelope + b"\x12" + b"\xff" * 20,
        b"k8s\x00" + nested,
        envelope + b"\x12\x03\x0a\x81\x00",
    ]
    bodies += [b"k8s\x00" + rng.randbytes(rng.randrange(1, 400)) for _ in range(150)]
    bodies += [envelope + b"\x12" + bytes([60]) + rng.randbytes(60) for _ in range(150)]
    async with cluster(tmp_path) as api:
        for body in bodies:
            reply = await api.ask("POST", f"{CONFIG}?dryRun=All", raw=body, headers=kind)
            assert reply.code in (400, 422), (body[:60], reply.code, reply.body[:200])
            assert reply.value["kind"] == "Status"


async def test_selectors_and_options_without_end(tmp_path: Path) -> None:
    many = ",".join(f"a{n} in ({','.join(f'v{m}' for m in range(50))})" for n in range(150))
    good = [
        f"labelSelector={many}",
        "fieldSelector=" + "metadata.name!=a," * 3000 + "metadata.name=p",
        "&".join(f"a{n}=1" for n in range(6000)),
        "limit=-5",
    ]
    bad = [
        "labelSelector=" + "a," * 20_000, "labelSelector=a in (" + "(" * 30_000,
        "labelSelector=" + "!" * 30_000, "labelSelector=a=b%00",
        "labelSelector=" + "(" * 30_000, "labelSelector=a in (" + "," * 30_000 + "{",
        "labelSelector=a>" + "9" * 30_000 + "x", "fieldSelector=" + "=" * 30_000,
        "fieldSelector=spec.nodeName", "fieldSelector=data.a=b",
        "fieldSelector=" + "a\\," * 15_000 + "=b", "resourceVersion=" + "9" * 30_000,
        "resourceVersion=٣", "limit=1e3", "limit=" + "9" * 30_000, "watch=1&timeoutSeconds=nan",
        "continue=" + "A" * 30_000,
        "continue=e30", "continue=%ff%fe", "resourceVersionMatch=Never&resourceVersion=1",
        "watch=1&sendInitialEvents=1&resourceVersionMatch=Exact",
    ]  # fmt: skip
    async with cluster(tmp_path) as api:
        (await api.create(PODS, pod("p"))).ok()
        since = time.monotonic()
        for query in [*good, *bad]:
            async with api.session.get(
                URL(f"{api.url}{PODS}?" + query.replace(" ", "%20"), encoded=True)
            ) as response:
                value = json.loads(await response.read())
            assert value["kind"] == ("PodList" if query in good else "Status"), (query[:60], value)
            assert response.status == 200 or 400 <= response.status < 500, (
                query[:60],
                response.status,
            )
        assert time.monotonic() - since < 15


async def test_long_questions_are_not_remembered(tmp_path: Path) -> None:
    """What is worked out of texts is remembered, whether something is allowed too: as many long
    ones would fill the memory.
    """
    reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    async with cluster(tmp_path) as api:
        line = b"GET %b HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n"

        async def ask(number: int) -> None:
            name = f"{number}" + "x" * 400_000
            groups = [f"{number}-{member}" for member in range(20_000)]
            attributes = {"verb": "get", "resource": "pods", "name": name}
            body = {"spec": {"user": "x", "groups": groups, "resourceAttributes": attributes}}
            assert (await api.create(reviews, body)).code == 201
            selector = ",".join(f"k{number}-{term}!=v" for term in range(10_000))
            assert (await api.get(f"{PODS}?labelSelector={selector}")).code == 200
            labels = {"metadata": {"name": "a", "labels": {name: "", "a": name}}}
            assert (await api.create(CONFIG, labels)).code == 422
            for path in (f"/{name * 2}", f"//host/{name * 2}", f"http://host/{name * 2}"):
                assert b" 404 " in await raw(api, line % path.encode())
            keys = {"data": {f"{number}-{key}": "" for key in range(20_000)}}
            assert (await api.patch(f"{CONFIG}/c?dryRun=All", keys, "strategic")).code == 200
            accept = {"Accept": "application/json;" + name}
            assert (await api.ask("GET", "/version", headers=accept)).code == 200
            assert (await api.ask("GET", f"{PODS}/none", headers=accept)).code == 404
            validations = [{"expression": f"'{name}' == object.kind"}]
            policy = {"metadata": {"name": "p"}, "spec": {**POLICY, "validations": validations}}
            assert (await api.create(f"{POLICIES}?dryRun=All", policy)).code in (201, 422)

        (await api.create(CONFIG, config_map("c", a="b"))).ok()
        await ask(0)
        before = resident()
        for number in range(1, 17):
            await ask(number)
        assert resident() - before < 45 << 20


async def test_owners_of_fields_without_end(tmp_path: Path) -> None:
    when, fields = "2024-01-01T00:00:00Z", {"f:data": {f"f:k{n}": {} for n in range(100)}}

    def held(fields: Any, **rest: Any) -> dict[str, Any]:
        entry = {
            "manager": "m",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": when,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        return {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"name": "c", "managedFields": [{**entry, **rest}]},
        }

    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"f:a": deep}
    async with cluster(tmp_path) as api:
        for body in (
            held(deep), held({"k:{": {}, "v:": {}, "i:x": {}, "q": {}, "": {}}), held(5),
            held({"f:data": 5}), held(fields, operation="Steal"),
            held(fields, fieldsType="FieldsV2"), held(fields, apiVersion="nothing/v9"),
            held(fields, manager="x" * 5000),
        ):  # fmt: skip
            reply = await api.create(CONFIG, body)
            assert reply.code < 500, reply.body[:300]
            if reply.code == 201:
                applied = {**config_map("c", a="b")}
                after = await api.patch(
                    f"{CONFIG}/c?fieldManager=other&force=true", applied, "apply"
                )
                assert after.code < 500, after.body[:300]
                await api.delete(f"{CONFIG}/c")
        crowd = held(fields)
        crowd["metadata"]["managedFields"] = [
            {**crowd["metadata"]["managedFields"][0], "operation": "Update", "manager": f"m{n}"}
            for n in range(500)
        ]
        since = time.monotonic()
        made = (await api.create(CONFIG, crowd)).ok()
        assert len(made["metadata"]["managedFields"]) <= 12  # the rest are ancient changes
        assert (
            await api.patch(f"{CONFIG}/c?fieldManager=a&force=true", crowd, "apply")
        ).code == 400
        assert time.monotonic() - since < 10


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(5000)) + b"\r\n",
        HEAD + b"X-A: \x01\r\n\r\n",
        HEAD + b"X-A: a\x00b\r\n\r\n",
        HEAD + b"X-A: b\r\n folded\r\n\r\n",
        HEAD + b"X A: b\r\n\r\n",
        HEAD + b": b\r\n\r\n",
        HEAD.replace(b"\r\n", b"\n") + b"\n",
        b"GET /version HTTP/9.9\r\nHost: x\r\n\r\n",
        b"G\xffT /version HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /version\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        POST + b"Content-Length: 3, 3\r\n\r\nabc",
        POST + b"Content-Length: +3\r\n\r\nabc",
        POST + b"Content-Length: 0x3\r\n\r\nabc",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\nabc",
        POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
    ],
)
async def test_what_a_proxy_may_read_otherwise_is_refused(tmp_path: Path, data: bytes) -> None:
    """Nothing that two readers of HTTP may take for two different requests is taken for one."""
    async with cluster(tmp_path) as api:
        answer = await raw(api, data)
        assert b" 400 " in answer.split(b"\r\n")[0], answer[:200]
        assert answer.count(b'"kind":"Status"') == 1
        assert (await api.get("/readyz")).code == 200


async def test_odd_but_lawful_requests(tmp_path: Path) -> None:
    good = json.dumps(config_map("z", a="1")).encode()
    body = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(good)
    async with cluster(tmp_path) as api:
        for data, code in (
            (
                HEAD
                + (
                    b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
                    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
                ),
                200,
            ),
            (
                (
                    b"GET http://elsewhere/version HTTP/1.1\r\n"
                    b"Host: elsewhere\r\nConnection: close\r\n\r\n"
                ),
                200,
            ),
            (
                b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n",
                405,
            ),
            (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
            (
                b"GET "
                + CONFIG.encode()
                + b"/"
                + b"a" * 60_000
                + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                404,
            ),
            (POST + body + b"User-Agent: \xff\xfe\x80/1\r\n\r\n" + good, 201),
            (POST + body + b"Expect: 100-continue\r\n\r\n" + good, 201),
            (
                POST
                + b"Transfer-Encoding: chunked\r\n\r\n2;"
                + b"a" * 9000
                + b"\r\n{}\r\n0\r\n\r\n",
                422,
            ),
            (
                POST
                + body
                + b"Accept: "
                + b"application/json;as=Table;v=v9," * 1500
                + b"\r\n\r\n"
                + good,
                406,
            ),
        ):
            answer = await raw(api, data)
            lines = [
                line
                for line in answer.split(b"\r\n")
                if line.startswith(b"HTTP/") and b" 100 " not in line
            ]
            assert len(lines) == 1 and b" %d " % code in lines[0], (data[:60], answer[:200])
        assert (await api.get("/readyz")).code == 200


async def test_streams_with_garbage(tmp_path: Path) -> None:
    """Upgrades to what is no WebSocket and no SPDY, with protocols that are no text and tokens that
    are none.
    """
    path = f"{PODS}/p/exec?command=ls&stdout=1"
    async with cluster(tmp_path) as api:
        (await api.create(PODS, pod("p"))).ok()
        for protocol in (
            b"\xc3\x28," * 200,
            b"v5.channel.k8s.io",
            b"base64url.bearer.authorization.k8s.io.!!!",
            b"",
            b"," * 5000,
        ):
            for upgrade in (b"websocket", b"SPDY/3.1", b"h2c", b"\xff"):
                head = (
                    f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode()
                    + b"Connection: Upgrade\r\nUpgrade: "
                    + upgrade
                )
                head += (
                    (
                        b"\r\nSec-WebSocket-Key: \xff\r\n"
                        b"Sec-WebSocket-Version: 99\r\nSec-WebSocket-Protocol: "
                    )
                    + protocol
                    + b"\r\n\r\n"
                )
                answer = await raw(api, head)
                assert b" 400 " in answer.split(b"\r\n")[0], answer
        assert (await api.get("/readyz")).code == 200


def test_spdy_headers_do_not_unpack_without_end() -> None:
    """A compressed header block that grows a thousandfold ends the session instead."""
    packer = zlib.compressobj(zdict=spdy.DICTIONARY)
    block = packer.compress(b"\x00" * (64 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH)
    frame = (
        b"\x80\x03\x00\x01\x00"
        + (10 + len(block)).to_bytes(3, "big")
        + b"\x00\x00\x00\x01"
        + bytes(6)
        + block
    )
    before = resident()
    with pytest.raises(spdy.SpdyError):
        spdy.Session().receive(frame)
    assert resident() - before < 20 << 20


test_long_questions_are_not_remembered.seconds = 200  # type: ignore[attr-defined]
