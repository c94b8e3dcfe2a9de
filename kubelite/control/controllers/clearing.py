"""Deletes everything in a namespace, whatever its kind, and counts what is left."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from kubelite.client.client import Client, Selection
from kubelite.client.errors import ApiError, NotFound
from kubelite.client.resources import GroupVersionResource
from kubelite.control.controllers.shared.meta import Obj, is_deleting

_VERBS = {"list", "delete"}


async def clear(client: Client, namespace: str, only: Iterable[GroupVersionResource] = ()) -> Obj:
    """Deletes what is there, of all resources or only of these. Returns what is left, as
    ``actions.Clear`` describes it. Raises ClientError where discovery fails.
    """
    kinds = list(only) or await namespaced(client)
    remaining: dict[str, int] = {}
    finalizers: Counter[str] = Counter()
    failures: list[str] = []
    answers = await asyncio.gather(
        *(_clear_resource(client, resource, namespace) for resource in kinds),
        return_exceptions=True,
    )
    for resource, answer in zip(kinds, answers, strict=True):
        if isinstance(answer, ApiError):
            failures.append(answer.message)
        elif isinstance(answer, BaseException):
            raise answer
        elif answer:
            remaining[f"{resource.resource}.{resource.group}"] = len(answer)
            for obj in answer:
                finalizers.update(obj["metadata"].get("finalizers") or ())
    return {"remaining": remaining, "finalizers": dict(finalizers), "failures": failures}


async def _clear_resource(
    client: Client, resource: GroupVersionResource, namespace: str
) -> list[Obj]:
    """Deletes the objects of a resource; what is left of them, with metadata only."""
    try:
        present = (await client.list(resource, namespace, metadata_only=True)).items
        if all(is_deleting(obj) for obj in present):
            return list(present)
        await client.delete_collection(resource, Selection(namespace), propagation="Background")
        return list((await client.list(resource, namespace, metadata_only=True)).items)
    except NotFound:
        return []  # a kind that is no longer served


async def namespaced(client: Client) -> list[GroupVersionResource]:
    """Every resource of namespaces whose objects can be deleted, in its preferred version."""
    groups = [("", str(version)) for version in (await client.get_path("/api"))["versions"]]
    for group in (await client.get_path("/apis")).get("groups") or ():
        groups += [(str(group["name"]), str(row["version"])) for row in group["versions"]]
    paths = [
        f"/apis/{group}/{version}" if group else f"/api/{version}" for group, version in groups
    ]
    listings = await asyncio.gather(*(client.get_path(path) for path in paths))
    resources: dict[tuple[str, str], GroupVersionResource] = {}
    for (group_name, version), listing in zip(groups, listings, strict=True):
        for row in listing.get("resources") or ():
            name = str(row["name"])
            if row.get("namespaced") and set(row.get("verbs") or ()) >= _VERBS:
                resource = GroupVersionResource(group_name, version, name)
                resources.setdefault((group_name, name), resource)
    return list(resources.values())
