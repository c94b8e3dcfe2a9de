"""Leader election over a Lease, with client-go's times: who holds it acts, everybody else waits.

The holder renews every 2 s; if it could not for 10 s it stops acting. Others take the lease over
when it has not changed for 15 s by their own clock, so clocks need not agree. They do not poll:
a watch shows them each renewal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kubelite.client.client import Client, Selection
from kubelite.client.errors import ClientError, Conflict, NotFound
from kubelite.client.resources import LEASES
from kubelite.lib.json import Object

_log = logging.getLogger("kubelite.client.leader")
RELEASE_SECONDS = 2.0


class Times(NamedTuple):
    """Seconds: how long a lease holds, when a holder gives up, how often it renews."""

    lease: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0


class LeaderElector:
    """One candidate: ``identity`` tells it apart from all others."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        times: Times = Times(),  # noqa: B008  # a tuple of numbers
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times
        self._seen: tuple[Any, ...] = ()  # the latest state of another holder's lease
        self._seen_at = 0.0

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Waits for the lease, runs ``lead`` while holding it, and again, until cancelled.

        ``lead`` is cancelled when the lease is lost; if it returns or raises, so does this.
        """
        while True:
            lease = await self._acquire()
            _log.info("%s leads as %s", self._identity, self._name)
            work = asyncio.ensure_future(lead())
            renewal = asyncio.create_task(self._renew(lease))
            try:
                await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    return work.result()
                _log.error("%s has lost the lease %s", self._identity, self._name)
            finally:
                for task in (work, renewal):
                    task.cancel()
                await asyncio.gather(work, renewal, return_exceptions=True)
                if renewal.cancelled():
                    await self._release()

    async def _acquire(self) -> Object:
        while True:
            try:
                lease = await self._try()
            except ClientError as error:
                _log.info("the lease %s cannot be had: %s", self._name, error)
                await asyncio.sleep(self._times.retry)
                continue
            if lease is not None:
                return lease
            await self._wait_for_change()

    async def _try(self) -> Object | None:
        """Takes the lease if nobody holds it. Returns it, None where somebody does."""
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
        except NotFound:
            return await self._client.create(LEASES, self._fresh())
        spec = lease.get("spec") or {}
        now = asyncio.get_running_loop().time()
        state = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if state != self._seen:
            self._seen, self._seen_at = state, now
        holder = spec.get("holderIdentity") or ""
        duration = float(spec.get("leaseDurationSeconds") or self._times.lease)
        if holder not in ("", self._identity) and now < self._seen_at + duration:
            return None
        transitions = int(spec.get("leaseTransitions") or 0) + (holder != self._identity)
        lease["spec"] = self._spec(transitions)
        try:
            return await self._client.update(LEASES, lease)
        except Conflict:
            return None

    async def _wait_for_change(self) -> None:
        """Returns when the lease has changed, or has run out."""
        remaining = self._seen_at + self._times.lease - asyncio.get_running_loop().time()
        selection = Selection(self._namespace, field_selector=f"metadata.name={self._name}")
        with suppress(TimeoutError, ClientError):
            async with (
                asyncio.timeout(max(remaining, 0.01)),
                self._client.watch(LEASES, selection) as batches,
            ):
                async for batch in batches:
                    if any(self._differs(event.object, event.type) for event in batch):
                        return

    def _differs(self, lease: Object, kind: str) -> bool:
        if kind == "BOOKMARK":
            return False
        spec = lease.get("spec") or {}
        state = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        return kind == "DELETED" or state != self._seen

    async def _renew(self, lease: Object) -> None:
        """Renews until that has failed for too long, or somebody else holds the lease."""
        clock = asyncio.get_running_loop().time
        renewed = clock()
        while True:
            await asyncio.sleep(self._times.retry)
            lease["spec"]["renewTime"] = _now()
            try:
                async with asyncio.timeout(self._times.renew_deadline - (clock() - renewed)):
                    lease = await self._client.update(LEASES, lease)
                renewed = clock()
            except Conflict:
                with suppress(ClientError):
                    lease = await self._client.get(LEASES, self._name, self._namespace)
                    if lease["spec"].get("holderIdentity") != self._identity:
                        return
            except (ClientError, TimeoutError) as error:
                _log.warning("the lease %s was not renewed: %s", self._name, error)
            if clock() - renewed >= self._times.renew_deadline:
                return

    async def _release(self) -> None:
        """Lets the next candidate begin at once, where the server answers in time."""
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._give_up()

    async def _give_up(self) -> None:
        lease = await self._client.get(LEASES, self._name, self._namespace)
        if (lease.get("spec") or {}).get("holderIdentity") == self._identity:
            lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
            await self._client.update(LEASES, lease)

    def _fresh(self) -> Object:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec(0),
        }

    def _spec(self, transitions: int) -> Object:
        now = _now()
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._times.lease)),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
