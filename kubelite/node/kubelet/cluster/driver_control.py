"""The controller side of the CSI drivers that serve it on this node: attaches and detaches volumes
for it, makes, expands and removes them for claims.

Which node acts is no matter of chance: an attachment is its node's, a volume for a scheduled pod is
made by the pod's node, everything else by the first node that has the driver. All calls may be
repeated: whoever is killed in between asks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple

from kubelite.client.client import Client
from kubelite.client.errors import AlreadyExists, ClientError, NotFound
from kubelite.client.events import EventRecorder
from kubelite.client.informers import Informers
from kubelite.client.resources import (
    CSI_DRIVERS,
    CSI_NODES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    VOLUME_ATTACHMENTS,
    GroupVersionResource,
)
from kubelite.lib.files import RecordError, names, read_record
from kubelite.node.kubelet.cluster.driver_expansion import DriverExpansion
from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.runtime.clock import SECOND
from kubelite.node.runtime.home import Home
from kubelite.node.volume.csi import drivers, paths, provisioning, requests
from kubelite.node.volume.csi.drivers import RegisteredDriver
from kubelite.node.volume.errors import VolumeError
from kubelite.objects.facts.local_volumes import CLAIMED_PROVISIONER, FINALIZER, volume_name
from kubelite.objects.rules import driver_volumes

_EXPECTED = (VolumeError, ClientError, OSError, TimeoutError)
_log = logging.getLogger("kubelite.storage")
Object = Mapping[str, Any]


class _Side(NamedTuple):
    """A driver, and what its controller side can do where it is served here."""

    driver: RegisteredDriver
    is_served: bool
    capabilities: frozenset[int]
    has_topology: bool


class DriverControl:
    """Works for the drivers of the node ``node``."""

    def __init__(self, home: Home, client: Client, node: str) -> None:
        self._home, self._client, self._node = home, client, node
        self._informers = Informers(client)
        self._view = {
            resource: self._informers.of(resource)
            for resource in (
                VOLUME_ATTACHMENTS,
                PERSISTENT_VOLUMES,
                PERSISTENT_VOLUME_CLAIMS,
                STORAGE_CLASSES,
                CSI_DRIVERS,
                CSI_NODES,
            )
        }
        self._recorder = EventRecorder(client, "kubelite-csi", node)
        self._expansion = DriverExpansion(
            home.root,
            client,
            self._recorder,
            self._view[PERSISTENT_VOLUMES],
            self._view[PERSISTENT_VOLUME_CLAIMS],
        )
        self._changed = asyncio.Event()
        self._sides: dict[RegisteredDriver, _Side] = {}
        self._due: set[str] = set()
        self._at_work: set[str] = set()
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def wake(self) -> None:
        """A driver or a published volume has come or gone: what could not be done is tried again at
        once.
        """
        self._not_before.clear()
        self._sides.clear()
        self._changed.set()

    async def run(self) -> None:
        """Works until cancelled."""
        await self._informers.wait_synced()
        for informer in self._view.values():
            informer.add_handler(lambda old, new: self._changed.set())
        async with asyncio.TaskGroup() as group:
            while True:
                await self._changed.wait()
                self._changed.clear()
                self._due.update(names(paths.drivers(self._home.root)))
                for name in self._due - self._at_work:
                    self._at_work.add(name)
                    group.create_task(self._work(name))

    async def _work(self, name: str) -> None:
        """Works for one driver until nothing has changed meanwhile. A driver that does not answer
        keeps no other waiting.
        """
        try:
            while name in self._due:
                self._due.discard(name)
                if (side := await self._side(name)) is not None:
                    await self._look(side)
        finally:
            self._at_work.discard(name)

    async def close(self) -> None:
        """Ends the watches."""
        await self._informers.close()
        await self._recorder.close()

    # -- whose controller side is served here ------------------------------------------------------

    async def _side(self, name: str) -> _Side | None:
        """None for a driver that has gone, or has not said yet what it can do."""
        try:
            driver = read_record(f"{paths.drivers(self._home.root)}/{name}", RegisteredDriver)
        except (FileNotFoundError, RecordError):
            return None
        if driver.name != name:
            return None  # a killed writer has left it
        await self._try(f"driver {name}", self._learn(driver))
        if (side := self._sides.get(driver)) is None:
            return None
        return side._replace(is_served=side.is_served and not self._is_external(name))

    async def _learn(self, driver: RegisteredDriver) -> None:
        """What the driver can do, asked once for each registration."""
        if driver in self._sides:
            return
        whole = await asyncio.to_thread(drivers.services, driver.socket)
        is_served, capabilities = provisioning.CONTROLLER_SERVICE in whole, frozenset[int]()
        if is_served:
            capabilities = await asyncio.to_thread(
                drivers.capabilities, driver.socket, "Controller"
            )
        has_topology = provisioning.ACCESSIBILITY_CONSTRAINTS in whole
        self._sides[driver] = _Side(driver, is_served, capabilities, has_topology)

    def _is_external(self, name: str) -> bool:
        obj = self._view[CSI_DRIVERS].get("", name)
        annotations = (obj["metadata"].get("annotations") or {}) if obj is not None else {}
        return bool(annotations.get(driver_volumes.EXTERNAL) == "external")

    def _is_first(self, driver: str) -> bool:
        having = [
            csi_node["metadata"]["name"]
            for csi_node in self._view[CSI_NODES].list()
            if any(entry["name"] == driver for entry in csi_node["spec"].get("drivers") or ())
        ]
        return min(having, default="") == self._node

    # -- what is to be done ------------------------------------------------------------------------

    async def _look(self, side: _Side) -> None:
        name, is_first = side.driver.name, self._is_first(side.driver.name)
        expands = is_first and side.is_served and provisioning.EXPAND_VOLUME in side.capabilities
        for key, work in self._expansion.due(side.driver, is_controller=expands):
            await self._try(key, work)
        if not side.is_served:
            return
        for attachment in self._view[VOLUME_ATTACHMENTS].list():
            if attachment["spec"]["attacher"] == name:
                await self._attach_or_detach(side, attachment)
        if provisioning.CREATE_DELETE_VOLUME not in side.capabilities:
            return
        for claim in self._view[PERSISTENT_VOLUME_CLAIMS].list():
            annotations = claim["metadata"].get("annotations") or {}
            if annotations.get(CLAIMED_PROVISIONER) == name and provisioning.is_provisioned_here(
                claim, self._node, is_first=is_first
            ):
                await self._try(_key("claim", claim), self._provision(side, claim))
        for volume in self._view[PERSISTENT_VOLUMES].list() if is_first else ():
            if provisioning.is_made_by(volume, name):
                await self._try(_key("volume", volume), self._remove(side, volume))

    async def _try(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        """What fails is tried again after a wait, doubled each time."""
        loop = asyncio.get_running_loop()
        if self._not_before.get(key, 0) > loop.time():
            work.close()
            return
        try:
            await work
            self._failures.pop(key, None)
        except NotFound:
            return
        except Exception as error:  # noqa: BLE001  # what a driver says must not stop the node
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            _log.warning("%s: %s", key, error, exc_info=not isinstance(error, _EXPECTED))
            wait = restart_policy.mount_retry(failures) / SECOND
            self._not_before[key] = loop.time() + wait
            loop.call_later(wait, self._changed.set)

    async def _call(self, side: _Side, method: str, request: dict[str, Any]) -> dict[str, Any]:
        method = f"csi.v1.Controller/{method}"
        return await asyncio.to_thread(drivers.call, side.driver.socket, method, request)

    # -- attachments -------------------------------------------------------------------------------

    async def _attach_or_detach(self, side: _Side, attachment: Object) -> None:
        step = provisioning.attachment_step(attachment, self._node)
        if step == "attach":
            await self._try(_key("attach", attachment), self._attach(side, attachment))
        elif step == "detach":
            await self._try(_key("detach", attachment), self._detach(side, attachment))

    async def _attach(self, side: _Side, attachment: Object) -> None:
        """The finalizer first: from then on the volume may be attached."""
        name = attachment["metadata"]["name"]
        finalizer = provisioning.attacher_finalizer(side.driver.name)
        held = attachment["metadata"].get("finalizers") or []
        if finalizer not in held:
            await self._patch(VOLUME_ATTACHMENTS, attachment, {"finalizers": [*held, finalizer]})
        status: dict[str, Any] = {"attached": True}
        if provisioning.PUBLISH_UNPUBLISH_VOLUME in side.capabilities:
            volume = self._volume_of(attachment)
            request = {
                "volume_id": volume.handle,
                "node_id": side.driver.node_id,
                "volume_capability": requests.capability(volume, frozenset(), None),
                "readonly": False,
                "volume_context": dict(volume.attributes),
            }
            try:
                answer = await self._call(side, "ControllerPublishVolume", request)
            except VolumeError as error:
                fault = {"attached": False, "attachError": {"message": error.message}}
                await self._client.patch_status(VOLUME_ATTACHMENTS, name, {"status": fault})
                raise
            status["attachmentMetadata"] = answer.get("publish_context") or None
        status["attachError"] = None
        await self._client.patch_status(VOLUME_ATTACHMENTS, name, {"status": status})

    async def _detach(self, side: _Side, attachment: Object) -> None:
        if provisioning.PUBLISH_UNPUBLISH_VOLUME in side.capabilities:
            volume = self._volume_of(attachment)
            request = {"volume_id": volume.handle, "node_id": side.driver.node_id}
            await self._call(side, "ControllerUnpublishVolume", request)
        finalizer = provisioning.attacher_finalizer(side.driver.name)
        left = [other for other in attachment["metadata"]["finalizers"] if other != finalizer]
        await self._patch(VOLUME_ATTACHMENTS, attachment, {"finalizers": left})

    def _volume_of(self, attachment: Object) -> requests.DriverVolume:
        """Raises VolumeError where its PersistentVolume is gone."""
        name = attachment["spec"]["source"].get("persistentVolumeName") or ""
        volume = self._view[PERSISTENT_VOLUMES].get("", name)
        if volume is None or not volume["spec"].get("csi"):
            raise VolumeError(f'persistentvolume "{name}" not found')
        return requests.persistent(volume, read_only=False)

    async def _patch(self, resource: GroupVersionResource, obj: Object, change: Object) -> None:
        """The revision is the condition: somebody else may have added a finalizer."""
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"], **change}
        await self._client.patch(resource, obj["metadata"]["name"], {"metadata": metadata})

    # -- volumes for claims ------------------------------------------------------------------------

    async def _provision(self, side: _Side, claim: Object) -> None:
        name = str(claim["spec"].get("storageClassName") or "")
        storage_class = self._view[STORAGE_CLASSES].get("", name)
        present = self._view[PERSISTENT_VOLUMES].get("", volume_name(claim["metadata"]["uid"]))
        if storage_class is None or present is not None:
            return
        if not provisioning.is_due(claim, storage_class, side.driver.name):
            return
        try:
            if problem := provisioning.refusal(claim, storage_class):
                raise VolumeError(problem)
            segments = await self._segments(side)
            request = provisioning.create_request(claim, storage_class, segments)
            answer = await self._call(side, "CreateVolume", request)
            volume = provisioning.persistent_volume(
                claim, storage_class, side.driver.name, answer.get("volume") or {}
            )
        except VolumeError as error:
            text = f'failed to provision volume with StorageClass "{name}": {error}'
            self._event("PersistentVolumeClaim", claim, "Warning", "ProvisioningFailed", text)
            raise
        try:
            await self._client.create(PERSISTENT_VOLUMES, volume)
        except AlreadyExists:
            return
        text = f"Successfully provisioned volume {volume['metadata']['name']}"
        self._event("PersistentVolumeClaim", claim, "Normal", "ProvisioningSucceeded", text)

    async def _segments(self, side: _Side) -> dict[str, str]:
        """The topology of this node, as the driver has given it."""
        csi_node = self._view[CSI_NODES].get("", self._node)
        entries = csi_node["spec"].get("drivers") or () if csi_node is not None else ()
        keys = [
            key
            for entry in entries
            if entry["name"] == side.driver.name
            for key in entry.get("topologyKeys") or ()
        ]
        if not side.has_topology or not keys:
            return {}
        labels = (await self._client.get(NODES, self._node))["metadata"].get("labels") or {}
        return {key: labels[key] for key in keys if key in labels}

    async def _remove(self, side: _Side, volume: Object) -> None:
        name, uid = volume["metadata"]["name"], volume["metadata"]["uid"]
        step = provisioning.volume_step(volume, is_attached=self._is_attached(name))
        if step == "delete":
            await self._client.delete(PERSISTENT_VOLUMES, name, uid=uid)
            return
        if not step:
            return
        if step == "remove":
            request = {"volume_id": volume["spec"]["csi"]["volumeHandle"]}
            try:
                await self._call(side, "DeleteVolume", request)
            except VolumeError as error:
                text = f"error deleting volume: {error}"
                self._event("PersistentVolume", volume, "Warning", "VolumeFailedDelete", text)
                raise
        left = [other for other in volume["metadata"]["finalizers"] if other != FINALIZER]
        await self._patch(PERSISTENT_VOLUMES, volume, {"finalizers": left, "uid": uid})

    def _is_attached(self, volume: str) -> bool:
        return any(
            attachment["spec"]["source"].get("persistentVolumeName") == volume
            for attachment in self._view[VOLUME_ATTACHMENTS].list()
        )

    def _event(self, kind: str, obj: Object, type_: str, reason: str, text: str) -> None:
        self._recorder.event({**obj, "apiVersion": "v1", "kind": kind}, type_, reason, text)


def _key(work: str, obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{work} {metadata.get('namespace', '')}/{metadata['name']}"
