"""No request makes the server fail: operations from its own OpenAPI documents, with parameters and
bodies that fit nearly or not at all, over a real connection.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.control.api.generated import OTHERS, RUN_BY_PODS, TEXTS, WRONG, Object, changed
from tests.control.api.pure import res_of
from tests.control.world import Cluster, cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = int(os.environ.get("KUBELITE_EXAMPLES", "400"))
SETTINGS = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
BASES = {obj["kind"]: obj for obj in (*RUN_BY_PODS, *OTHERS)}
NAMES = st.sampled_from((*["web"] * 9, "things.ex.com", "default", "nosuch", "a b", "%", ""))
SPACES = st.sampled_from((*["default"] * 9, "x", ""))
ENDLESS = ("watch", "follow", "sendInitialEvents")
"""Parameters of answers that go on."""
ELSEWHERE = ("/proxy", "/watch/")
"""What others answer, or goes on."""
JUNK = st.sampled_from(
    ("", "0", "1", "-1", "true", "false", "x", "9" * 30, "All", "Background", "a=b", "a in (b",
     "!a", "metadata.name=web", "spec.nodeName!=", "Strict", "Ignore", "ü", "\x00", "a\r\nb: c",
     "%", "2026-01-31T12:00:00Z", "eyJ9", "None", "NotOlderThan", "Exact", "x" * 2000)
)  # fmt: skip
NO_OBJECT = st.sampled_from(
    (b"", b"{", b"null", b"[]", b"k8s\x00\x0a\x00", b"k8s\x00\xff" * 9, b"a: [b", b"\xff\xfe",
     b"[" * 5000, b'{"a":1,"a":2}', b'{"kind":"a\\nb","apiVersion":"\\u0000"}')
)  # fmt: skip
ACCEPTED = st.sampled_from(
    (*["application/json"] * 9, "application/yaml", "application/vnd.kubernetes.protobuf", "*/*",
     "x", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/cbor", "text/plain",
     "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
     "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
)  # fmt: skip
STEPS = st.sampled_from(
    ("", "/", "/spec", "/metadata", "/metadata/labels", "/metadata/labels/a", "/metadata/name",
     "/spec/template", "/spec/containers/0", "/spec/containers/-", "/spec/containers/-1/image",
     "/spec/replicas", "/data/k", "/status", "/kind", "/apiVersion", "/metadata/managedFields",
     "/metadata/finalizers", "~2", "/a/b/c", "/metadata/annotations/a~1b")
)  # fmt: skip


class Operation(NamedTuple):
    """An operation of the documents: its method, its path with names in braces, the names of its
    query parameters, the media types of its body, and the kind that it is about.
    """

    method: str
    path: str
    parameters: tuple[str, ...]
    media_types: tuple[str, ...]
    kind: str


class Operations(list[Operation]):
    """All of them, not told one by one when a test fails."""

    def __repr__(self) -> str:
        return f"{len(self)} operations"


class World(NamedTuple):
    """A server with one object of each kind, and what it says it can do."""

    runner: asyncio.Runner
    api: Cluster
    operations: Operations


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with asyncio.Runner() as runner:
        opened = cluster(tmp_path_factory.mktemp("fuzz"))
        api = runner.run(opened.__aenter__())
        try:
            yield World(runner, api, runner.run(_prepared(api)))
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def _prepared(api: Cluster) -> Operations:
    for obj in BASES.values():
        res = res_of(obj)
        root = f"/apis/{res.gv}" if res.group else f"/api/{res.version}"
        space = "/namespaces/default" if res.namespaced else ""
        (await api.create(f"{root}{space}/{res.plural}", obj)).ok()
    index = (await api.get("/openapi/v3")).ok()["paths"]
    found = Operations()
    for entry in index.values():
        found += _operations((await api.get(entry["serverRelativeURL"])).ok())
    assert len(found) > 500
    return found


def _operations(document: Object) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        if path.endswith(ELSEWHERE[0]) or any(part in path for part in (*ELSEWHERE, "/proxy/")):
            continue
        shared = item.get("parameters") or []
        for method in ("get", "post", "put", "patch", "delete"):
            if (operation := item.get(method)) is None:
                continue
            named = [each["name"] for each in (*shared, *(operation.get("parameters") or ()))
                     if each.get("in") == "query" and each["name"] not in ENDLESS]  # fmt: skip
            bodies = (operation.get("requestBody") or {}).get("content") or {}
            about = operation.get("x-kubernetes-group-version-kind") or {}
            yield Operation(
                method.upper(), path, tuple(named), tuple(bodies), about.get("kind", "")
            )


class Sent(NamedTuple):
    """A request as it goes out."""

    method: str
    path: str
    body: bytes
    content_type: str
    accept: str


@st.composite
def requests(draw: st.DrawFn, operations: Operations) -> Sent:
    operation = draw(st.sampled_from(operations))
    path = operation.path
    for name in ("namespace", "name", "path", "logpath"):
        value = draw(SPACES if name == "namespace" else NAMES)
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    names = st.lists(st.sampled_from(operation.parameters or ("x",)), max_size=3)
    chosen = [(name, draw(JUNK)) for name in draw(names)]
    if operation.method == "DELETE":  # what is there is for the other requests
        chosen = [("dryRun", "All"), *chosen]
    query = urlencode(chosen)
    body, content_type = b"", ""
    if operation.media_types or operation.method in ("POST", "PUT", "PATCH"):
        content_type = draw(st.sampled_from(operation.media_types or ("*/*",)))
        content_type = content_type.replace("*/*", "application/json")
        body = draw(bodies(operation.kind, content_type))
    return Sent(operation.method, f"{path}?{query}", body, content_type, draw(ACCEPTED))


@st.composite
def bodies(draw: st.DrawFn, kind: str, content_type: str) -> bytes:
    """A body that fits nearly, or something else."""
    how = draw(st.integers(0, 9))
    if how == 0:
        return draw(NO_OBJECT)
    if how == 1:
        return json.dumps(draw(WRONG)).encode()
    if content_type == "application/json-patch+json":
        return json.dumps([draw(_steps()) for _ in range(draw(st.integers(1, 3)))]).encode()
    base = BASES.get(kind) or draw(st.sampled_from(list(BASES.values())))
    return json.dumps(draw(changed(base, wrong_types=True))).encode()


@st.composite
def _steps(draw: st.DrawFn) -> Object:
    word = draw(st.sampled_from(("add", "remove", "replace", "test", "move", "copy", "x")))
    value: Any = draw(st.one_of(WRONG, TEXTS))
    return {"op": word, "path": draw(STEPS), "from": draw(STEPS), "value": value}


def is_failure(sent: Sent, code: int) -> bool:
    """Whether an answer says that the server failed. A revision that lies ahead is waited for."""
    return code >= 500 and not (code == 504 and "resourceVersion=" in sent.path)


def test_no_request_makes_the_server_fail(world: World, caplog: pytest.LogCaptureFixture) -> None:
    @SETTINGS
    @given(requests(world.operations))
    def check(sent: Sent) -> None:
        headers = {"Accept": sent.accept}
        if sent.content_type:
            headers["Content-Type"] = sent.content_type
        asked = world.api.ask(sent.method, sent.path, raw=sent.body, headers=headers)
        reply = world.runner.run(asyncio.wait_for(asked, 30))
        assert not is_failure(sent, reply.code), (sent, reply.code, reply.body[:500])
        assert not caplog.records, (sent, caplog.text[-3000:])

    check()
