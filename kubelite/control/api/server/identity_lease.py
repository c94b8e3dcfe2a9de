"""The Lease with which a server says that it is alive, as kube-apiserver does: others find out from
it who serves a store, and where.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubelite.control.api.admission.namespaces import creation
from kubelite.control.api.server import addresses
from kubelite.control.api.strategy.commit import remove, write
from kubelite.control.api.wire.documents import load
from kubelite.control.store.types import Conflict, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.server.addresses import Address, Observed
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.types import Entry

RENEW_SECONDS, DURATION_SECONDS = 10.0, 3600
GOODBYE_SECONDS = 2.0
NAMESPACE = "kube-system"
_LABEL = "apiserver.kubernetes.io/identity"


class IdentityLease:
    """Kept while the server runs, removed when it ends; so is the server's address among those of
    the Service ``kubernetes``.
    """

    def __init__(self, context: Context, address: Address) -> None:
        self._context = context
        builtin = context.registry.builtin
        self._res = builtin("coordination.k8s.io", "leases")
        self._endpoints = builtin("", "endpoints")
        self._slices = builtin("discovery.k8s.io", "endpointslices")
        self._address = address
        self._host = socket.gethostname()
        # Two servers of a machine have a Lease each.
        own = f"{self._host} {addresses.annotation(address)}"
        digest = hashlib.sha256(own.encode()).digest()[:16]
        self.name = "apiserver-" + base64.b32encode(digest).decode().rstrip("=").lower()
        self._holder = f"{self.name}_{uuid.uuid4()}"
        self._seen: Mapping[Address, Observed] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Renews from now on."""
        self._task = asyncio.create_task(self._run(), name="identity-lease")

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(Conflict, StoreError):
                # Somebody else wrote it, or the store is away: the next time comes soon.
                await self.renew()
                await self._announce()
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
        metadata = {
            "name": self.name,
            "namespace": NAMESPACE,
            "labels": {_LABEL: "kube-apiserver", "kubernetes.io/hostname": self._host},
            "annotations": {addresses.ANNOTATION: addresses.annotation(self._address)},
        }
        return {
            "kind": "Lease",
            "apiVersion": "coordination.k8s.io/v1",
            "metadata": metadata,
            "spec": self._spec(),
        }

    def _spec(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": DURATION_SECONDS,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }

    async def _announce(self) -> None:
        """Keeps the addresses of all servers that are alive. Raises Conflict, StoreError."""
        now = time.monotonic()
        entry = await self._service_object(self._endpoints)
        announced = addresses.announced(load(entry)) if entry else []
        page = await self._context.store.page(self._res.prefix, NAMESPACE)
        leases = [load(entry) for entry in page.entries if _LABEL.encode() in entry.value]
        self._seen = addresses.observe(self._seen, leases, announced, now)
        await self._write_addresses(addresses.alive({self._address}, self._seen, now))

    async def _write_addresses(self, serving: list[Address]) -> None:
        """Raises Conflict, StoreError."""
        for res, new in (
            (self._endpoints, addresses.endpoints_object(serving)),
            (self._slices, addresses.slice_object(serving)),
        ):
            entry = await self._service_object(res)
            if entry is None:
                await self._context.store.commit([creation(self._context.store, res, new)])
                continue
            old = load(entry)
            obj = old | {name: new[name] for name in addresses.FIELDS if name in new}
            if obj != old:
                await write(self._context.store, res, obj, entry, companions=[])

    async def _service_object(self, res: Resource) -> Entry | None:
        return await self._context.store.get(res.prefix, addresses.NAMESPACE, addresses.NAME)

    async def close(self) -> None:
        """Ends the task and takes Lease and address away, where the store answers in time."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        with contextlib.suppress(Conflict, StoreError, TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._remove()
                others = dict(self._seen)
                others.pop(self._address, None)
                if serving := addresses.alive(set(), others, time.monotonic()):
                    await self._write_addresses(serving)

    async def _remove(self) -> None:
        entry = await self._context.store.get(self._res.prefix, NAMESPACE, self.name)
        if entry is not None and load(entry)["spec"].get("holderIdentity") == self._holder:
            await remove(self._context.store, self._res, entry, companions=[])
