"""Registers the CSI drivers whose sockets appear in the plug-in directory of this node, and forgets
those whose sockets go.

The protocol is the kubelet's plug-in watcher's. What the cluster is told of a driver is its entry
in the CSINode, its id of the node in an annotation, and its topology in labels of the Node. A
record on disk tells commands and workers where the driver's own socket is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
from collections.abc import Callable
from typing import Any

from kubelite.client.client import Client
from kubelite.client.errors import AlreadyExists, ClientError
from kubelite.client.resources import CSI_NODES, NODES
from kubelite.core import inotify
from kubelite.lib.files import RecordError, names, read_record, unlink_missing, write_record
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.runtime.clock import SECOND
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import CREATING, REMOVING
from kubelite.node.volume.csi import drivers, paths, publishing
from kubelite.node.volume.csi.drivers import RegisteredDriver
from kubelite.node.volume.errors import VolumeError

NODE_ID = "csi.volume.kubernetes.io/nodeid"
_EVENTS = inotify.CREATED | inotify.MOVED_IN | inotify.DELETED
_log = logging.getLogger("kubelite.node")

Socket = tuple[str, int, int]
"""Path, inode and time of a registration socket: a driver that starts again makes a new one."""


class Plugins:
    """The plug-ins of the node ``name``; ``node_uid`` is asked once it is registered, ``changed``
    is called when a driver has come or gone, or other volumes are in use.
    """

    def __init__(
        self,
        home: Home,
        client: Client,
        name: str,
        node_uid: Callable[[], str],
        changed: Callable[[], None],
    ) -> None:
        self._tell = changed
        self._home, self._client, self._name, self._node_uid = home, client, name, node_uid
        self._directory = f"{home.root}/{paths.REGISTRY}"
        self._registered: set[Socket] = set()
        self._at_work: set[Socket] = set()
        self._writing = asyncio.Lock()
        self._failures: dict[Socket, int] = {}
        self._in_use: list[str] | None = None
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Works until cancelled."""
        root = self._home.root
        for path in (self._directory, paths.drivers(root), paths.records(root)):
            os.makedirs(path, 0o750, exist_ok=True)
        watch = inotify.Watch(self._directory, _EVENTS)
        watch.add(paths.records(root))
        loop = asyncio.get_running_loop()
        loop.add_reader(watch.fileno(), self._read, watch)
        self._changed.set()
        await self._try(self._csi_node(), ("CSINode", 0, 0))
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    await self._look(group)
        finally:
            loop.remove_reader(watch.fileno())
            watch.close()

    def _read(self, watch: inotify.Watch) -> None:
        watch.read()
        self._changed.set()

    async def _look(self, group: asyncio.TaskGroup) -> None:
        """Brings drivers and sockets together; what fails is tried again later. A socket that does
        not answer keeps nobody else waiting.
        """
        await self._try(self._report_in_use(), ("volumesInUse", 0, 0))
        sockets = _sockets(self._directory)
        self._registered &= sockets
        for socket in sorted(sockets - self._registered - self._at_work):
            self._at_work.add(socket)
            group.create_task(self._register_once(socket))
        present = {path for path, _, _ in sockets}
        for name in names(paths.drivers(self._home.root)):
            driver = self._record(name)
            if driver is None or driver.registration not in present:
                await self._try(self._forget(name), (name, 0, 0))
        self._failures = {key: n for key, n in self._failures.items() if key in sockets}

    async def _register_once(self, socket: Socket) -> None:
        try:
            await self._try(self._register(socket), socket)
        finally:
            self._at_work.discard(socket)

    async def _try(self, work: Any, key: Socket) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # what a plug-in says must not stop the node
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            unexpected = not isinstance(error, (VolumeError, ClientError, OSError, TimeoutError))
            _log.warning("plug-in %s: %s", key[0], error, exc_info=unexpected)
            wait = restart_policy.mount_retry(failures) / SECOND
            asyncio.get_running_loop().call_later(wait, self._changed.set)

    async def _report_in_use(self) -> None:
        """Nobody detaches what the Node says is in use."""
        in_use = await asyncio.to_thread(publishing.in_use, self._home.root)
        if in_use != self._in_use:
            status = {"status": {"volumesInUse": in_use or None}}
            await self._client.patch_status(NODES, self._name, status)
            self._in_use = in_use
            self._tell()

    def _record(self, name: str) -> RegisteredDriver | None:
        """None for one that cannot be read, or is what a killed writer has left."""
        try:
            driver = read_record(f"{paths.drivers(self._home.root)}/{name}", RegisteredDriver)
        except (FileNotFoundError, RecordError):
            return None
        return driver if driver.name == name else None

    async def _register(self, socket: Socket) -> None:
        path = socket[0]
        info = await _call(path, "pluginregistration.Registration/GetInfo")
        try:
            await self._register_driver(path, info)
        except (VolumeError, ClientError, OSError) as error:
            text = f"RegisterPlugin error -- plugin registration failed with err: {error}"
            await _notify(path, {"error": text})
            raise
        await _notify(path, {"plugin_registered": True})
        self._registered.add(socket)
        self._changed.set()  # meanwhile the socket may have gone
        self._tell()
        await asyncio.to_thread(self._wake_pods)
        _log.info("CSI driver %s has registered", info["name"])

    def _wake_pods(self) -> None:
        """Whoever waits for a driver to mount or unmount a volume tries again."""
        for record in Ledger(self._home).pods():
            if record.stage in (CREATING, REMOVING):
                agent_control.notify(self._home, record.uid)

    async def _register_driver(self, path: str, info: dict[str, Any]) -> None:
        kind, name = info.get("type", ""), info.get("name", "")
        if kind != "CSIPlugin":
            raise VolumeError(f"no handler registered for plugin type: {kind} at socket {path}")
        versions = info.get("supported_versions") or []
        if not any(version.lstrip("v").startswith("1.") for version in versions):
            raise VolumeError(
                f"none of the CSI versions of driver {name} is supported: {' '.join(versions)}"
            )
        if not name or "/" in name:
            raise VolumeError(f'"{name}" is no name of a CSI driver')
        endpoint = info.get("endpoint") or path
        node = await _call(endpoint, "csi.v1.Node/NodeGetInfo")
        driver = RegisteredDriver(name, endpoint, node.get("node_id", ""), path)
        segments = (node.get("accessible_topology") or {}).get("segments") or {}
        entry: dict[str, Any] = {"name": name, "nodeID": driver.node_id}
        if segments:
            entry["topologyKeys"] = sorted(segments)
        if node.get("max_volumes_per_node", 0) > 0:
            entry["allocatable"] = {"count": node["max_volumes_per_node"]}
        async with self._writing:
            write_record(f"{paths.drivers(self._home.root)}/{name}", driver, durable=True)
            await self._label_node(driver, segments)
            await self._put_in_csi_node(name, entry)

    async def _forget(self, name: str) -> None:
        async with self._writing:
            await self._put_in_csi_node(name, None)
            ids = await self._node_ids()
            if ids.pop(name, None) is not None:
                text = json.dumps(ids, separators=(",", ":")) if ids else None
                await self._patch_node({"annotations": {NODE_ID: text}})
            unlink_missing(f"{paths.drivers(self._home.root)}/{name}")
        self._tell()
        _log.info("CSI driver %s has gone", name)

    async def _node_ids(self) -> dict[str, str]:
        node = await self._client.get(NODES, self._name)
        text = (node["metadata"].get("annotations") or {}).get(NODE_ID)
        return dict(json.loads(text)) if text else {}

    async def _label_node(self, driver: RegisteredDriver, segments: dict[str, str]) -> None:
        ids = {**await self._node_ids(), driver.name: driver.node_id}
        text = json.dumps(ids, separators=(",", ":"), sort_keys=True)
        await self._patch_node({"annotations": {NODE_ID: text}, "labels": segments})

    async def _patch_node(self, metadata: dict[str, Any]) -> None:
        await self._client.patch(NODES, self._name, {"metadata": metadata})

    async def _put_in_csi_node(self, name: str, entry: dict[str, Any] | None) -> None:
        """Replaces the driver's entry, or takes it out."""
        csi_node = await self._csi_node()
        before = csi_node["spec"].get("drivers") or []
        after = [driver for driver in before if driver["name"] != name]
        after += [entry] if entry is not None else []
        if after != before:
            csi_node["spec"]["drivers"] = after
            await self._client.update(CSI_NODES, csi_node)

    async def _csi_node(self) -> dict[str, Any]:
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": self._node_uid()}
        wanted: dict[str, Any] = {
            "apiVersion": CSI_NODES.api_version,
            "kind": "CSINode",
            "metadata": {"name": self._name, "ownerReferences": [owner]},
            "spec": {"drivers": []},
        }
        try:
            return await self._client.create(CSI_NODES, wanted)
        except AlreadyExists:
            return await self._client.get(CSI_NODES, self._name)


def _sockets(directory: str) -> set[Socket]:
    sockets = set()
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISSOCK(status.st_mode):
                sockets.add((entry.path, status.st_ino, status.st_mtime_ns))
    return sockets


async def _notify(socket: str, status: dict[str, Any]) -> None:
    await _call(socket, "pluginregistration.Registration/NotifyRegistrationStatus", status)


async def _call(socket: str, method: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    return await asyncio.to_thread(drivers.call, socket, method, request)
