"""No request holds the event loop longer than 50 ms: whatever it brings, others are answered
meanwhile. Measured inside the server (watched_server).
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest

from tests.control.api.server.test_api_crash import Process
from tests.control.world import CONFIG, PODS, config_map, pod
from tests.e2e.world import SLOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

MOST = 0.05 * SLOW
JSON, APPLY = "application/json", "application/apply-patch+yaml"
STRATEGIC, JSON_PATCH = "application/strategic-merge-patch+json", "application/json-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LOAD = 3000
"""Objects in the lists."""


class Ask(NamedTuple):
    """One request. ``codes`` are the answers that are right."""

    what: str
    method: str
    path: str
    body: Any = None
    kind: str = JSON
    accept: str = JSON
    codes: tuple[int, ...] = (200, 201)


def definition(kind: str, **properties: Any) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    spec = {"type": "object", "properties": properties}
    schema = {"type": "object", "properties": {"spec": spec}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "kind": kind, "singular": kind.lower()}
    spec = {"group": "x.io", "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": f"{plural}.x.io"}, "spec": spec}


def custom(kind: str, name: str, **spec: Any) -> Ask:
    body = {"apiVersion": "x.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    path = f"/apis/x.io/v1/namespaces/default/{kind.lower()}s"
    return Ask(f"object of {kind}", "POST", path, body, codes=(201, 422))


def ruled(rule: str, **schema: Any) -> dict[str, Any]:
    return {**schema, "x-kubernetes-validations": [{"rule": rule}]}


def text(count: int, value: str = "v") -> dict[str, str]:
    return {f"k{number}": value for number in range(count)}


def variables(count: int, value: str = "v") -> list[dict[str, str]]:
    return [{"name": f"E{number}", "value": value} for number in range(count)]


def applied(name: str, value: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", **config_map(name, **text(20_000, value))}


def yaml(count: int) -> bytes:
    lines = b"".join(b"  k%d: v\n" % number for number in range(count))
    return b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yy}\ndata:\n" + lines


NUMBERS = {"type": "array", "items": {"type": "integer"}}
NAMES = {"type": "array", "maxItems": 5000, "items": {"type": "string", "maxLength": 9}}
PAIRS = ruled("self.all(x, self[0] != x || true)", **NAMES)
COPIES = ruled("self.map(x, x).size() > 0", **NUMBERS)
CHOICE = {"type": "string", "enum": [f"e{number}" for number in range(20_000)]}
PATTERNS = {
    f"f{number}": {"type": "string", "pattern": f"^(a+){{1,{60 + number}}}b$"}
    for number in range(300)
}
WIDE = {name: {"type": "string"} for name in text(9000)}
ENV = {"containers": [{"name": "c", "image": "i", "env": variables(12_000)}]}
DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": ENV},
    },
}
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
REPLACED = [{"op": "replace", "path": f"/data/k{number}", "value": "w"} for number in range(5000)]
CHANGED = {"containers": [{"name": "c", "env": variables(12_000, "w")}]}
BODIES = [
    Ask("a large object", "POST", CONFIG, config_map("a", **text(40_000))),
    Ask("an update of it", "PUT", f"{CONFIG}/a", config_map("a", **text(40_000, "w"))),
    Ask("a merge", "PATCH", f"{CONFIG}/a", {"data": text(9000)}, "application/merge-patch+json"),
    Ask("a JSON patch", "PATCH", f"{CONFIG}/a", REPLACED, JSON_PATCH),
    Ask("an apply", "PATCH", f"{CONFIG}/b?fieldManager=x", applied("b", "v"), APPLY),
    Ask("another's", "PATCH", f"{CONFIG}/b?fieldManager=y&force=true", applied("b", "w"), APPLY),
    Ask("YAML", "PATCH", f"{CONFIG}/yy?fieldManager=x", yaml(15_000), APPLY),
    Ask("nesting", "POST", CONFIG, b"[" * 1_500_000, codes=(400,)),
    Ask(
        "closed nesting", "POST", CONFIG, b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", codes=(400,)
    ),
    Ask("unknown fields", "POST", CONFIG, {**config_map("u"), "x": [text(9)] * 9000}),
    Ask("labels", "POST", CONFIG, {"metadata": {"name": "l", "labels": text(60_000)}}),
    Ask("a large pod", "POST", PODS, {"metadata": {"name": "e"}, "spec": ENV}),
    Ask("a large template", "POST", DEPLOYMENTS, DEPLOYMENT),
    Ask(
        "a strategic merge",
        "PATCH",
        f"{DEPLOYMENTS}/d",
        {"spec": {"template": {"spec": CHANGED}}},
        STRATEGIC,
    ),
]
DEFINITIONS = [
    Ask("a wide schema", "POST", CRDS, definition("Wide", **WIDE)),
    Ask("patterns", "POST", CRDS, definition("Pattern", **PATTERNS)),
    custom("Pattern", "p", **dict.fromkeys(PATTERNS, "a" * 400)),
    Ask("choices", "POST", CRDS, definition("Choice", a={"type": "array", "items": CHOICE})),
    custom("Choice", "c", a=CHOICE["enum"]),
    Ask("a rule", "POST", CRDS, definition("Number", a=ruled("self.all(x, x >= 0)", **NUMBERS))),
    custom("Number", "n", a=list(range(150_000))),
    custom("Number", "m", a=list(range(400_000))),
    Ask("a copying rule", "POST", CRDS, definition("Copy", a=COPIES)),
    custom("Copy", "c", a=list(range(400))),
    custom("Copy", "d", a=list(range(100_000))),
    Ask("pairs", "POST", CRDS, definition("Pair", a=PAIRS)),
    custom("Pair", "p", a=[f"n{number}" for number in range(5000)]),
]  # fmt: skip
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
TERMS = [{"key": f"k{number}", "operator": "In", "values": ["v"]} for number in range(30_000)]
UNEQUAL = quote(",".join(f"k{number}!=v" for number in range(60_000)))
UNEQUAL_NAMES = quote(",".join(f"metadata.name!=n{number}" for number in range(30_000)))


def review(**more: Any) -> dict[str, Any]:
    attributes = {"verb": "list", "resource": "pods", **more.pop("attributes", {})}
    return {"spec": {"user": "jane", "resourceAttributes": attributes, **more}}


QUESTIONS = [
    Ask("groups", "POST", REVIEWS, review(groups=[f"g{number}" for number in range(200_000)])),
    Ask("extra", "POST", REVIEWS, review(extra={key: ["v"] for key in text(100_000)})),
    Ask(
        "a selector of a node",
        "POST",
        REVIEWS,
        review(
            user="system:node:n",
            groups=["system:nodes"],
            attributes={"fieldSelector": {"requirements": TERMS}},
        ),
    ),
    Ask("labels of a list", "GET", f"{PODS}?labelSelector={UNEQUAL}"),
    Ask("fields of a list", "GET", f"{PODS}?fieldSelector={UNEQUAL_NAMES}"),
    Ask("a watch", "GET", f"{PODS}?watch=1&timeoutSeconds=1&labelSelector={UNEQUAL}"),
    Ask("a collection", "DELETE", f"{PODS}?labelSelector={UNEQUAL}"),
]
ABSENT = ",".join(f"!k{number}" for number in range(100_000))
MANY = ",".join(f"k{number}!=v" for number in range(300))
LISTS = [
    Ask("a list", "GET", CONFIG),
    Ask("a table", "GET", PODS, accept=TABLE),
    Ask("protobuf", "GET", PODS, accept="application/vnd.kubernetes.protobuf"),
    Ask("a label", "GET", f"{PODS}?labelSelector=n%3D5"),
    Ask("a long selector", "GET", f"{PODS}?labelSelector={MANY}"),
    Ask("a field", "GET", f"{PODS}?fieldSelector=spec.nodeName%3Da"),
    Ask("a watch", "GET", f"{PODS}?watch=1&timeoutSeconds=1&resourceVersion=0"),
    Ask("a watch of few", "GET", f"{PODS}?watch=1&timeoutSeconds=1&labelSelector=n%3D5"),
    Ask("documents", "GET", "/openapi/v2"),
    Ask("a collection's end", "DELETE", f"{PODS}?gracePeriodSeconds=0"),
]


@asynccontextmanager
async def watched(tmp_path: Path, *more: str) -> AsyncIterator[tuple[aiohttp.ClientSession, Path]]:
    """A session with a server whose loop is watched, and where what held it is written. What is
    loaded once is loaded."""
    report = tmp_path / "held"
    program = ["-m", "tests.control.api.server.watched_server", str(report), *more]
    server = Process(tmp_path, program=[sys.executable, *program])
    server.start()
    try:
        async with server.session() as session:
            await carry_out(session, Ask("", "POST", CONFIG, config_map("w", a="b")))
            first = definition("First", a=ruled("self.all(x, x > 0)", **NUMBERS))
            await carry_out(session, Ask("", "POST", CRDS, first))
            await carry_out(session, custom("First", "f", a=[1]))
            await carry_out(session, Ask("", "POST", PODS, pod("first")))
            await carry_out(session, Ask("", "DELETE", f"{PODS}/first?gracePeriodSeconds=0"))
            await until_controllers_run(session)
            await settle(report)
            yield session, report
    finally:
        server.stop()


async def until_controllers_run(session: aiohttp.ClientSession) -> None:
    """They are loaded after the server is ready; one of them makes the cluster's certificate in
    each namespace.
    """
    path = f"{CONFIG}/kube-root-ca.crt"
    async with session.delete(path) as reply:
        await reply.read()
    for _ in range(600):
        async with session.get(path) as reply:
            if reply.status == 200:
                return
        await asyncio.sleep(0.1)
    raise AssertionError("no controller runs")


async def settle(report: Path) -> None:
    """Returns when the server has loaded what it loads after its start, on its loop."""
    quiet = 0
    for _ in range(100):
        report.write_text("")
        await asyncio.sleep(0.2)
        quiet = 0 if report.read_text() else quiet + 1
        if quiet == 5:
            return
    raise AssertionError("the server does not come to rest")


async def carry_out(session: aiohttp.ClientSession, ask: Ask) -> None:
    data = ask.body if isinstance(ask.body, bytes | None) else json.dumps(ask.body).encode()
    headers = {"Content-Type": ask.kind, "Accept": ask.accept}
    async with session.request(ask.method, ask.path, data=data, headers=headers) as reply:
        said = await reply.read()
    assert reply.status in ask.codes, (ask.what, reply.status, said[:300])
    # What held the loop for that is written when it is over, and so before the next answer.
    async with session.get("/livez/ping") as reply:
        await reply.read()


def held(report: Path) -> list[tuple[float, str]]:
    """What has held the loop too long since the last call: how many seconds, and where."""
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    report.write_text("")
    return [(seconds, where) for seconds, where in lines if seconds > MOST]


@pytest.mark.parametrize(
    "asks",
    [BODIES, DEFINITIONS, QUESTIONS],
    ids=["bodies", "definitions", "questions"],
)
async def test_no_body_holds_the_loop(tmp_path: Path, asks: list[Ask]) -> None:
    async with watched(tmp_path) as (session, report):
        for ask in asks:
            await carry_out(session, ask)
            assert held(report) == [], ask.what


async def test_no_list_holds_the_loop(tmp_path: Path) -> None:
    async with watched(tmp_path) as (session, report):
        for number in range(LOAD):
            made = pod(f"p{number}")
            made["metadata"]["labels"] = {"n": str(number)}
            await carry_out(session, Ask("", "POST", PODS, made))
        assert held(report) == []
        for ask in LISTS:
            await carry_out(session, ask)
            assert held(report) == [], ask.what


async def test_no_event_holds_the_loop(tmp_path: Path) -> None:
    """A watch whose selector has 100,000 terms sees many events."""
    async with watched(tmp_path) as (session, report):
        path = f"{CONFIG}?watch=1&timeoutSeconds=60&labelSelector={ABSENT}"
        async with session.get(path) as stream:
            asks = [Ask("", "POST", CONFIG, config_map(f"c{n}", a="b")) for n in range(15)]
            await asyncio.gather(*(carry_out(session, ask) for ask in asks))
            names = set()
            while not names.issuperset(f"c{n}" for n in range(15)):
                event = json.loads(await stream.content.readline())
                names.add(event["object"]["metadata"]["name"])
        for name in ("c0", "none"):  # lists of one object, and of few
            await carry_out(
                session,
                Ask(
                    "", "GET", f"{CONFIG}?fieldSelector=metadata.name={name}&labelSelector={ABSENT}"
                ),
            )
        await carry_out(session, Ask("", "GET", f"{CONFIG}?labelSelector={ABSENT}"))
        assert held(report) == []


async def test_what_is_not_done_aside_is_noticed(tmp_path: Path) -> None:
    """The same server with everything done on its loop."""
    async with watched(tmp_path, "--inline") as (session, report):
        for ask in BODIES[:6]:
            await carry_out(session, ask)
        assert held(report) != []


for _test in (test_no_body_holds_the_loop, test_no_list_holds_the_loop):
    _test.seconds = 300  # type: ignore[attr-defined]
