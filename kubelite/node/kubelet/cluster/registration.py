"""Keeps this node registered: its Node object, and the Lease that says it lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kubelite.client.client import Client
from kubelite.client.errors import AlreadyExists, ClientError, Conflict, NotFound
from kubelite.client.resources import GroupVersionResource
from kubelite.node.kubelet.cluster import node_object
from kubelite.node.kubelet.cluster.node_object import NodeDescription

NODES = GroupVersionResource("", "v1", "nodes")
LEASES = GroupVersionResource("coordination.k8s.io", "v1", "leases")
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS, RENEW_SECONDS = 40, 10.0
STATUS_SECONDS = 300.0
"""How often an unchanged status is written, as in the kubelet (nodeStatusReportFrequency)."""
RETRY_SECONDS, RENEW_AGAIN_SECONDS = 0.5, 2.0
"""How long after a failure it is tried again: to register, and to say that the node lives."""
RANGE_TRIES, RANGE_SECONDS = 200, 0.02
"""How often a new node asks whether it has been assigned a range, and how far apart."""

_log = logging.getLogger("kubelite.node")


class Registration:
    """Registers the node that ``describe`` describes, and goes on saying that it lives."""

    def __init__(self, client: Client, describe: Callable[[], NodeDescription]) -> None:
        self._client = client
        self._describe = describe
        self._node: dict[str, Any] = {}
        self._lease: dict[str, Any] | None = None
        self._pressures: frozenset[str] = frozenset()

    @property
    def uid(self) -> str:
        """The uid of the Node object."""
        return str(self._node["metadata"]["uid"])

    async def report(self, pressures: frozenset[str]) -> None:
        """Tells the API that the node stands under these pressures, now and from now on. Raises
        ClientError.
        """
        self._pressures = pressures
        await self._create_or_update()

    async def register(self) -> None:
        """Returns when the API server has the Node with a current status; tries until it has."""
        while True:
            try:
                await self._create_or_update()
                await self._renew_lease()
            except ClientError as error:
                _log.warning("cannot register the node: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def pod_range(self) -> str:
        """The range of pod addresses that the cluster has assigned to the node; "" where nobody
        assigns any in time. Raises ClientError.
        """
        name = self._node["metadata"]["name"]
        for _ in range(RANGE_TRIES):
            if given := self._node.get("spec", {}).get("podCIDR"):
                return str(given)
            await asyncio.sleep(RANGE_SECONDS)
            self._node = await self._client.get(NODES, name)
        return ""

    async def run(self) -> None:
        """Renews the Lease and keeps the status current until cancelled."""
        pause, last_status = RENEW_SECONDS, _now()
        while True:
            await asyncio.sleep(pause)
            pause, is_due = RENEW_SECONDS, _now() - last_status >= STATUS_SECONDS
            try:
                # What is sent while the network is away may wait for much longer than it is away.
                async with asyncio.timeout(RENEW_SECONDS):
                    if await self._renew(is_due=is_due):
                        last_status = _now()
            except (ClientError, TimeoutError) as error:
                _log.warning("cannot say that the node lives: %s", error or "no answer in time")
                pause = RENEW_AGAIN_SECONDS

    async def _renew(self, *, is_due: bool) -> bool:
        """Says that the node lives. Returns whether its status was written: when that is due, and
        when the control plane has given it up. Raises ClientError.
        """
        await self._renew_lease()
        status = (await self._client.get(NODES, self._node["metadata"]["name"]))["status"]
        await self._offer_extended_resources(status)
        if is_due or node_object.is_given_up(status):
            await self._create_or_update()
            return True
        return False

    async def _create_or_update(self) -> None:
        description = self._describe()._replace(pressures=self._pressures)
        wanted = node_object.node(description, _seconds())
        try:
            self._node = await self._client.create(NODES, wanted)
            return
        except AlreadyExists:
            self._node = await self._client.get(NODES, description.name)
        missing = _missing(self._node["metadata"], wanted["metadata"])
        if missing:
            patch = {"metadata": missing}
            self._node = await self._client.patch(NODES, description.name, patch)
        status = node_object.status(description, _seconds())
        before = (self._node.get("status") or {}).get("conditions") or ()
        status["conditions"] = node_object.keep_transitions(status["conditions"], before)
        self._node = await self._client.patch_status(
            NODES, description.name, {"status": status}, kind="strategic"
        )

    async def _offer_extended_resources(self, status: dict[str, Any]) -> None:
        """What somebody else has added to the node's capacity can be allocated."""
        if changes := node_object.extended_changes(status):
            patch = {"status": {"allocatable": changes}}
            name = self._node["metadata"]["name"]
            await self._client.patch_status(NODES, name, patch, kind="strategic")

    async def _renew_lease(self) -> None:
        name, uid = self._node["metadata"]["name"], self._node["metadata"]["uid"]
        wanted = node_object.lease(name, uid, _microseconds(), LEASE_SECONDS)
        try:
            if self._lease is None:
                self._lease = await self._client.create(LEASES, wanted)
                return
            wanted["metadata"]["resourceVersion"] = self._lease["metadata"]["resourceVersion"]
            self._lease = await self._client.update(LEASES, wanted)
        except (AlreadyExists, Conflict):
            self._lease = await self._client.get(LEASES, name, LEASE_NAMESPACE)
            wanted["metadata"]["resourceVersion"] = self._lease["metadata"]["resourceVersion"]
            self._lease = await self._client.update(LEASES, wanted)
        except NotFound:
            self._lease = None


def _now() -> float:
    return asyncio.get_running_loop().time()


def _missing(present: dict[str, Any], wanted: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The labels and annotations that a Node lacks."""
    result = {}
    for field in ("labels", "annotations"):
        values = present.get(field) or {}
        missing = {key: text for key, text in wanted[field].items() if values.get(key) != text}
        if missing:
            result[field] = missing
    return result


def _seconds() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _microseconds() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
