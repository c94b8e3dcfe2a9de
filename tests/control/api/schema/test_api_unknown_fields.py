"""Fields that a later version has stored survive every write that does not take away what they are
in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kubelite.control.api.wire.documents import load
from tests.control.world import PODS, Cluster, cluster, pod

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
LABELS = {"matchLabels": {"a": "b"}}
CONTAINER = {"name": "c", "image": "i"}
TEMPLATE = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [CONTAINER, {"name": "d", "image": "i"}]},
}
DEPLOYMENT = {"metadata": {"name": "d"}, "spec": {"selector": LABELS, "template": TEMPLATE}}
AT = f"{DEPLOYMENTS}/d"


def add_later(obj: dict[str, Any]) -> dict[str, Any]:
    obj["later"] = {"deep": [1, {"x": None}]}
    obj["metadata"]["laterMeta"] = "m"
    obj["spec"]["laterSpec"] = 0
    obj["spec"]["template"]["spec"]["containers"][1]["laterField"] = ["f"]
    obj.setdefault("status", {})["laterStatus"] = {"a": "b"}
    return obj


def there(obj: dict[str, Any], container: str = "d") -> list[Any]:
    (item,) = (
        each for each in obj["spec"]["template"]["spec"]["containers"] if each["name"] == container
    )
    found = [
        obj.get("later"),
        obj["metadata"].get("laterMeta"),
        obj["spec"].get("laterSpec"),
        item.get("laterField"),
    ]
    return [*found, obj["status"].get("laterStatus")]


EVERYTHING = [{"deep": [1, {"x": None}]}, "m", 0, ["f"], {"a": "b"}]


async def stored(api: Cluster) -> dict[str, Any]:
    entry = await api.server.context.store.get("deployments", "default", "d")
    assert entry is not None
    return load(entry)


@pytest.fixture
def later(tmp_path: Path) -> Any:
    """A cluster with a Deployment that a later version has written to."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def made() -> AsyncIterator[Cluster]:
        async with cluster(tmp_path) as api:
            (await api.create(DEPLOYMENTS, DEPLOYMENT)).ok()
            store = api.server.context.store
            entry = await store.get("deployments", "default", "d")
            assert entry is not None
            value = msgspec.json.encode(add_later(load(entry)))
            await store.put("deployments", "default", "d", value, expected=entry.revision)
            yield api

    return made


async def test_they_are_shown(later: Any) -> None:
    async with later() as api:
        for path in (AT, DEPLOYMENTS):
            found = (await api.get(path)).ok()
            assert there(found["items"][0] if "items" in found else found) == EVERYTHING


@pytest.mark.parametrize(
    ("kind", "path", "body"),
    [
        ("merge", AT, {"metadata": {"labels": {"x": "y"}}}),
        ("strategic", AT,
         {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "new"}]}}}}),
        ("strategic", AT,
         {"spec": {"template": {"spec": {"containers": [{"name": "new", "image": "i"}]}}}}),
        ("json", AT,
         [{"op": "add", "path": "/spec/template/spec/containers/0",
           "value": {"name": "first", "image": "i"}}]),
        ("apply", AT + "?fieldManager=me&force=1",
         {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
          "spec": {"replicas": 3}}),
        ("merge", AT + "/status", {"status": {"replicas": 3}}),
        ("merge", AT + "/scale", {"spec": {"replicas": 4}}),
        ("merge", AT + "?fieldValidation=Strict", {"metadata": {"labels": {"x": "y"}}}),
        ("merge", AT + "?fieldValidation=Ignore", {"spec": {"replicas": 7}}),
    ],
)  # fmt: skip
async def test_patches_keep_them(later: Any, kind: str, path: str, body: Any) -> None:
    async with later() as api:
        before = await stored(api)
        reply = await api.patch(path, body, kind)
        assert "Warning" not in reply.headers
        reply.ok()
        after = await stored(api)
        assert there(after) == EVERYTHING
        assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]


@pytest.mark.parametrize("mode", ["Strict", "Warn", "Ignore"])
async def test_what_is_read_can_be_put_back(later: Any, mode: str) -> None:
    async with later() as api:
        found = (await api.get(AT)).ok()
        found["spec"]["replicas"] = 5
        found["spec"]["laterSpec"] = 1
        for path in (AT, AT + "/status"):
            reply = await api.update(f"{path}?fieldValidation={mode}", found)
            assert "Warning" not in reply.headers
            found = reply.ok()
        after = await stored(api)
        assert there(after) == [*EVERYTHING[:2], 1, *EVERYTHING[3:]]
        assert after["spec"]["replicas"] == 5


async def test_who_takes_them_away_may(later: Any) -> None:
    async with later() as api:
        gone = {"later": None, "metadata": {"laterMeta": None}, "spec": {"laterSpec": None}}
        assert there((await api.patch(AT, gone)).ok()) == [None, None, None, ["f"], {"a": "b"}]
        (
            await api.patch(
                AT, [{"op": "remove", "path": "/spec/template/spec/containers/1"}], "json"
            )
        ).ok()
        assert "laterField" not in str((await stored(api))["spec"])


async def test_nobody_brings_new_ones(later: Any) -> None:
    async with later() as api:
        body = {"spec": {"laterSpec": 2, "newSpec": 3}}
        reply = await api.patch(AT, body)
        assert reply.headers.getall("Warning") == ['299 - "unknown field \\"spec.newSpec\\""']
        assert (reply.ok()["spec"]["laterSpec"], "newSpec" in reply.value["spec"]) == (2, False)
        assert (await api.patch(AT + "?fieldValidation=Strict", body)).code == 422
        made = (await api.create(PODS + "?fieldValidation=Ignore", pod("p", newSpec=1))).ok()
        assert "newSpec" not in made["spec"]
