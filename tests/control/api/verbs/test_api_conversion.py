"""Custom objects of two versions that a conversion webhook tells apart, over real HTTPS."""

from __future__ import annotations

import base64
import json
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from kubelite.control.api.auth.pki import Pki
from tests.control.world import cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
OLD = "/apis/example.com/v1/namespaces/default/places"
NEW = "/apis/example.com/v2/namespaces/default/places"


class Hook:
    """Version 1 has ``hostPort``, version 2 ``host`` and ``port``."""

    def __init__(self, directory: Path) -> None:
        self.pki = Pki(str(directory))
        self.asked: list[list[str]] = []
        self.failure = ""

    async def review(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = json.loads(await request.read())["request"]
        self.asked.append([obj["metadata"]["name"] for obj in asked["objects"]])
        result = {"status": "Failure", "message": self.failure}
        if not self.failure:
            result = {"status": "Success"}
        response = {
            "uid": asked["uid"],
            "result": result,
            "convertedObjects": [
                self.converted(obj, asked["desiredAPIVersion"]) for obj in asked["objects"]
            ],
        }
        return web.json_response({"kind": "ConversionReview", "response": response})

    def converted(self, obj: dict[str, Any], version: str) -> dict[str, Any]:
        if version.endswith("v2"):
            host, _, port = obj.pop("hostPort").partition(":")
            obj |= {"host": host, "port": port}
        else:
            obj["hostPort"] = f"{obj.pop('host')}:{obj.pop('port')}"
        return {**obj, "apiVersion": version}

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[dict[str, Any]]:
        pair = self.pki.server(["127.0.0.1"])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pair.certificate, pair.key)
        runner = web.ServerRunner(web.Server(self.review))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        with open(self.pki.authority.certificate, "rb") as file:
            bundle = base64.b64encode(file.read()).decode()
        try:
            yield {
                "url": f"https://127.0.0.1:{runner.addresses[0][1]}/convert",
                "caBundle": bundle,
            }
        finally:
            await runner.cleanup()


def definition(client: dict[str, Any]) -> dict[str, Any]:
    def version(name: str, *fields: str) -> dict[str, Any]:
        properties = {field: {"type": "string"} for field in fields}
        schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
        return {"name": name, "served": True, "storage": name == "v1", "schema": schema}

    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "places.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "places", "kind": "Place"},
            "conversion": {"strategy": "Webhook", "webhook": webhook},
            "versions": [version("v1", "hostPort"), version("v2", "host", "port")],
        },
    }


def place(version: str, name: str, **fields: str) -> dict[str, Any]:
    return {
        "kind": "Place",
        "apiVersion": f"example.com/{version}",
        "metadata": {"name": name},
        **fields,
    }


def shown(obj: dict[str, Any]) -> dict[str, Any]:
    return {key: obj[key] for key in ("hostPort", "host", "port") if key in obj}


async def test_every_version_shows_every_object_as_the_webhook_converts_it(tmp_path: Path) -> None:
    hook = Hook(tmp_path / "hook")
    async with cluster(tmp_path) as api, hook.listening() as client:
        (await api.create(CRDS, definition(client))).ok()
        made = (await api.create(OLD, place("v1", "a", hostPort="h:1"))).ok()
        assert hook.asked == []
        got = (await api.get(f"{NEW}/a")).ok()
        assert (shown(got), got["apiVersion"]) == ({"host": "h", "port": "1"}, "example.com/v2")
        assert got["metadata"]["uid"] == made["metadata"]["uid"]
        assert shown((await api.create(NEW, place("v2", "b", host="i", port="2"))).ok()) == {
            "host": "i",
            "port": "2",
        }
        listed = {o["metadata"]["name"]: shown(o) for o in (await api.get(OLD)).ok()["items"]}
        assert listed == {"a": {"hostPort": "h:1"}, "b": {"hostPort": "i:2"}}
        listed = {o["metadata"]["name"]: shown(o) for o in (await api.get(NEW)).ok()["items"]}
        assert listed == {"a": {"host": "h", "port": "1"}, "b": {"host": "i", "port": "2"}}


async def test_changes_and_watches_of_the_other_version(tmp_path: Path) -> None:
    hook = Hook(tmp_path / "hook")
    async with cluster(tmp_path) as api, hook.listening() as client:
        (await api.create(CRDS, definition(client))).ok()
        (await api.create(OLD, place("v1", "a", hostPort="h:1"))).ok()
        async with api.watch(NEW) as watch:
            added = await watch.next()
            assert (added["type"], shown(added["object"])) == ("ADDED", {"host": "h", "port": "1"})
            patched = (await api.patch(f"{NEW}/a", {"port": "9"})).ok()
            assert shown(patched) == {"host": "h", "port": "9"}
            assert shown((await api.get(f"{OLD}/a")).ok()) == {"hostPort": "h:9"}
            changed = await watch.next()
            assert (changed["type"], shown(changed["object"])) == ("MODIFIED", shown(patched))
            (await api.delete(f"{NEW}/a")).ok()
            gone = await watch.next()
            assert (gone["type"], shown(gone["object"])) == ("DELETED", shown(patched))
        assert (await api.get(f"{OLD}/a")).code == 404


async def test_objects_stored_in_several_versions_are_listed_in_one(tmp_path: Path) -> None:
    hook = Hook(tmp_path / "hook")
    async with cluster(tmp_path) as api, hook.listening() as client:
        crd = (await api.create(CRDS, definition(client))).ok()
        (await api.create(OLD, place("v1", "a", hostPort="h:1"))).ok()
        for version in crd["spec"]["versions"]:
            version["storage"] = version["name"] == "v2"
        (await api.patch(f"{CRDS}/places.example.com", {"spec": crd["spec"]})).ok()
        (await api.create(NEW, place("v2", "b", host="i", port="2"))).ok()
        old = [shown(obj) for obj in (await api.get(OLD)).ok()["items"]]
        new = [shown(obj) for obj in (await api.get(NEW)).ok()["items"]]
        assert old == [{"hostPort": "h:1"}, {"hostPort": "i:2"}]
        assert new == [{"host": "h", "port": "1"}, {"host": "i", "port": "2"}]


async def test_a_conversion_that_fails_is_said(tmp_path: Path) -> None:
    hook = Hook(tmp_path / "hook")
    async with cluster(tmp_path) as api, hook.listening() as client:
        (await api.create(CRDS, definition(client))).ok()
        (await api.create(OLD, place("v1", "a", hostPort="h:1"))).ok()
        hook.failure = "no way"
        refused = await api.get(f"{NEW}/a")
        assert refused.code == 500
        assert refused.value["message"].endswith(
            "conversion webhook for example.com/v1, Kind=Place failed: no way"
        )
        hook.failure = ""
        async with api.watch(NEW) as watch:
            assert (await watch.next())["type"] == "ADDED"
            hook.failure = "not any more"
            (await api.patch(f"{OLD}/a", {"hostPort": "h:2"})).ok()
            event = await watch.next()
            assert (event["type"], event["object"]["code"]) == ("ERROR", 500)
        assert shown((await api.get(f"{OLD}/a")).ok()) == {"hostPort": "h:2"}
