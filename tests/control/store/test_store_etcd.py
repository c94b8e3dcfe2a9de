"""etcd alone: what it forgets by itself, and where a cluster's objects lie in it."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import aiohttp

from kubelite.control.api.wire.directory_cache import Follower
from kubelite.control.store import etcd
from kubelite.control.store.etcd import Etcd
from kubelite.control.store.store import Store
from kubelite.control.store.types import Change
from tests.control.debian import etcd_server
from tests.control.world import Cluster, cluster, config_map, pod

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from kubelite.control.store.types import Entry


async def ask(url: str, path: str, message: dict[str, Any]) -> dict[str, Any]:
    """What etcd itself answers."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v3/{path}", json=message) as reply,
    ):
        found: dict[str, Any] = await reply.json()
        return found


async def keys(url: str) -> dict[str, dict[str, Any]]:
    everything = {
        "key": base64.b64encode(b"/").decode(),
        "range_end": base64.b64encode(b"0").decode(),
    }
    pairs = (await ask(url, "kv/range", everything))["kvs"]
    return {base64.b64decode(pair["key"]).decode(): pair for pair in pairs}


async def test_what_has_a_time_is_forgotten_and_watchers_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd, "LEASE_SECONDS", 1.0)
    with etcd_server(tmp_path) as server:
        backend = await Etcd.connect(server.url)
        documents = {
            name: b'{"metadata":{"name":"%b","uid":"u"}}' % name.encode()
            for name in ("brief", "lasting")
        }
        start = await backend.commit(
            [Change("/registry/things/brief", documents["brief"], 0, ttl=1)]
        )
        await backend.commit([Change("/registry/things/lasting", documents["lasting"], 0)])
        gone: list[str] = []
        async with asyncio.timeout(20):
            async for batch in backend.watch(start):
                gone += [event.key for event in batch.events if event.entry is None]
                if gone:
                    break
        assert gone == ["/registry/things/brief"]
        assert await backend.get("/registry/things/brief") is None
        assert await backend.get("/registry/things/lasting") is not None
        await backend.close()


async def made(api: Cluster, path: str, body: dict[str, Any]) -> None:
    (await api.create(path, body)).ok()


async def test_objects_lie_where_kubernetes_lays_them(tmp_path: Path) -> None:
    with etcd_server(tmp_path) as server:
        async with cluster(tmp_path, await Etcd.connect(server.url)) as api:
            template = {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            }
            deployment = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
            names = {"kind": "Widget", "plural": "widgets"}
            version = {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
            crd = {
                "group": "example.com",
                "scope": "Namespaced",
                "names": names,
                "versions": [version],
            }
            apps = "/apis/apps/v1/namespaces/default/deployments"
            await made(api, "/api/v1/namespaces/default/pods", pod("p"))
            await made(api, "/api/v1/namespaces/default/configmaps", config_map("c"))
            await made(api, "/api/v1/nodes", {"metadata": {"name": "n"}})
            await made(
                api,
                "/api/v1/namespaces/default/services",
                {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 1}]}},
            )
            await made(api, apps, {"metadata": {"name": "d"}, "spec": deployment})
            await made(
                api,
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                {"metadata": {"name": "widgets.example.com"}, "spec": crd},
            )
            await made(
                api,
                "/apis/example.com/v1/namespaces/default/widgets",
                {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "w"}},
            )
            await made(
                api,
                "/apis/apiregistration.k8s.io/v1/apiservices",
                {
                    "metadata": {"name": "v1.a.b"},
                    "spec": {
                        "group": "a.b",
                        "version": "v1",
                        "groupPriorityMinimum": 1,
                        "versionPriority": 1,
                    },
                },
            )
            event = {
                "metadata": {"name": "e"},
                "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
            }
            await made(api, "/api/v1/namespaces/default/events", event)
            await made(
                api,
                "/apis/coordination.k8s.io/v1/namespaces/default/leases",
                {"metadata": {"name": "l"}},
            )
            found = await keys(server.url)
            assert {
                "/registry/pods/default/p",
                "/registry/configmaps/default/c",
                "/registry/minions/n",
                "/registry/services/specs/default/s",
                "/registry/services/specs/default/kubernetes",
                "/registry/deployments/default/d",
                "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.com",
                "/registry/example.com/widgets/default/w",
                "/registry/apiregistration.k8s.io/apiservices/v1.a.b",
                "/registry/events/default/e",
                "/registry/leases/default/l",
                "/registry/namespaces/default",
                "/registry/clusterroles/cluster-admin",
            } <= set(found)
            lease = await ask(
                server.url, "lease/timetolive", {"ID": found["/registry/events/default/e"]["lease"]}
            )
            assert 3600 <= int(lease["TTL"]) <= 3660
            assert [key for key, pair in found.items() if "lease" in pair] == [
                "/registry/events/default/e"
            ]


async def test_what_a_server_has_written_it_knows_at_once(tmp_path: Path) -> None:
    """Roles and definitions are followed by a watch, which tells of them a moment after they are
    written.
    """
    known: dict[tuple[str, str], int] = {}

    def note(_: str, key: tuple[str, str], entry: Entry | None) -> None:
        if entry is None:
            known.pop(key, None)
        else:
            known[key] = entry.revision

    with etcd_server(tmp_path) as server:
        store = Store(await Etcd.connect(server.url))
        store.start()
        followers = [
            Follower(store, prefix, note, lambda _: known.clear())
            for prefix in ("roles", "a.b/things")
        ]
        revision = 0
        for number in range(40):
            for prefix, follower in zip(("roles", "a.b/things"), followers, strict=True):
                name = f"{prefix[0]}{number}"
                revision = await store.put(
                    prefix, "x", name, b'{"metadata":{"uid":"u"}}', expected=0
                )
                if not follower.catch_up():
                    await follower.start()
                assert known["x", name] == revision
        await store.delete("a.b/things", "x", "a39", expected=revision)
        if not followers[1].catch_up():
            await followers[1].start()
        assert ("x", "a39") not in known
        await store.close()
