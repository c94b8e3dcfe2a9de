"""Every verb of the client, over both transports, against a real API server."""

from __future__ import annotations

import asyncio

import pytest

from kubelite.client import errors, resources
from kubelite.client.client import Selection
from kubelite.client.resources import CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, PODS
from kubelite.client.transport import Identity
from tests.client.servers import TRANSPORTS, client_of, config_map, pod, served

both = pytest.mark.parametrize("transport", TRANSPORTS)


@both
async def test_create_get_update_delete(tmp_path, transport) -> None:
    async with served(tmp_path, transport) as (_, client):
        made = await client.create(CONFIG_MAPS, config_map("a", x="1"))
        with pytest.raises(errors.AlreadyExists):
            await client.create(CONFIG_MAPS, config_map("a"))
        got = await client.get(CONFIG_MAPS, "a", "default")
        assert got == made
        got["data"]["x"] = "2"
        changed = await client.update(CONFIG_MAPS, got)
        with pytest.raises(errors.Conflict) as caught:
            await client.update(CONFIG_MAPS, got)
        assert type(caught.value) is errors.Conflict
        assert changed["data"] == {"x": "2"}
        with pytest.raises(errors.Conflict):
            await client.delete(CONFIG_MAPS, "a", "default", uid="another")
        await client.delete(CONFIG_MAPS, "a", "default", uid=made["metadata"]["uid"])
        with pytest.raises(errors.NotFound) as missing:
            await client.get(CONFIG_MAPS, "a", "default")
        assert missing.value.message == 'configmaps "a" not found'


@both
async def test_patches(tmp_path, transport) -> None:
    async with served(tmp_path, transport) as (_, client):
        await client.create(CONFIG_MAPS, config_map("a", x="1", y="1"))
        merged = await client.patch(CONFIG_MAPS, "a", {"data": {"x": None}}, "default")
        assert merged["data"] == {"y": "1"}
        patch = [{"op": "replace", "path": "/data/y", "value": "2"}]
        replaced = await client.patch(CONFIG_MAPS, "a", patch, "default", kind="json")
        assert replaced["data"] == {"y": "2"}
        strategic = {"metadata": {"labels": {"k": "v"}}}
        labelled = await client.patch(CONFIG_MAPS, "a", strategic, "default", kind="strategic")
        assert labelled["metadata"]["labels"] == {"k": "v"}
        applied = await client.apply(CONFIG_MAPS, config_map("b", z="1"), field_manager="me")
        assert applied["metadata"]["managedFields"][0]["manager"] == "me"
        with pytest.raises(errors.Conflict):
            await client.apply(CONFIG_MAPS, config_map("b", z="2"), field_manager="you")
        forced = await client.apply(
            CONFIG_MAPS, config_map("b", z="2"), field_manager="you", force=True
        )
        assert forced["data"] == {"z": "2"}


@both
async def test_lists_in_pages_and_with_selectors(tmp_path, transport) -> None:
    async with served(tmp_path, transport) as (_, client):
        for number in range(7):
            await client.create(CONFIG_MAPS, config_map(f"c{number}"))
        pages = [page async for page in client.pages(CONFIG_MAPS, Selection("default"), limit=3)]
        assert [len(page.items) for page in pages][:2] == [3, 3]
        names = [item["metadata"]["name"] for page in pages for item in page.items]
        assert [name for name in names if name[0] == "c"] == [f"c{n}" for n in range(7)]
        assert {item["kind"] for page in pages for item in page.items} == {"ConfigMap"}
        one = await client.list(CONFIG_MAPS, "default", field_selector="metadata.name=c3")
        assert [item["metadata"]["name"] for item in one.items] == ["c3"]
        partial = await client.list(CONFIG_MAPS, "default", metadata_only=True)
        assert "data" not in partial.items[0]


