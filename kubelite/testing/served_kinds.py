"""Finds the resource that a kind's name means: built-in ones by the table of kinds, others by
asking the server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from kubelite.client.client import Client
from kubelite.client.resources import GroupVersionResource
from kubelite.lib.json import Object
from kubelite.objects.facts import kinds


class ServedKind(NamedTuple):
    """A resource, and whether its objects lie in namespaces."""

    resource: GroupVersionResource
    namespaced: bool


async def named(client: Client, word: str) -> ServedKind:
    """What a word means as it would for kubectl: ``deploy``, ``Deployment``, ``deployments``.

    Raises LookupError.
    """
    for row in kinds.named(word):
        return _built_in(row)
    lowered = word.lower()

    def is_meant(row: Object) -> bool:
        names = (row["name"], row.get("singularName"), row["kind"].lower())
        return lowered in (*names, *(row.get("shortNames") or ()))

    return await _custom(client, is_meant, word)


async def of_type(client: Client, api_version: str, kind: str) -> ServedKind:
    """The kind of a manifest. Raises LookupError."""
    for row in kinds.named(kind):
        if row.api_version == api_version:
            return _built_in(row)
    return await _custom(client, lambda row: row["kind"] == kind, kind, api_version)


def _built_in(row: kinds.Kind) -> ServedKind:
    resource = GroupVersionResource(row.group, row.version, row.plural)
    return ServedKind(resource, row.namespaced)


async def _custom(
    client: Client, is_meant: Callable[[Object], bool], word: str, api_version: str = ""
) -> ServedKind:
    async for group, version, row in _rows(client):
        if api_version in ("", f"{group}/{version}") and is_meant(row):
            return ServedKind(GroupVersionResource(group, version, row["name"]), row["namespaced"])
    where = f" in {api_version}" if api_version else ""
    raise LookupError(f'the cluster serves no "{word}"{where}')


async def _rows(client: Client) -> AsyncIterator[tuple[str, str, Object]]:
    """Every resource that is no sub-resource, with its group and version."""
    for group in (await client.get_path("/apis"))["groups"]:
        for version in group["versions"]:
            listing = await client.get_path(f"/apis/{version['groupVersion']}")
            for row in listing["resources"]:
                if "/" not in row["name"]:
                    yield group["name"], version["version"], row
