"""Nodes without a machine: they are ready, and their pods run, end and go as their scripts say."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from kubelite.client.client import Client
from kubelite.client.errors import ApiError
from kubelite.client.informers import Informers
from kubelite.client.resources import LEASES, NODES, PODS
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    format_time,
    key_of,
    labels_of,
    namespace_of,
    spec_of,
    uid_of,
)
from kubelite.objects.facts.labels import Selector
from kubelite.testing.clock import Call, ForwardClock
from kubelite.testing.pod_status import RUNNING, PodScript, next_step, node_status

LEASE_SPACE = "kube-node-lease"
RENEW_SECONDS = 10.0
CAPACITY = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "100Gi", "pods": "500"}

_log = logging.getLogger("kubelite.testing")


class _Rule(NamedTuple):
    """Which pods to come have a script: those of these ``turns``."""

    namespace: str
    selector: Selector
    script: PodScript
    turns: Iterator[int]


class FakeKubelet:
    """The kubelets of all nodes of a test. Lives in the event loop of the control plane."""

    def __init__(self, client: Client, clock: ForwardClock) -> None:
        self._client = client
        self._clock = clock
        self._informers = Informers(client)
        self._pods = self._informers.of(PODS)
        self._addresses: dict[str, str] = {}
        self._lost: set[str] = set()
        self._pod_ips = itertools.count(1)
        self._rules: list[_Rule] = []
        self._scripts: dict[str, PodScript] = {}
        self._queue: dict[Key, None] = {}
        self._has_work = asyncio.Event()
        self._is_busy = False
        self._tasks: list[asyncio.Task[None]] = []
        self._renewal: Call | None = None

    async def start(self) -> None:
        """Begins to look after pods."""
        await self._pods.wait_synced()
        self._pods.add_handler(self._changed)
        self._tasks.append(asyncio.create_task(self._work(), name="fake-kubelet"))
        await self.renew(self._clock.now())

    async def close(self) -> None:
        """Looks after nothing any more."""
        if self._renewal is not None:
            self._renewal.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._informers.close()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do for any pod now."""
        return not self._queue and not self._is_busy

    # Nodes

    async def add_node(
        self, name: str, labels: Mapping[str, str], capacity: Mapping[str, str]
    ) -> Obj:
        """A node that is ready. Returns it."""
        number = len(self._addresses) + 1
        self._addresses[name] = f"192.0.2.{number % 254 + 1}"
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}}
        await self._client.create(NODES, {"metadata": metadata})
        await self._renew(name, self._clock.now())
        return await self._report_node(name, {**CAPACITY, **capacity})

    async def lose_node(self, name: str) -> None:
        """Nothing is heard of the node and its pods from now on."""
        self._lost.add(name)

    async def regain_node(self, name: str) -> Obj:
        """The node is back, and goes on with its pods. Returns it."""
        self._lost.discard(name)
        await self._renew(name, self._clock.now())
        node = await self._client.get(NODES, name)
        back = await self._report_node(name, node["status"]["capacity"])
        for pod in self._pods.by_index("node", name):
            self._add(key_of(pod))
        return back

    async def _report_node(self, name: str, capacity: Mapping[str, str]) -> Obj:
        status = node_status(capacity, self._addresses[name], now=self._clock.now())
        return await self._client.patch_status(NODES, name, {"status": status}, kind="strategic")

    async def renew(self, when: float) -> None:
        """All nodes that are not lost say that they are alive at that time, and again some seconds
        after it.
        """
        if self._renewal is not None:
            self._renewal.cancel()
        for name in self._addresses.keys() - self._lost:
            with contextlib.suppress(ApiError):
                await self._renew(name, when)
        self._renewal = self._clock.call_at(when + RENEW_SECONDS, self._renew_now)

    def _renew_now(self) -> None:
        task = asyncio.ensure_future(self.renew(self._clock.now()))
        task.add_done_callback(self._tasks.remove)
        self._tasks.append(task)

    async def _renew(self, node: str, when: float) -> None:
        renewed = format_time(when).replace("Z", ".000000Z")
        spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": renewed}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}
        lease["metadata"] = {"name": node, "namespace": LEASE_SPACE}
        await self._client.apply(LEASES, lease, field_manager="kubelet", force=True)

    # Pods

    def script(
        self, namespace: str, selector: Selector, script: PodScript, times: int | None
    ) -> None:
        """What becomes of pods that are still to come: of ``times`` of them, None for all. Of
        several scripts for a pod the one given last counts.
        """
        turns = iter(range(times)) if times is not None else itertools.count()
        self._rules.append(_Rule(namespace, selector, script, turns))

    def rescript(self, pod: Obj, script: PodScript) -> None:
        """What becomes of a pod from now on."""
        self._scripts[uid_of(pod)] = script
        self._add(key_of(pod))

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            self._scripts.pop(uid_of(old or {"metadata": {}}), None)
        elif spec_of(new).get("nodeName") in self._addresses:
            self._add(key_of(new))

    def _add(self, key: Key) -> None:
        self._queue[key] = None
        self._has_work.set()

    async def _work(self) -> None:
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            keys, self._queue = list(self._queue), {}
            self._is_busy = True
            for key in keys:
                try:
                    await self._tend(key)
                except ApiError as error:  # it changed meanwhile, and comes again
                    _log.debug("%s: %s", "/".join(key), error)
            self._is_busy = False

    async def _tend(self, key: Key) -> None:
        pod = self._pods.get(*key)
        node = str(spec_of(pod).get("nodeName") or "") if pod is not None else ""
        if pod is None or node in self._lost or node not in self._addresses:
            return
        address = self._addresses[node]
        now = self._clock.now()
        step = next_step(pod, self._script_of(pod), now, self._next_ip(), address)
        if step.wake_at is not None:
            self._clock.call_at(step.wake_at, lambda: self._add(key))
        if step.report is not None:
            body = {"metadata": {"uid": uid_of(pod)}, "status": step.report}
            await self._client.patch_status(PODS, key[1], body, key[0], kind="strategic")
        if step.delete:
            await self._client.delete(PODS, key[1], key[0], grace_seconds=0, uid=uid_of(pod))

    def _next_ip(self) -> str:
        number = next(self._pod_ips)
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def _script_of(self, pod: Obj) -> PodScript:
        """The script that a pod has since it was first looked at."""
        uid = uid_of(pod)
        if uid not in self._scripts:
            self._scripts[uid] = self._choose(pod)
        return self._scripts[uid]

    def _choose(self, pod: Obj) -> PodScript:
        for rule in reversed(self._rules):
            is_meant = rule.namespace == namespace_of(pod) and rule.selector.matches(labels_of(pod))
            if is_meant and next(rule.turns, None) is not None:
                return rule.script
        return RUNNING
