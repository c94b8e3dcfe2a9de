"""A whole control plane in this process, nodes that are acted, and a clock that stands still."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kubelite.client.client import Client
from kubelite.client.errors import ApiError
from kubelite.client.local import LocalTransport
from kubelite.client.resources import LEASES, NODES, PODS
from kubelite.client.transport import Identity
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.controllers.actions import Plan
from kubelite.control.controllers.controller import DEFAULTS, Controller, Settings
from kubelite.control.controllers.registry import Row, select
from kubelite.control.controllers.shared.meta import (
    annotations_of,
    controller_of,
    format_time,
    is_deleting,
    name_of,
    namespace_of,
    spec_of,
    uid_of,
)
from kubelite.control.controllers.shared.pod_state import condition_of, is_active, phase_of
from kubelite.testing.clock import ManualClock
from kubelite.up.control_plane import ControlPlane
from tests.control.convergence.ledger import TRACKING, Commits, Ledger, Object

ADMIN = Identity("kubernetes-admin", ("system:masters",))
NODE_NAMES = ("n0", "n1", "n2")
OUTCOME = "test/outcome"
"""What becomes of a pod: ``succeed``, or ``fail-N`` (the owner's first N pods fail)."""
SOON = 25.0
"""Timers within so many seconds are waited for: back-off of Jobs, namespaces that end."""
ROUNDS, PATIENCE = 400, 60.0


class World:
    """An API server over a memory store with scheduler and controllers, and acted nodes."""

    def __init__(self, keys: str, chance: random.Random) -> None:
        self.clock = ManualClock(time.time())
        self.ledger = Ledger(self.clock.now)
        self.chance = chance
        self.alive: set[str] = set()
        self.lost: dict[str, float] = {}
        self.plans = 0
        self._keys = keys
        self._backend = Commits(self.ledger)
        self._addresses = itertools.count(1)
        self._failed: dict[str, int] = {}

    # Life

    async def start(self) -> None:
        """The server and everything beside it. What was stored before is still there."""
        self.server = ApiServer(self._backend, Options(self._keys, port=0))
        await self.server.start()
        self.client = Client(LocalTransport(self.server.application, ADMIN))
        await self.start_plane()

    async def start_plane(self) -> None:
        rows = tuple(CountedRow(row, self) for row in select(("*",)))
        application = self.server.application
        self.plane = ControlPlane(application, rows, self.clock, scheduler=True)
        await self.plane.start()

    async def kill_plane(self) -> None:
        """Scheduler and controllers end where they are, in the middle of whatever it is."""
        for loop in self.plane.controllers.loops:
            for task in loop._workers.values():
                task.cancel()
        await self.plane.close()

    async def close(self) -> None:
        await self.kill_plane()
        await self.server.close()

    # Nodes

    async def add_node(self, name: str) -> None:
        labels = {"kubernetes.io/hostname": name, "zone": f"z{name[-1]}"}
        body = {"metadata": {"name": name, "labels": labels}}
        await self.client.create(NODES, body)
        self.alive.add(name)
        self.lost.pop(name, None)
        await self.heartbeat(self.clock.time)
        amounts = {"cpu": "64", "memory": "64Gi", "pods": "500"}
        stamp = format_time(self.clock.time)
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "lastHeartbeatTime": stamp,
            "lastTransitionTime": stamp,
        }
        status = {"capacity": amounts, "allocatable": amounts, "conditions": [ready]}
        await self.client.patch_status(NODES, name, {"status": status}, kind="strategic")

    async def lose_node(self, name: str) -> None:
        """Nobody hears of the node any more."""
        if name in self.alive:
            self.alive.discard(name)
            self.lost[name] = self.clock.time
        self.ledger.is_disturbed = True

    async def regain_node(self, name: str) -> None:
        """The node is back: it says so, and goes on with its pods."""
        if self.ledger.get("Node", "", name) is None:
            await self.add_node(name)
            return
        self.alive.add(name)
        self.lost.pop(name, None)
        await self.heartbeat(self.clock.time)
        stamp = format_time(self.clock.time)
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        ready |= {"lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
        status = {"status": {"conditions": [ready]}}
        await self.client.patch_status(NODES, name, status, kind="strategic")

    async def heartbeat(self, when: float) -> None:
        """Living nodes renew their Leases."""
        renewed = format_time(when).replace("Z", ".000000Z")
        for name in sorted(self.alive):
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"},
                "spec": {"holderIdentity": name, "renewTime": renewed},
            }
            await self.client.apply(LEASES, body, field_manager=name, force=True)

    async def tend(self, share: float = 1.0) -> bool:
        """What kubelets do: pods start, end as they are told to, and go. ``share`` of them get
        their turn. Whether there was anything to do.
        """
        pods = [pod for pod in self.ledger.all("Pod") if spec_of(pod).get("nodeName") in self.alive]
        chosen = [pod for pod in pods if self._is_due(pod) and self.chance.random() < share]
        for pod in chosen:
            with contextlib.suppress(ApiError):
                await self._tend_pod(pod)
        return bool(chosen)

    def _is_due(self, pod: Object) -> bool:
        return (
            (is_deleting(pod) and (phase_of(pod) in ("Pending", "Running") or not _is_held(pod)))
            or phase_of(pod) == "Pending"
            or (phase_of(pod) == "Running" and self._outcome(pod) != "Running")
            or (phase_of(pod) == "Running" and not is_deleting(pod) and _was_called_lost(pod))
        )

    async def _tend_pod(self, pod: Object) -> None:
        namespace, name = namespace_of(pod), name_of(pod)
        if not is_deleting(pod):
            phase = "Running" if phase_of(pod) == "Pending" else self._outcome(pod)
            await self._report(pod, phase)
            return
        if phase_of(pod) in ("Pending", "Running") and _is_held(pod):
            await self._report(pod, "Failed")
            return
        await self.client.delete(PODS, name, namespace, grace_seconds=0, uid=uid_of(pod))

    async def _report(self, pod: Object, phase: str) -> None:
        stamp = format_time(self.clock.time)
        ready = "True" if phase == "Running" else "False"
        conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": stamp}]
        status: Object = {"phase": phase, "conditions": conditions}
        if phase == "Running" and phase_of(pod) == "Pending":
            number = next(self._addresses)
            address = f"10.0.{number // 250}.{number % 250 + 1}"
            status |= {"podIP": address, "podIPs": [{"ip": address}], "startTime": stamp}
        if phase == "Failed":
            self._failed[_owner_uid(pod)] = self._failed.get(_owner_uid(pod), 0) + 1
        body = {"metadata": {"uid": uid_of(pod)}, "status": status}
        await self.client.patch_status(
            PODS, name_of(pod), body, namespace_of(pod), kind="strategic"
        )

    def _outcome(self, pod: Object) -> str:
        """The phase that a running pod comes to."""
        kind, _, count = annotations_of(pod).get(OUTCOME, "").partition("-")
        if kind == "fail" and self._failed.get(_owner_uid(pod), 0) < int(count):
            return "Failed"
        return "Succeeded" if kind else "Running"

    # Time

    async def advance(self, seconds: float) -> None:
        await self.heartbeat(self.clock.time + seconds)
        await self.idle()
        self.clock.advance(seconds)
        await self.idle()

    async def turns(self, count: int) -> None:
        """Lets everybody in the process go on by so many turns of the event loop."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def idle(self) -> None:
        """Returns when nobody in the process has anything to do until somebody else does."""
        quiet, ends = 0, time.monotonic() + PATIENCE
        while quiet < 3:
            await asyncio.sleep(0)
            is_quiet = not _ready_callbacks() and self.plane.controllers.is_idle
            quiet = quiet + 1 if is_quiet else 0
            if is_quiet:
                await asyncio.sleep(0.0005)
            assert time.monotonic() < ends, f"no rest: {self.ledger.writes} writes"

    async def settle(self) -> None:
        """Lets nodes and controllers go on until there is nothing to do, also not soon."""
        ends = time.monotonic() + PATIENCE
        for _ in range(ROUNDS):
            await self.idle()
            if await self.tend():
                continue
            due = self.clock.due()
            if due and due[0] <= self.clock.time + SOON:
                await self.advance(max(0.0, due[0] - self.clock.time))
            elif self._is_scheduling() and time.monotonic() < ends:
                await asyncio.sleep(0.01)
            else:
                return
        raise AssertionError(f"no rest: {self.ledger.writes} writes")

    def _is_scheduling(self) -> bool:
        """Whether a pod waits for the scheduler, which lives in real time."""
        return bool(self.alive) and any(
            is_active(pod) and not spec_of(pod).get("nodeName") and not _is_refused(pod)
            for pod in self.ledger.all("Pod")
        )


class CountedRow(Row):
    """A controller whose plans are counted."""

    def __new__(cls, row: Row, world: World) -> CountedRow:
        self = super().__new__(cls, *row)
        self.world = world  # type: ignore[attr-defined]
        return self

    def load(self, settings: Settings = DEFAULTS) -> Controller:
        controller = super().load(settings)
        world, plan = self.world, controller.plan  # type: ignore[attr-defined]

        def counted(view: Any, key: Any, now: float) -> Plan:
            world.plans += 1
            return plan(view, key, now)

        return controller._replace(plan=counted)


@asynccontextmanager
async def world_of(keys: str, seed: int) -> AsyncIterator[World]:
    """A cluster of three nodes at rest."""
    world = World(keys, random.Random(seed))
    await world.start()
    try:
        for name in NODE_NAMES:
            await world.add_node(name)
        await world.settle()
        world.ledger.rest()
        yield world
    finally:
        await world.close()


def _ready_callbacks() -> int:
    """How many callbacks the event loop has to run now; asyncio itself does not tell."""
    loop: Any = asyncio.get_running_loop()
    return len(loop._ready)


def _is_held(pod: Object) -> bool:
    return TRACKING in pod["metadata"].get("finalizers", ())


def _owner_uid(pod: Object) -> str:
    reference = controller_of(pod)
    return reference["uid"] if reference else uid_of(pod)


def _is_refused(pod: Object) -> bool:
    condition = condition_of(pod, "PodScheduled")
    return condition is not None and condition["status"] == "False"


def _was_called_lost(pod: Object) -> bool:
    condition = condition_of(pod, "Ready")
    return condition is not None and condition["status"] == "False"


__all__ = ["NODE_NAMES", "OUTCOME", "World", "world_of"]
