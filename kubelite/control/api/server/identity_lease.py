"""The Lease with which a server says that it is alive, as kube-apiserver does: others find out from
it who serves a store.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubelite.control.api.admission.namespaces import creation
from kubelite.control.api.strategy.commit import remove, write
from kubelite.control.api.wire.documents import load
from kubelite.control.store.types import Conflict, StoreError

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context

RENEW_SECONDS, DURATION_SECONDS = 10.0, 3600
GOODBYE_SECONDS = 2.0
NAMESPACE = "kube-system"


class IdentityLease:
    """Kept while the server runs, removed when it ends."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._res = context.registry.builtin("coordination.k8s.io", "leases")
        self._host = socket.gethostname()
        digest = hashlib.sha256(self._host.encode()).digest()[:16]
        self.name = "apiserver-" + base64.b32encode(digest).decode().rstrip("=").lower()
        self._holder = f"{self.name}_{uuid.uuid4()}"
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Renews from now on."""
        self._task = asyncio.create_task(self._run(), name="identity-lease")

    async def _run(self) -> None:
        while True:
            try:
                await self.renew()
            except (Conflict, StoreError):
                pass  # somebody else wrote it, or the store is away: the next time comes soon
            await asyncio.sleep(RENEW_SECONDS)

    async def renew(self) -> None:
        """Writes the Lease. Raises Conflict, StoreError."""
        store = self._context.store
        entry = await store.get(self._res.prefix, NAMESPACE, self.name)
        if entry is None:
            await store.commit([creation(store, self._res, self._lease())])
            return
        obj = load(entry)
        obj["spec"] = self._spec()
        await write(store, self._res, obj, entry, companions=[], volatile=True)

    def _lease(self) -> dict[str, Any]:
        labels = {
            "apiserver.kubernetes.io/identity": "kube-apiserver",
            "kubernetes.io/hostname": self._host,
        }
        return {
            "kind": "Lease",
            "apiVersion": "coordination.k8s.io/v1",
            "metadata": {"name": self.name, "namespace": NAMESPACE, "labels": labels},
            "spec": self._spec(),
        }

    def _spec(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": DURATION_SECONDS,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }

    async def close(self) -> None:
        """Ends the task and takes the Lease away, where the store answers in time."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        with contextlib.suppress(Conflict, StoreError, TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._remove()

    async def _remove(self) -> None:
        entry = await self._context.store.get(self._res.prefix, NAMESPACE, self.name)
        if entry is not None and load(entry)["spec"].get("holderIdentity") == self._holder:
            await remove(self._context.store, self._res, entry, companions=[])
