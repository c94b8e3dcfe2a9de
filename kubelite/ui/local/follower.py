"""Keeps the store of an API server like the pods of a state root, and ends pods for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from kubelite.client.client import Client
from kubelite.client.errors import AlreadyExists
from kubelite.client.informers import Informers
from kubelite.client.resources import NAMESPACES, PODS
from kubelite.control.api.server.lifecycle import ApiServer
from kubelite.control.api.wire.documents import load, stored
from kubelite.control.store.types import Conflict
from kubelite.core.errors import CoreError
from kubelite.lib.json import Object
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.agent.removal_request import request_removal
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.ui.local import documents
from kubelite.ui.local.pod_watch import PodSnapshot, PodWatch

_log = logging.getLogger("kubelite.ui")


class Follower:
    """Shows the pods of ``home`` on the node ``node``. ``client`` is an administrator's. Lives in
    one event loop.
    """

    def __init__(self, home: Home, server: ApiServer, client: Client, node: str) -> None:
        self._home = home
        self._watch = PodWatch(home)
        self._store = server.context.store
        registry = server.context.registry
        self._pod_resource = registry.builtin("", "pods")
        self._event_resource = registry.builtin("", "events")
        self._client, self._node = client, node
        self._informers = Informers(client)
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._names: dict[str, tuple[str, str]] = {}
        self._events: dict[str, dict[str, bytes]] = {}
        self._deleted: set[str] = set()
        self._graces: dict[str, int] = {}
        self._requests: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Returns when the store holds all pods. Raises ClientError, StoreError."""
        asyncio.get_running_loop().add_reader(self._watch.fileno(), self._pods_changed)
        for uid in await asyncio.to_thread(self._watch.uids):
            await self._refresh(uid)
        pods = self._informers.of(PODS)
        await self._informers.wait_synced()
        pods.add_handler(self._changed_by_api)

    async def run(self) -> None:
        """Follows until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                await self._refresh(self._dirty.pop())

    async def close(self) -> None:
        """Stops following."""
        asyncio.get_running_loop().remove_reader(self._watch.fileno())
        await self._informers.close()
        self._watch.close()

    def _pods_changed(self) -> None:
        self._dirty |= self._watch.changed()
        self._wake.set()

    # -- from the state root to the store ----------------------------------------------------------

    async def _refresh(self, uid: str) -> None:
        try:
            snapshot = await asyncio.to_thread(self._watch.read, uid)
        except (RuntimeFailure, CoreError, OSError) as error:
            _log.warning("pod %s cannot be read: %s", uid, error)
        else:
            await self._show(snapshot)

    async def _show(self, snapshot: PodSnapshot) -> None:
        if snapshot.pod is None:
            await self._drop(snapshot.uid)
            return
        namespace, name = snapshot.pod["metadata"]["namespace"], snapshot.pod["metadata"]["name"]
        if snapshot.uid not in self._names:
            await self._ensure_namespace(namespace)
            self._names[snapshot.uid] = namespace, name
        await self._put_pod(snapshot.pod)
        for event in documents.events(snapshot.pod, snapshot.events, self._node):
            await self._put_event(event)

    async def _put_pod(self, pod: Object) -> None:
        metadata, prefix = pod["metadata"], self._pod_resource.prefix
        namespace, name, uid = metadata["namespace"], metadata["name"], metadata["uid"]
        while True:
            entry = await self._store.get(prefix, namespace, name)
            if entry is None and uid in self._deleted:
                return  # removed from the API first, then here
            live = load(entry) if entry is not None else None
            if live is not None and live["metadata"]["uid"] != uid:
                await self._delete(namespace, name, live["metadata"]["uid"])
                continue
            content = stored(documents.shown_pod(pod, live))
            if live is not None and content == stored(live):
                return
            expected = entry.revision if entry is not None else 0
            with contextlib.suppress(Conflict):  # the API has changed it meanwhile
                await self._store.put(prefix, namespace, name, content, expected=expected)
                return

    async def _delete(self, namespace: str, name: str, uid: str) -> None:
        prefix = self._pod_resource.prefix
        while (entry := await self._store.get(prefix, namespace, name)) is not None:
            if load(entry)["metadata"]["uid"] != uid:
                return
            with contextlib.suppress(Conflict):
                await self._store.delete(prefix, namespace, name, expected=entry.revision)

    async def _drop(self, uid: str) -> None:
        """Nothing of a pod is left."""
        if uid in self._names:
            await self._delete(*self._names.pop(uid), uid)
        self._events.pop(uid, None)
        self._graces.pop(uid, None)
        self._deleted.discard(uid)

    async def _put_event(self, event: Object) -> None:
        """Writes an event that is new or has occurred again; the store forgets old ones."""
        namespace, name = event["metadata"]["namespace"], event["metadata"]["name"]
        written = self._events.setdefault(event["involvedObject"]["uid"], {})
        content, prefix = stored(event), self._event_resource.prefix
        if written.get(name) == content:
            return
        entry = await self._store.get(prefix, namespace, name)
        expected = entry.revision if entry is not None else 0
        try:
            await self._store.put(prefix, namespace, name, content, expected=expected)
        except Conflict:
            return  # it was forgotten just now
        written[name] = content

    async def _ensure_namespace(self, name: str) -> None:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            await self._client.create(NAMESPACES, namespace)
        except AlreadyExists:
            return

    # -- from the API to the state root ------------------------------------------------------------

    def _changed_by_api(self, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        pod = new or old
        assert pod is not None
        metadata = pod["metadata"]
        uid = metadata["uid"]
        if uid not in self._names:
            return
        if new is None:
            self._deleted.add(uid)
            grace = 0
        elif metadata.get("deletionTimestamp"):
            grace = int(metadata.get("deletionGracePeriodSeconds") or 0)
        else:
            return
        if self._graces.get(uid, grace + 1) > grace:
            self._graces[uid] = grace
            task = asyncio.create_task(asyncio.to_thread(self._remove, uid, grace))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

    def _remove(self, uid: str, grace: int) -> None:
        """The agent takes a pod down, which then is noticed here."""
        try:
            if request_removal(self._home, uid, grace):
                agent_control.ensure_agent(self._home, uid)
        except OSError as error:
            _log.warning("pod %s cannot be removed: %s", uid, error)
