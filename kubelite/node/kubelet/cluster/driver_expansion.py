"""Makes volumes of CSI drivers larger: first by the driver's controller side, then, where it says
so, on the node that has the volume mounted.

After kubernetes-csi's ``external-resizer`` and the kubelet (``volume/util/operationexecutor``). The
PersistentVolume says how large the volume is, the claim's status what its pods have got: whoever is
killed in between goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from kubelite.client.client import Client
from kubelite.client.events import EventRecorder
from kubelite.client.informers import Informer
from kubelite.client.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kubelite.node.volume.csi import drivers, provisioning, publishing, requests
from kubelite.node.volume.csi.drivers import RegisteredDriver
from kubelite.node.volume.csi.publishing import PublishedVolume
from kubelite.node.volume.errors import VolumeError

Object = Mapping[str, Any]
Work = tuple[str, Coroutine[Any, Any, None]]
_PENDING = "Waiting for user to (re-)start a pod to finish file system resize of volume on node."


class DriverExpansion:
    """The volumes of the state root ``root`` and of the cluster that ``volumes`` and ``claims``
    show.
    """

    def __init__(
        self,
        root: str,
        client: Client,
        recorder: EventRecorder,
        volumes: Informer,
        claims: Informer,
    ) -> None:
        self._root, self._client, self._recorder = root, client, recorder
        self._volumes, self._claims = volumes, claims

    def due(self, driver: RegisteredDriver, *, is_controller: bool) -> Iterator[Work]:
        """What is to be done for the claims of a driver's volumes, each with a name of its own.
        ``is_controller``: also what its controller side does.
        """
        for claim in self._claims.list():
            volume = self._volumes.get("", claim["spec"].get("volumeName") or "")
            if volume is None or (volume["spec"].get("csi") or {}).get("driver") != driver.name:
                continue
            metadata = claim["metadata"]
            step = provisioning.expansion_step(claim, volume)
            key = f"expand {metadata['namespace']}/{metadata['name']}"
            if step == "controller" and is_controller:
                yield key, self._on_controller(driver, claim, volume)
            elif step == "node":
                handle = volume["spec"]["csi"]["volumeHandle"]
                if (published := publishing.of_volume(self._root, driver.name, handle)) is not None:
                    yield key, self._on_node(driver, claim, volume, published)

    async def _on_controller(self, driver: RegisteredDriver, claim: Object, volume: Object) -> None:
        used = requests.persistent(volume, read_only=False)
        request = {
            "volume_id": used.handle,
            "capacity_range": {"required_bytes": provisioning.requested(claim)},
            "volume_capability": requests.capability(used, frozenset(), None),
        }
        method = "csi.v1.Controller/ControllerExpandVolume"
        answer = await self._call(driver, claim, method, request)
        size = str(answer.get("capacity_bytes") or provisioning.requested(claim))
        needs_node = bool(answer.get("node_expansion_required"))
        if needs_node:
            await self._put_status(claim, {"conditions": [_condition()]})
        change = {"spec": {"capacity": {"storage": size}}}
        await self._client.patch(PERSISTENT_VOLUMES, used.spec_name, change)
        if not needs_node:
            await self._finish(claim, size)

    async def _on_node(
        self, driver: RegisteredDriver, claim: Object, volume: Object, published: PublishedVolume
    ) -> None:
        used, size = requests.persistent(volume, read_only=False), provisioning.capacity(volume)
        capabilities = await asyncio.to_thread(drivers.capabilities, driver.socket, "Node")
        if requests.EXPAND_VOLUME in capabilities:
            request = {
                "volume_id": used.handle,
                "volume_path": published.target,
                "capacity_range": {"required_bytes": size},
                "volume_capability": requests.capability(used, capabilities, None),
            }
            if published.staged:
                request["staging_target_path"] = published.staged
            await self._call(driver, claim, "csi.v1.Node/NodeExpandVolume", request)
        await self._finish(claim, str(volume["spec"]["capacity"]["storage"]))

    async def _call(
        self, driver: RegisteredDriver, claim: Object, method: str, request: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            return await asyncio.to_thread(drivers.call, driver.socket, method, request)
        except VolumeError as error:
            self._event(claim, "Warning", "VolumeResizeFailed", f"resize volume failed: {error}")
            raise

    async def _finish(self, claim: Object, size: str) -> None:
        await self._put_status(claim, {"capacity": {"storage": size}, "conditions": None})
        text = f"Resize volume succeeded: the claim has {size} bytes"
        self._event(claim, "Normal", "VolumeResizeSuccessful", text)

    async def _put_status(self, claim: Object, status: dict[str, Any]) -> None:
        metadata = claim["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
        await self._client.patch_status(
            PERSISTENT_VOLUME_CLAIMS, metadata["name"], patch, metadata["namespace"]
        )

    def _event(self, claim: Object, type_: str, reason: str, text: str) -> None:
        obj = {**claim, "apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        self._recorder.event(obj, type_, reason, text)


def _condition() -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": "FileSystemResizePending",
        "status": "True",
        "lastTransitionTime": now,
        "message": _PENDING,
    }