@both
async def test_watch_from_a_revision_and_with_initial_events(tmp_path, transport) -> None:
    async with served(tmp_path, transport) as (_, client):
        first = await client.create(CONFIG_MAPS, config_map("a"))
        revision = first["metadata"]["resourceVersion"]
        here = Selection("default", field_selector="metadata.name=a")
        async with client.watch(CONFIG_MAPS, here, resource_version=revision) as batches:
            await client.patch(CONFIG_MAPS, "a", {"data": {"x": "1"}}, "default")
            await client.delete(CONFIG_MAPS, "a", "default")
            events = []
            async for batch in batches:
                events += batch
                if len(events) == 2:
                    break
        assert [event.type for event in events] == ["MODIFIED", "DELETED"]
        await client.create(CONFIG_MAPS, config_map("a"))
        async with client.watch(CONFIG_MAPS, here, initial_events=True) as batches:
            events = []
            async for batch in batches:
                events += batch
                if events[-1].type == "BOOKMARK":
                    break
        assert [event.type for event in events] == ["ADDED", "BOOKMARK"]
        ended = events[-1].object["metadata"]["annotations"]
        assert ended == {"k8s.io/initial-events-end": "true"}


@both
async def test_watch_ends_after_its_time(tmp_path, transport) -> None:
    async with (
        served(tmp_path, transport) as (_, client),
        client.watch(
            CONFIG_MAPS, resource_version="1", timeout_seconds=1, bookmarks=False
        ) as batches,
    ):
        async with asyncio.timeout(5):
            async for _ in batches:
                pass


@both
async def test_subresources(tmp_path, transport) -> None:
    async with served(tmp_path, transport) as (_, client):
        made = await client.create(PODS, pod("web"))
        await client.bind("default", "web", "n1", uid=made["metadata"]["uid"])
        bound = await client.get(PODS, "web", "default")
        assert bound["spec"]["nodeName"] == "n1"
        with pytest.raises(errors.Conflict):
            await client.bind("default", "web", "n2")
        running = await client.patch_status(
            PODS, "web", {"status": {"phase": "Running"}}, "default", kind="strategic"
        )
        assert running["status"]["phase"] == "Running"
        await client.evict("default", "web", grace_seconds=0)
        spec = {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        }
        metadata = {"name": "d", "namespace": "default"}
        await client.create(
            DEPLOYMENTS,
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        )
        assert (await client.get_scale(DEPLOYMENTS, "d", "default"))["spec"]["replicas"] == 1
        assert (await client.scale(DEPLOYMENTS, "d", 3, "default"))["spec"]["replicas"] == 3
        account = {"metadata": {"name": "robot", "namespace": "default"}}
        await client.create(resources.SERVICE_ACCOUNTS, account)
        token = await client.create_token("default", "robot", seconds=600)
        assert token["status"]["token"].count(".") == 2


@both
async def test_rules_apply_to_the_named_user(tmp_path, transport) -> None:
    async with served(tmp_path, transport) as (server, _):
        client = client_of(server, transport, Identity("somebody"))
        with pytest.raises(errors.Forbidden) as caught:
            await client.list(PODS)
        assert 'User "somebody" cannot list resource "pods"' in caught.value.message
        await client.close()


@both
async def test_refusals_carry_causes(tmp_path, transport) -> None:
    async with served(tmp_path, transport) as (_, client):
        with pytest.raises(errors.Invalid) as caught:
            await client.create(PODS, pod("web", containers=[]))
        assert [cause["field"] for cause in caught.value.causes] == ["spec.containers"]
        dry = await client.create(CONFIG_MAPS, config_map("dry"), dry_run=True)
        assert dry["metadata"]["uid"]
        with pytest.raises(errors.NotFound):
            await client.get(CONFIG_MAPS, "dry", "default")


@both
async def test_discovery(tmp_path, transport) -> None:
    async with served(tmp_path, transport) as (_, client):
        found = await client.served()
        assert {PODS, DEPLOYMENTS, NAMESPACES} <= found
        assert all("/" not in each.resource for each in found)
