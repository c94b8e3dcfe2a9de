"""Removes the provisioned volumes of this node that nobody wants any more, data first.

A volume whose claim is gone is deleted from the API; its finalizer keeps the object until the
directory is gone. Whoever is killed in between does the same again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Literal

from kubelite.client.client import Client
from kubelite.client.errors import ClientError, NotFound
from kubelite.client.events import EventRecorder
from kubelite.client.informers import Informers
from kubelite.client.resources import PERSISTENT_VOLUMES
from kubelite.node.volume.local import remove_directory
from kubelite.objects.facts import local_volumes
from kubelite.objects.facts.local_volumes import FINALIZER

RETRY_SECONDS = 5.0
Step = Literal["delete", "remove", "release", ""]

_log = logging.getLogger("kubelite.storage")


def next_step(volume: Mapping[str, Any], hostname: str, directory: str) -> Step:
    """What is next for a volume of the node with this hostname label: to "delete" its object, to
    "remove" its data and then "release" the object, only to release it; "" where it stays as it is.
    Pure.
    """
    metadata, phase = volume["metadata"], (volume.get("status") or {}).get("phase")
    is_own = volume["spec"].get("local", {}).get("path") == f"{directory}/{metadata['name']}"
    if not is_own or not local_volumes.is_on(volume, hostname):
        return ""
    if not metadata.get("deletionTimestamp"):
        may_go = phase == "Released" and local_volumes.is_deleted_with_claim(volume)
        return "delete" if may_go else ""
    if phase == "Bound" or FINALIZER not in (metadata.get("finalizers") or ()):
        return ""
    return "remove" if local_volumes.is_deleted_with_claim(volume) else "release"


class LocalVolumes:
    """The volumes below ``directory`` of the node with this hostname label."""

    def __init__(self, client: Client, directory: str, hostname: str) -> None:
        self._client, self._directory, self._hostname = client, directory, hostname
        self._informers = Informers(client)
        self._volumes = self._informers.of(PERSISTENT_VOLUMES)
        self._recorder = EventRecorder(client, local_volumes.PROVISIONER, hostname)
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Works until cancelled."""
        self._volumes.add_handler(lambda old, new: self._changed.set())
        while True:
            await self._changed.wait()
            self._changed.clear()
            steps = [
                (volume, step)
                for volume in self._volumes.list()
                if (step := next_step(volume, self._hostname, self._directory))
            ]
            for volume, step in steps:
                try:
                    await self._take(volume, step)
                except (ClientError, OSError, TimeoutError) as error:
                    _log.warning("volume %s: %s", volume["metadata"]["name"], error)
                    asyncio.get_running_loop().call_later(RETRY_SECONDS, self._changed.set)

    async def close(self) -> None:
        """Ends the watch."""
        await self._informers.close()
        await self._recorder.close()

    async def _take(self, volume: Mapping[str, Any], step: Step) -> None:
        name, uid = volume["metadata"]["name"], volume["metadata"]["uid"]
        try:
            if step == "delete":
                await self._client.delete(PERSISTENT_VOLUMES, name, uid=uid)
                return
            if step == "remove":
                await self._remove(volume)
            left = [other for other in volume["metadata"]["finalizers"] if other != FINALIZER]
            # The revision is the condition: somebody else may have added a finalizer.
            metadata = {"finalizers": left, "uid": uid} | {
                "resourceVersion": volume["metadata"]["resourceVersion"]
            }
            await self._client.patch(PERSISTENT_VOLUMES, name, {"metadata": metadata}, kind="merge")
        except NotFound:
            return

    async def _remove(self, volume: Mapping[str, Any]) -> None:
        path = volume["spec"]["local"]["path"]
        left = await asyncio.to_thread(remove_directory, path)
        if left:
            text = f"error deleting volume: {left[0]}"
            self._recorder.event(
                {**volume, "apiVersion": "v1", "kind": "PersistentVolume"},
                "Warning",
                "VolumeFailedDelete",
                text,
            )
            raise OSError(text)
