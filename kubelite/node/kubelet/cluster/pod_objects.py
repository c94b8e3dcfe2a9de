"""ConfigMaps, Secrets and tokens for the pods of this node, kept current by watches.

A watch follows exactly one object that a pod of this node names, which is what the API server
allows a node to see. Workers' threads call the methods of :class:`PodObjects`; they block until the
object is known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from kubelite.client.client import Client, Selection
from kubelite.client.errors import ClientError, NotFound
from kubelite.client.informers import Informer, Informers
from kubelite.client.resources import (
    CONFIG_MAPS,
    CSI_DRIVERS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    SECRETS,
    VOLUME_ATTACHMENTS,
    GroupVersionResource,
)
from kubelite.node.runtime.records import PodRecord
from kubelite.node.volume.errors import SourceNotReady

ANSWER_SECONDS = 10.0
RENEW_SHARE = 0.8
"""A token is replaced when this share of its life is over, as in the kubelet."""

T = TypeVar("T")


class ObjectWatches:
    """The objects that pods of this node use. Lives in the event loop ``loop``; ``changed`` is
    called with the uid of a pod when an object of it has changed.
    """

    def __init__(
        self,
        client: Client,
        loop: asyncio.AbstractEventLoop,
        changed: Callable[[str], None],
    ) -> None:
        self.client = client
        self._informers = Informers(client)
        self._loop = loop
        self._changed = changed
        self._users: dict[tuple[GroupVersionResource, str, str], set[str]] = {}

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs ``work`` in the event loop, from another thread. Raises SourceNotReady."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(ANSWER_SECONDS)
        except TimeoutError:
            future.cancel()
            raise SourceNotReady("the API server does not answer in time") from None
        except ClientError as error:
            raise SourceNotReady(str(error)) from error

    async def find(
        self, resource: GroupVersionResource, namespace: str, name: str, uid: str
    ) -> Mapping[str, Any] | None:
        """The object as it is now; the pod ``uid`` is told when it changes."""
        key = (resource, namespace, name)
        informer = self._informers.of(resource, _only(namespace, name))
        if key not in self._users:
            self._users[key] = set()
            informer.add_handler(lambda old, new: self._tell(key, old, new))
        self._users[key].add(uid)
        await _first_view(informer)
        return informer.get(namespace, name)

    async def forget(self, uid: str) -> None:
        """The pod has gone from this node; what no other pod uses is not watched any more."""
        for users in self._users.values():
            users.discard(uid)
        unused = [key for key, users in self._users.items() if not users]
        for key in unused:  # before anything is awaited: other pods go at the same time
            del self._users[key]
        for key in unused:
            if key not in self._users:
                resource, namespace, name = key
                await self._informers.drop(resource, _only(namespace, name))

    async def close(self) -> None:
        """Ends all watches."""
        await self._informers.close()

    def _tell(
        self,
        key: tuple[GroupVersionResource, str, str],
        old: Mapping[str, Any] | None,
        new: Mapping[str, Any] | None,
    ) -> None:
        if old is new:
            return
        for uid in tuple(self._users[key]):
            self._changed(uid)


def _only(namespace: str, name: str) -> Selection:
    return Selection(namespace, field_selector=f"metadata.name={name}")


async def _first_view(informer: Informer) -> None:
    async with asyncio.timeout(ANSWER_SECONDS):
        await informer.wait_synced()


class PodObjects:
    """The objects of one pod: :class:`kubelite.node.volume.claims.ClaimObjects`."""

    def __init__(self, watches: ObjectWatches, record: PodRecord, account: str, node: str) -> None:
        self._watches = watches
        self._record = record
        self._account = account
        self._node = node
        self._tokens: dict[tuple[str, int], tuple[float, str]] = {}

    def config_map(self, name: str) -> Mapping[str, Any] | None:
        """The ConfigMap, or None."""
        return self._find(CONFIG_MAPS, name)

    def secret(self, name: str) -> Mapping[str, Any] | None:
        """The Secret, or None."""
        return self._find(SECRETS, name)

    def token(self, audience: str, seconds: int) -> str:
        """A token bound to this pod; the one that was got before, while it is fresh."""
        kept = self._tokens.get((audience, seconds))
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        text = self._watches.call(self._request_token(audience, seconds))
        self._tokens[audience, seconds] = (time.monotonic() + seconds * RENEW_SHARE, text)
        return text

    def next_renewal(self) -> float | None:
        """When a token has to be replaced, on the monotonic clock; None without tokens."""
        return min((until for until, _ in self._tokens.values()), default=None)

    def trust_bundle(self, name: str, signer: str, selector: object | None) -> str | None:
        """Not served yet."""
        return None

    def claim(self, name: str) -> Mapping[str, Any] | None:
        """The PersistentVolumeClaim, or None."""
        return self._read(PERSISTENT_VOLUME_CLAIMS, name, self._record.namespace)

    def persistent_volume(self, name: str) -> Mapping[str, Any] | None:
        """The PersistentVolume, or None."""
        return self._read(PERSISTENT_VOLUMES, name)

    def own_node(self) -> Mapping[str, Any]:
        """The Node that this is."""
        return self._watches.call(self._watches.client.get(NODES, self._node))

    def csi_driver(self, name: str) -> Mapping[str, Any] | None:
        """The CSIDriver, or None."""
        return self._read(CSI_DRIVERS, name)

    def volume_attachment(self, name: str) -> Mapping[str, Any] | None:
        """The VolumeAttachment, or None."""
        return self._read(VOLUME_ATTACHMENTS, name)

    def secret_of(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """A Secret of any namespace, or None."""
        return self._read(SECRETS, name, namespace)

    def _read(
        self, resource: GroupVersionResource, name: str, namespace: str = ""
    ) -> Mapping[str, Any] | None:
        """What a node may get but not watch."""

        async def read() -> Mapping[str, Any] | None:
            try:
                return await self._watches.client.get(resource, name, namespace)
            except NotFound:
                return None

        return self._watches.call(read())

    def _find(self, resource: GroupVersionResource, name: str) -> Mapping[str, Any] | None:
        record = self._record
        return self._watches.call(self._watches.find(resource, record.namespace, name, record.uid))

    async def _request_token(self, audience: str, seconds: int) -> str:
        record = self._record
        accounts = GroupVersionResource("", "v1", "serviceaccounts")
        spec: dict[str, Any] = {
            "expirationSeconds": seconds,
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": record.name,
                "uid": record.uid,
            },
        }
        if audience:
            spec["audiences"] = [audience]
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": spec,
        }
        answer = await self._watches.client.create(
            accounts, request, record.namespace, name=self._account, sub="token"
        )
        return str(answer["status"]["token"])
