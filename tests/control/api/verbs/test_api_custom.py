"""Custom resources, served from the moment their definition is stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.control.world import cluster

if TYPE_CHECKING:
    from pathlib import Path

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = "/apis/example.com/v1/namespaces/default/things"


def definition(**names: Any) -> dict[str, Any]:
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1},
            "colour": {"type": "string", "default": "red"},
            "replicas": {"type": "integer"},
        },
    }
    status = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    column = {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": schema,
        "subresources": {"status": {}, "scale": scale},
        "additionalPrinterColumns": [column],
        "selectableFields": [{"jsonPath": ".spec.colour"}],
    }
    named = {
        "plural": "things",
        "singular": "thing",
        "kind": "Thing",
        "shortNames": ["th"],
        **names,
    }
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": f"{named['plural']}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": named,
            "versions": [version, {**version, "name": "v2", "storage": False}],
        },
    }


def thing(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Thing",
        "apiVersion": "example.com/v1",
        "metadata": {"name": name},
        "spec": spec,
    }


async def test_a_definition_is_served_at_once(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        assert (await api.get(THINGS)).code == 404
        made = (await api.create(CRDS, definition())).ok()
        conditions = {each["type"]: each["status"] for each in made["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}
        assert made["status"]["storedVersions"] == ["v1"]
        assert (await api.get(THINGS)).ok()["kind"] == "ThingList"
        found = (await api.get("/apis/example.com/v1")).ok()["resources"]
        assert [each["name"] for each in found] == [
            "things",
            "things/scale",
            "things/status",
        ] or len(found) == 3
        assert (
            "/openapi"
            in (await api.get("/openapi/v3")).ok()["paths"]["apis/example.com/v1"][
                "serverRelativeURL"
            ]
        )


async def test_custom_objects_are_checked_filled_and_pruned(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CRDS, definition())
        made = (
            await api.create(THINGS + "?fieldValidation=Ignore", thing("a", size=3, unknown=1))
        ).ok()
        assert made["spec"] == {"colour": "red", "size": 3}
        assert made["metadata"]["generation"] == 1
        assert (
            await api.create(THINGS + "?fieldValidation=Strict", thing("b", size=3, unknown=1))
        ).code == 400
        assert (await api.create(THINGS, thing("b"))).code == 422
        assert (await api.create(THINGS, thing("b", size=0))).code == 422
        assert (await api.create(THINGS, thing("b", size="big"))).code == 422
        other = await api.create(THINGS, {**thing("b", size="big"), "kind": "Other"})
        causes = {(each["field"], each["reason"]) for each in other.value["details"]["causes"]}
        assert (other.code, other.value["details"]["kind"]) == (422, "Other")
        assert causes >= {("kind", "FieldValueInvalid"), ("spec.size", "FieldValueTypeInvalid")}
        assert (await api.patch(f"{THINGS}/a", {"spec": {"size": 4}})).ok()["metadata"][
            "generation"
        ] == 2
        assert (await api.patch(f"{THINGS}/a", {"spec": {"size": 4}}, "strategic")).code == 415
        without = await api.update(f"{THINGS}/a", thing("a", size=5))
        assert (without.code, "must be specified for an update" in without.value["message"]) == (
            422,
            True,
        )
        status = (
            await api.patch(f"{THINGS}/a/status", {"status": {"replicas": 2}, "spec": {"size": 9}})
        ).ok()
        assert (status["status"], status["spec"]["size"], status["metadata"]["generation"]) == (
            {"replicas": 2},
            4,
            2,
        )
        assert (await api.patch(f"{THINGS}/a/scale", {"spec": {"replicas": 6}})).ok()["spec"][
            "replicas"
        ] == 6
        assert (await api.get(f"{THINGS}/a")).ok()["spec"]["replicas"] == 6
        applied = {"kind": "Thing", "apiVersion": "example.com/v1", "spec": {"colour": "blue"}}
        assert (await api.patch(f"{THINGS}/a?fieldManager=m", applied, "apply")).code == 409
        done = (await api.patch(f"{THINGS}/a?fieldManager=m&force=true", applied, "apply")).ok()
        assert done["spec"]["colour"] == "blue"
        listed = (await api.get(f"{THINGS}?fieldSelector=spec.colour%3Dblue")).ok()["items"]
        assert [item["metadata"]["name"] for item in listed] == ["a"]
        table = (
            await api.get(
                THINGS, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
            )
        ).ok()
        assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size"]


async def test_every_version_shows_the_same_objects(tmp_path: Path) -> None:
    other = THINGS.replace("/v1/", "/v2/")
    async with cluster(tmp_path) as api:
        await api.create(CRDS, definition())
        await api.create(THINGS, thing("a", size=1))
        seen = (await api.get(f"{other}/a")).ok()
        assert (seen["apiVersion"], seen["spec"]["size"]) == ("example.com/v2", 1)
        async with api.watch(other) as watch:
            assert (await watch.take(1))[0]["object"]["apiVersion"] == "example.com/v2"
            await api.create(other, {**thing("b", size=2), "apiVersion": "example.com/v2"})
            assert (await watch.take(1))[0]["object"]["metadata"]["name"] == "b"
        assert (await api.get(f"{THINGS}/b")).ok()["apiVersion"] == "example.com/v1"


async def test_taken_names_are_not_accepted(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CRDS, definition())
        second = (
            await api.create(
                CRDS, definition(plural="others", singular="thing", kind="Other", shortNames=[])
            )
        ).ok()
        conditions = {each["type"]: each["status"] for each in second["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "False", "Established": "False"}
        assert (await api.get("/apis/example.com/v1/namespaces/default/others")).code == 404


async def test_a_definition_takes_its_objects_along(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CRDS, definition())
        for number in range(5):
            await api.create(THINGS, thing(f"t{number}", size=1))
        assert (await api.delete(f"{CRDS}/things.example.com")).code == 200
        async with asyncio.timeout(10):
            while (await api.get(f"{CRDS}/things.example.com")).code != 404:
                await asyncio.sleep(0.01)
        assert (await api.get(THINGS)).code == 404
        await api.create(CRDS, definition())
        assert (await api.get(THINGS)).ok()["items"] == []


async def test_what_is_no_structural_schema_is_refused(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        body = definition()
        body["spec"]["versions"][0]["schema"] = {
            "openAPIV3Schema": {"properties": {"spec": {"type": "wild"}}}
        }
        refused = await api.create(CRDS, body)
        assert (refused.code, refused.value["reason"]) == (422, "Invalid")
        assert (
            await api.create(CRDS, {**definition(), "metadata": {"name": "wrong.example.com"}})
        ).code == 422


async def test_old_objects_are_served_as_the_definition_has_them_now(tmp_path: Path) -> None:
    """Each version prunes and fills what it shows; what is stored changes with the next write
    only.
    """
    async with cluster(tmp_path) as api:
        given = definition()
        given["spec"]["versions"] = given["spec"]["versions"][:1]
        made = (await api.create(CRDS, given)).ok()
        old = (await api.create(THINGS, thing("a", size=3, replicas=2))).ok()
        properties = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"][
            "properties"
        ]
        del properties["replicas"]
        properties["shape"] = {"type": "string", "default": "round"}
        (await api.update(f"{CRDS}/things.example.com", made)).ok()
        wanted = {"size": 3, "colour": "red", "shape": "round"}
        for path in (f"{THINGS}/a", THINGS, f"{THINGS}?fieldSelector=spec.colour%3Dred"):
            found = (await api.get(path)).ok()
            item = found["items"][0] if "items" in found else found
            assert (item["spec"], item["metadata"]["resourceVersion"]) == (
                wanted,
                old["metadata"]["resourceVersion"],
            )
        async with api.watch(THINGS) as watch:
            assert (await watch.take(1))[0]["object"]["spec"] == wanted
        entry = await api.server.context.store.get("example.com/things", "default", "a")
        assert entry is not None and b'"replicas":2' in entry.value
        (await api.patch(f"{THINGS}/a", {"spec": {"size": 4}})).ok()
        entry = await api.server.context.store.get("example.com/things", "default", "a")
        assert entry is not None and b'"replicas":2' not in entry.value and b"round" in entry.value
