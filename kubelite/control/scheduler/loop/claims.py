"""Volumes of pods that are bound only once the pod has a node (WaitForFirstConsumer).

A claim is either matched with a volume that exists, which the scheduler reserves for it, or
provisioned for the node that the scheduler writes into the claim. Either way the volume controller
or a provisioner completes the binding, and the pod waits for that, 600 s at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from kubelite.client.informers import Informer
from kubelite.control.scheduler.loop.writer import Writer
from kubelite.objects.facts.local_volumes import SELECTED_NODE

Object = Mapping[str, Any]
Claims = tuple[tuple[str, str], ...]  # claim "ns/name" and volume, "" for one to be provisioned

BIND_SECONDS = 600.0
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"


class ClaimsNotBoundError(Exception):
    """The claims of a pod cannot be bound as was decided; it has to be decided about again."""


class ClaimBinder:
    """Binds claims over the API. ``informers`` are the scheduler's, by kind."""

    def __init__(self, informers: Mapping[str, Informer], writer: Writer) -> None:
        self._informers = informers
        self._writer = writer
        self._waiting: set[asyncio.Future[None]] = set()

    def changed(self) -> None:
        """A claim or a volume has changed: whoever waits looks again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def bind(self, claims: Claims, node: str) -> None:
        """Returns when all claims are bound. Raises ClaimsNotBoundError, ClientError."""
        for key, volume_name in claims:
            await self._write(self._claim(key), volume_name, node)
        try:
            async with asyncio.timeout(BIND_SECONDS):
                while not all(self._is_bound(key, name) for key, name in claims):
                    await self._change()
        except TimeoutError as error:
            raise ClaimsNotBoundError("timed out waiting for the claims to be bound") from error

    async def _write(self, claim: Object, volume_name: str, node: str) -> None:
        """Writes what was decided of a claim, and waits until the view shows it."""
        if not volume_name:
            written = await self._writer.select_node(claim, node)
            await self._informers["PersistentVolumeClaim"].at_least(written)
            return
        volume = self._informers["PersistentVolume"].get("", volume_name)
        if volume is None:
            raise ClaimsNotBoundError(f'persistentvolume "{volume_name}" not found')
        written = await self._writer.reserve_volume(volume, claim)
        await self._informers["PersistentVolume"].at_least(written)

    async def _change(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def _claim(self, key: str) -> Object:
        claim = self._informers["PersistentVolumeClaim"].get(*key.split("/", 1))
        if claim is None:
            raise ClaimsNotBoundError(f'persistentvolumeclaim "{key.split("/", 1)[1]}" not found')
        return claim

    def _is_bound(self, key: str, volume_name: str) -> bool:
        """Raises ClaimsNotBoundError where the binding has failed: a provisioner takes its node
        away when it cannot serve it, and a volume may go to another claim.
        """
        claim = self._claim(key)
        annotations = claim["metadata"].get("annotations") or {}
        bound = (claim.get("spec") or {}).get("volumeName")
        if bound and BIND_COMPLETED in annotations:
            return True
        if not bound and not volume_name and SELECTED_NODE not in annotations:
            raise ClaimsNotBoundError(f"claim {key} could not be provisioned for the node")
        if volume_name:
            volume = self._informers["PersistentVolume"].get("", volume_name)
            holder = ((volume or {}).get("spec") or {}).get("claimRef") or {}
            if holder.get("uid") != claim["metadata"]["uid"]:
                raise ClaimsNotBoundError(f"volume {volume_name} went to another claim")
        return False

    def restore(
        self, claims: Claims, put: Callable[[str, Object | None, Object | None], None]
    ) -> None:
        """Shows the scheduler claims and volumes as they are, not as was assumed."""
        for key, volume_name in claims:
            claim = self._informers["PersistentVolumeClaim"].get(*key.split("/", 1))
            if claim is not None:
                put("PersistentVolumeClaim", None, claim)
            if volume_name:
                volume = self._informers["PersistentVolume"].get("", volume_name)
                if volume is not None:
                    put("PersistentVolume", None, volume)
