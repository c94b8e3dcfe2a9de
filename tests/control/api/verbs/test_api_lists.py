"""Lists and watches: pages of one moment, revisions, selectors, bookmarks, and what is too old."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kubelite.control.api.verbs import watch as watching
from kubelite.control.store import watch as fan_out
from tests.control.world import CONFIG, PODS, cluster, config_map, pod

if TYPE_CHECKING:
    from pathlib import Path


def names(listing: dict) -> list[str]:
    return [
        item["metadata"]["name"]
        for item in listing["items"]
        if not item["metadata"]["name"].startswith("kube-")
    ]


async def test_pages_are_of_one_moment(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        for number in range(10):
            await api.create(CONFIG, config_map(f"c{number}"))
        first = (await api.get(f"{CONFIG}?limit=4")).ok()
        assert names(first) == ["c0", "c1", "c2", "c3"]
        assert first["metadata"]["remainingItemCount"] == 7
        await api.delete(f"{CONFIG}/c5")
        await api.create(CONFIG, config_map("c50"))
        token = first["metadata"]["continue"]
        rest = (await api.get(f"{CONFIG}?limit=100&continue={token}")).ok()
        assert names(rest) == ["c4", "c5", "c6", "c7", "c8", "c9"]
        assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        assert "continue" not in rest["metadata"]
        assert (await api.get(f"{CONFIG}?continue=nonsense")).code == 400


async def test_pages_over_all_namespaces_and_with_a_selector(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        for space in ("default", "kube-public"):
            for number in range(3):
                body = config_map(f"c{number}")
                body["metadata"]["labels"] = {"pick": str(number % 2)}
                await api.create(f"/api/v1/namespaces/{space}/configmaps", body)
        found, token = [], ""
        while True:
            page = (
                await api.get(f"/api/v1/configmaps?labelSelector=pick&limit=2&continue={token}")
            ).ok()
            found += names(page)
            assert len(page["items"]) <= 2
            token = page["metadata"].get("continue", "")
            if not token:
                break
        assert found == ["c0", "c1", "c2"] * 2


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("resourceVersion=1&resourceVersionMatch=Never", 422),
        ("resourceVersion=one", 400),
        ("resourceVersion=99999999", 504),
        ("labelSelector=a%20in%20(", 400),
        ("fieldSelector=spec.unknown%3Dx", 400),
        ("limit=many", 400),
        ("resourceVersion=0&limit=500", 200),
        ("resourceVersion=1&resourceVersionMatch=NotOlderThan", 200),
    ],
)
async def test_options_of_lists_are_checked(tmp_path: Path, query: str, code: int) -> None:
    async with cluster(tmp_path) as api:
        assert (await api.get(f"{CONFIG}?{query}")).code == code


async def test_field_selectors(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(PODS, pod("a", nodeName="n1"))
        await api.create(PODS, pod("b", nodeName="n2"))
        await api.create(PODS, pod("c"))
        for query, wanted in (
            ("spec.nodeName=n1", ["a"]),
            ("spec.nodeName!=n1", ["b", "c"]),
            ("spec.nodeName=", ["c"]),
            ("metadata.name=b", ["b"]),
            ("metadata.name=b,spec.nodeName=n1", []),
            ("status.phase=Pending,metadata.namespace=default", ["a", "b", "c"]),
        ):
            reply = await api.get(f"{PODS}?fieldSelector={query.replace('=', '%3D')}")
            assert names(reply.ok()) == wanted, query


async def test_a_watch_tells_what_happens_after_a_list(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CONFIG, config_map("before"))
        start = (await api.get(CONFIG)).ok()["metadata"]["resourceVersion"]
        async with api.watch(f"{CONFIG}?resourceVersion={start}") as watch:
            made = (await api.create(CONFIG, config_map("a", x="1"))).ok()
            await api.create("/api/v1/namespaces/kube-public/configmaps", config_map("elsewhere"))
            changed = (await api.patch(f"{CONFIG}/a", {"data": {"x": "2"}})).ok()
            await api.delete(f"{CONFIG}/a")
            added, modified, deleted = await watch.take(3)
            assert (added["type"], added["object"]) == ("ADDED", made)
            assert (modified["type"], modified["object"]) == ("MODIFIED", changed)
            assert deleted["type"] == "DELETED"
            assert deleted["object"]["data"] == {"x": "2"}
            assert int(deleted["object"]["metadata"]["resourceVersion"]) > int(
                changed["metadata"]["resourceVersion"]
            )


async def test_a_watch_from_the_beginning_tells_what_is_there(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CONFIG, config_map("a"))
        for query in ("", "&resourceVersion=0"):
            async with api.watch(f"{CONFIG}?fieldSelector=metadata.name%3Da{query}") as watch:
                assert (await watch.take(1))[0]["type"] == "ADDED"
                await api.patch(f"{CONFIG}/a", {"data": {"n": query or "first"}})
                assert (await watch.take(1))[0]["type"] == "MODIFIED"


async def test_objects_enter_and_leave_a_selector(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CONFIG, config_map("a"))
        start = (await api.get(CONFIG)).ok()["metadata"]["resourceVersion"]
        async with api.watch(f"{CONFIG}?labelSelector=on%3Dyes&resourceVersion={start}") as watch:
            await api.patch(f"{CONFIG}/a", {"data": {"x": "1"}})
            await api.patch(f"{CONFIG}/a", {"metadata": {"labels": {"on": "yes"}}})
            await api.patch(f"{CONFIG}/a", {"data": {"x": "2"}})
            await api.patch(f"{CONFIG}/a", {"metadata": {"labels": {"on": "no"}}})
            await api.delete(f"{CONFIG}/a")
            await api.create(
                CONFIG, {**config_map("b"), "metadata": {"name": "b", "labels": {"on": "yes"}}}
            )
            events = await watch.take(4)
            assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED"]
            assert [event["object"]["metadata"]["name"] for event in events] == ["a", "a", "a", "b"]


async def test_a_watch_ends_in_time_with_a_bookmark(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        last = (await api.create(CONFIG, config_map("a"))).ok()["metadata"]["resourceVersion"]
        path = f"{CONFIG}?resourceVersion={last}&timeoutSeconds=1&allowWatchBookmarks=true"
        async with api.watch(path) as watch:
            event = await watch.next()
            assert event is not None
            assert event["type"] == "BOOKMARK"
            assert (event["object"]["kind"], event["object"]["metadata"]["resourceVersion"]) == (
                "ConfigMap",
                last,
            )
            assert await watch.next() is None


async def test_initial_events_end_with_a_marked_bookmark(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(PODS, pod("a"))
        path = (
            f"{PODS}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
            "&allowWatchBookmarks=true"
        )
        async with api.watch(path) as watch:
            added, mark = await watch.take(2)
            assert added["type"] == "ADDED"
            assert mark["type"] == "BOOKMARK"
            assert mark["object"]["metadata"]["annotations"] == {
                "k8s.io/initial-events-end": "true"
            }
        assert (await api.get(f"{PODS}?watch=1&sendInitialEvents=true")).code == 422


async def test_what_is_too_old_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "HISTORY_EVENTS", 20)
    async with cluster(tmp_path) as api:
        first = (await api.create(CONFIG, config_map("a"))).ok()["metadata"]["resourceVersion"]
        page = (await api.get(f"{CONFIG}?limit=1")).ok()["metadata"]
        for number in range(60):
            await api.patch(f"{CONFIG}/a", {"data": {"n": str(number)}})
        async with api.watch(f"{CONFIG}?resourceVersion={first}") as watch:
            event = await watch.next()
            assert event is not None
            assert event["type"] == "ERROR"
            assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
            assert await watch.next() is None
        await api.server.context.store.backend.compact(api.server.context.store.backend.revision)
        old = await api.get(f"{CONFIG}?continue={page['continue']}")
        assert (old.code, old.value["reason"]) == (410, "Expired")


async def test_a_watcher_that_does_not_read_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "HISTORY_EVENTS", 50)
    async with cluster(tmp_path) as api:
        start = (await api.create(CONFIG, config_map("a"))).ok()["metadata"]["resourceVersion"]
        async with api.watch(f"{CONFIG}?resourceVersion={start}") as watch:
            for number in range(120):
                await api.patch(f"{CONFIG}/a", {"data": {"n": f"{number}" + "x" * 200_000}})
            last = None
            while (event := await watch.next()) is not None:
                last = event
            assert last is not None
            assert last["type"] == "ERROR"


@pytest.mark.parametrize("is_held_back", [True, False])
async def test_a_watcher_that_does_not_read_costs_a_portion_of_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_held_back: bool
) -> None:
    """What it is told first is made while it reads; where it is one portion, all is made at
    once.
    """
    count, lines = 100, 0
    line = watching._Lines.line

    def counted(*args: Any) -> bytes:
        nonlocal lines
        lines += 1
        return line(*args)

    if not is_held_back:
        monkeypatch.setattr(watching, "_batches", lambda entries: [entries])
    async with cluster(tmp_path) as api:
        for number in range(count):
            content = {"data": {"n": "x" * 200_000}}
            (await api.create(CONFIG, config_map(f"big{number:03}") | content)).ok()
        monkeypatch.setattr(watching._Lines, "line", counted)
        async with api.watch(f"{CONFIG}?resourceVersion=0") as watch:
            await watch.next()
            assert (lines < count) == is_held_back
            while (event := await watch.next()) is not None:
                if event["object"]["metadata"]["name"] == f"big{count - 1:03}":
                    break
            assert lines >= count


async def test_a_closing_server_ends_watches(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path) as api,
        api.watch(f"{CONFIG}?resourceVersion=0&fieldSelector=metadata.name%3Dnone") as watch,
    ):
        closing = asyncio.create_task(api.server.close())
        assert await watch.next() is None
        await closing


async def test_many_watchers_see_the_same(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        start = (await api.get(CONFIG)).ok()["metadata"]["resourceVersion"]

        async def follow() -> list[str]:
            async with api.watch(f"{CONFIG}?resourceVersion={start}") as watch:
                ready.release()
                return [event["object"]["metadata"]["name"] for event in await watch.take(20)]

        ready = asyncio.Semaphore(0)
        watchers = [asyncio.create_task(follow()) for _ in range(50)]
        for _ in watchers:
            await ready.acquire()
        for number in range(20):
            await api.create(CONFIG, config_map(f"n{number:02}"))
        wanted = [f"n{number:02}" for number in range(20)]
        assert all(seen == wanted for seen in await asyncio.gather(*watchers))


async def test_tables_and_metadata(tmp_path: Path) -> None:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    async with cluster(tmp_path) as api:
        await api.create(PODS, pod("a"))
        shown = (await api.get(PODS, headers={"Accept": table})).ok()
        assert shown["kind"] == "Table"
        assert [column["name"] for column in shown["columnDefinitions"]][:3] == [
            "Name",
            "Ready",
            "Status",
        ]
        assert shown["rows"][0]["cells"][:3] == ["a", "0/1", "Pending"]
        assert shown["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
        assert (await api.get(f"{PODS}/a?includeObject=Object", headers={"Accept": table})).ok()[
            "rows"
        ][0]["object"]["kind"] == "Pod"
        partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
        listed = (await api.get(PODS, headers={"Accept": partial})).ok()
        assert listed["kind"] == "PartialObjectMetadataList"
        assert "spec" not in listed["items"][0]
        refused = await api.get(f"{PODS}/a", headers={"Accept": partial})
        assert (refused.code, refused.value["reason"]) == (406, "NotAcceptable")
        refused = await api.get(PODS, headers={"Accept": "application/cbor"})
        assert (refused.code, refused.value["reason"]) == (406, "NotAcceptable")
