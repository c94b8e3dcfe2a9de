"""Informers: what they show is what the server has, whatever happens to their watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubelite.client import informers as informers_module
from kubelite.client.client import Client
from kubelite.client.errors import NotFound, Unreachable, error_for
from kubelite.client.informers import Informers, SharedObjectChangedError
from kubelite.client.local import LocalTransport
from kubelite.client.resources import CONFIG_MAPS, PODS
from kubelite.client.transport import Call, Pieces
from tests.client.servers import ADMIN, TRANSPORTS, config_map, pod, served

both = pytest.mark.parametrize("transport", TRANSPORTS)


class Recorder:
    """What handlers were told, put together again."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.calls = 0

    def __call__(self, old: Any, new: Any) -> None:
        self.calls += 1
        name = (new or old)["metadata"]["name"]
        assert (old is not None) == (name in self.objects), name
        if new is None:
            del self.objects[name]
        else:
            self.objects[name] = new


def names(objects: list[Any]) -> set[str]:
    return {each["metadata"]["name"] for each in objects}


@both
async def test_view_handlers_and_indexes(tmp_path, transport) -> None:
    async with served(tmp_path, transport) as (_, client), Informers(client) as informers:
        await client.create(PODS, pod("a"))
        pods = informers.of(PODS)
        assert informers.of(PODS) is pods
        await pods.wait_synced()
        assert pods.synced
        recorder = Recorder()
        pods.add_handler(recorder)
        assert set(recorder.objects) == {"a"}
        made = await client.create(PODS, pod("b"))
        await pods.at_least(made)
        assert names(pods.list("default")) == {"a", "b"} == set(recorder.objects)
        assert "managedFields" not in pods.get("default", "b")["metadata"]
        assert pods.list("other") == []
        assert pods.by_index("node", "n1") == []
        await client.bind("default", "b", "n1")
        bound = await client.get(PODS, "b", "default")
        await pods.at_least(bound)
        assert names(pods.by_index("node", "n1")) == {"b"}
        assert names(pods.by_index("uid", made["metadata"]["uid"])) == {"b"}
        pods.add_index("image", lambda obj: [c["image"] for c in obj["spec"]["containers"]])
        assert names(pods.by_index("image", "example/app")) == {"a", "b"}
        await client.delete(PODS, "b", "default", grace_seconds=0)
        await pods.until_gone(made)
        assert names(pods.list()) == {"a"} == set(recorder.objects)
        assert pods.by_index("node", "n1") == []
        assert names(pods.by_index("image", "example/app")) == {"a"}


async def test_a_failing_handler_stops_nobody(tmp_path) -> None:
    async with served(tmp_path) as (_, client), Informers(client) as informers:
        view = informers.of(CONFIG_MAPS)

        def fail(old: Any, new: Any) -> None:
            raise RuntimeError("handler")

        recorder = Recorder()
        view.add_handler(fail)
        view.add_handler(recorder)
        await view.at_least(await client.create(CONFIG_MAPS, config_map("x")))
        assert "x" in recorder.objects


async def test_metadata_only(tmp_path) -> None:
    async with served(tmp_path) as (_, client), Informers(client) as informers:
        view = informers.of(CONFIG_MAPS, metadata_only=True)
        await view.at_least(await client.create(CONFIG_MAPS, config_map("x", a="b")))
        assert "data" not in view.get("default", "x")
        whole = informers.of(CONFIG_MAPS)
        assert informers.of(CONFIG_MAPS, metadata_only=True) is whole


async def test_an_object_changed_in_place_is_found_out(tmp_path) -> None:
    async with served(tmp_path) as (_, client):
        informers = Informers(client, check_shared=True)
        view = informers.of(CONFIG_MAPS)
        await view.at_least(await client.create(CONFIG_MAPS, config_map("x", a="b")))
        view.get("default", "x")["data"]["a"] = "c"
        await client.patch(CONFIG_MAPS, "x", {"data": {"a": "d"}}, "default")
        with pytest.raises(SharedObjectChangedError):
            await asyncio.wait_for(view._task, 5)
        await informers.close()


class FaultyTransport(LocalTransport):
    """Breaks streams after some pieces, and says now and then that their revision is gone."""

    def __init__(self, application: Any, faults: list[int]) -> None:
        super().__init__(application, ADMIN)
        self._faults = faults
        self.watches = 0

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Pieces]:
        self.watches += 1
        fault = self._faults.pop() if self._faults else -1
        if fault == 0:
            raise Unreachable("refused by the test")
        if fault == 1 and "sendInitialEvents" not in call.query:
            raise error_for(410, b'{"code":410,"reason":"Expired","message":"gone"}')
        async with super().stream(call) as pieces:
            yield _broken_after(pieces, fault - 1)


async def _broken_after(pieces: Pieces, count: int) -> Any:
    async for piece in pieces:
        for line in piece.splitlines(keepends=True):
            if count == 0:
                raise Unreachable("cut by the test")
            count -= 1
            yield line


steps = st.lists(
    st.tuples(st.sampled_from(["put", "delete", "wait", "pause"]), st.integers(0, 4)),
    max_size=25,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=steps, faults=st.lists(st.integers(0, 6), max_size=12), streaming=st.booleans())
def test_views_converge_whatever_breaks(tmp_path, monkeypatch, steps, faults, streaming) -> None:
    monkeypatch.setattr(informers_module, "FIRST_BACKOFF", 0.0005)
    monkeypatch.setattr(informers_module, "MAX_BACKOFF", 0.001)

    async def run() -> None:
        async with served(tmp_path) as (server, client):
            transport = FaultyTransport(server.application, list(faults))
            async with Informers(Client(transport), check_shared=True) as informers:
                await follow(client, informers, steps, streaming)

    asyncio.run(asyncio.wait_for(run(), 30))


async def follow(client: Client, informers: Informers, steps: Any, streaming: bool) -> None:
    view = informers.of(CONFIG_MAPS)
    view._streams_lists = streaming
    recorder = Recorder()
    view.add_handler(recorder)
    last: Any = {}
    for verb, number in steps:
        name = f"c{number}"
        if verb == "put":
            last = await client.apply(
                CONFIG_MAPS,
                config_map(name, value=str(id(last))),
                field_manager="test",
                force=True,
            )
        elif verb == "delete":
            try:
                await client.delete(CONFIG_MAPS, name, "default")
            except NotFound:
                continue
        elif verb == "wait":
            await view.at_least(last)
        else:
            await asyncio.sleep(0)
    await view.wait_synced()
    present = await client.list(CONFIG_MAPS)
    final = await client.create(CONFIG_MAPS, config_map("final"))
    await view.at_least(final)
    await client.delete(CONFIG_MAPS, "final", "default")
    versions = {
        each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in present.items
    }
    shown = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in view.list()}
    shown.pop("final", None)
    assert shown == versions
    assert {name for name in recorder.objects if name != "final"} == set(versions)
