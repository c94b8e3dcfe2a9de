"""Keeps the mirrors of this node's own pods in the API: made, reported, made again, removed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from kubelite.client.client import Client
from kubelite.client.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from kubelite.client.informers import Informer
from kubelite.client.resources import PODS
from kubelite.lib.digest import hexdigest
from kubelite.lib.json import Object
from kubelite.node.kubelet.cluster import pod_status
from kubelite.node.kubelet.decide.mirror import is_mirror, local_name, mirror, mirror_name
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import API, PodRecord
from kubelite.objects.facts.static_pods import MIRROR

Key = tuple[str, str]

_log = logging.getLogger("kubelite.node")


class NameTaken(Exception):
    """A pod of the API has the name that the mirror of a local pod would have."""


class MirrorPods:
    """The mirrors on the node ``node``, whose Node object has the uid that ``node_uid`` returns.
    ``pods`` are the API's pods of this node. Lives in one event loop.
    """

    def __init__(
        self, home: Home, client: Client, pods: Informer, node: str, node_uid: Callable[[], str]
    ) -> None:
        self._home, self._client, self._pods = home, client, pods
        self._node, self._node_uid = node, node_uid
        self._known: dict[Key, tuple[PodRecord, Object]] = {}

    def key(self, record: PodRecord) -> Key:
        """Namespace and name of the mirror of a local pod."""
        return record.namespace, mirror_name(record.name, self._node)

    def put(self, record: PodRecord, status: Object) -> None:
        """A local pod was looked at; ``status`` is what the API is told."""
        self._known[self.key(record)] = record, status

    def drop(self, record: PodRecord) -> None:
        """Nothing of a local pod is left."""
        self._known.pop(self.key(record), None)

    async def sync(self, key: Key) -> None:
        """Brings the API's object in line with the local pod; where the API does not want it, the
        log says why. Raises ClientError.
        """
        try:
            await self._sync(key)
        except (NameTaken, NotFound, Invalid, Forbidden) as error:
            _log.warning("the API does not show a local pod as %s: %s", "/".join(key), error)

    async def _sync(self, key: Key) -> None:
        live: Mapping[str, Any] | None = self._pods.get(*key)
        if key not in self._known:
            if live is not None and not await asyncio.to_thread(self._is_on_record, key):
                await self._delete(live)
            return
        record, status = self._known[key]
        digest = hexdigest(f"{record.uid} {record.source}".encode())[:32]
        if live is not None and _is_outdated(live, digest):
            await self._delete(live)
            live = None
        if live is None:
            live = await self._create(record, digest)
        patch = pod_status.patch(pod_status.merged(status, live), live)
        if patch is not None:
            written = await self._client.patch_status(PODS, key[1], patch, key[0], kind="strategic")
            await self._pods.at_least(written)

    def _is_on_record(self, key: Key) -> bool:
        """Whether there is a local pod that nobody has looked at since this agent was started."""
        name = local_name(key[1], self._node)
        record = Ledger(self._home).find(key[0], name) if name is not None else None
        return record is not None and record.origin != API

    async def _create(self, record: PodRecord, digest: str) -> Mapping[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        pod = msgspec.json.decode(record.pod)
        wanted = mirror(pod, self._node, self._node_uid(), digest, now)
        try:
            created = await self._client.create(PODS, wanted, record.namespace)
        except AlreadyExists as error:
            raise NameTaken(str(error)) from error
        await self._pods.at_least(created)
        return created

    async def _delete(self, live: Mapping[str, Any]) -> None:
        """Raises NameTaken for a pod that is no mirror."""
        meta = live["metadata"]
        if not is_mirror(live):
            raise NameTaken(f"{meta['namespace']}/{meta['name']} is a pod of the API")
        try:
            await self._client.delete(
                PODS, meta["name"], meta["namespace"], grace_seconds=0, uid=meta["uid"]
            )
        except (NotFound, Conflict):
            pass  # somebody else was faster


def _is_outdated(live: Mapping[str, Any], digest: str) -> bool:
    meta = live["metadata"]
    if meta.get("deletionTimestamp"):
        return True
    return bool((meta.get("annotations") or {}).get(MIRROR) != digest)
