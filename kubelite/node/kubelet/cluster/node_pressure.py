"""Watches over what is left of this machine, and evicts pods before it runs out.

Every ten seconds a few files of /proc and two file systems are looked at; pods are measured only
when a threshold is met. At most one pod is evicted a round.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping

from kubelite.node.kubelet.act import config_file
from kubelite.node.kubelet.cluster import image_collection
from kubelite.node.kubelet.cluster.cluster_pods import ClusterPods
from kubelite.node.kubelet.decide import node_pressure_eviction
from kubelite.node.kubelet.decide.node_config import NodeConfig, seconds
from kubelite.node.kubelet.decide.node_pressure_eviction import (
    Amount,
    Candidate,
    Met,
    Threshold,
    Used,
)
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.kubelet.stats.figures import PodFigures
from kubelite.node.kubelet.stats.measuring import measure_node, measure_pods
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import API
from kubelite.node.runtime.storage import inodes

ROUND_SECONDS = 10.0
_EVENTS = {
    node_pressure_eviction.MEMORY: ("NodeHasSufficientMemory", "NodeHasInsufficientMemory"),
    node_pressure_eviction.DISK: ("NodeHasNoDiskPressure", "NodeHasDiskPressure"),
    node_pressure_eviction.PIDS: ("NodeHasSufficientPID", "NodeHasInsufficientPID"),
}

_log = logging.getLogger("kubelite.node")


class NodePressure:
    """The pressure on the node ``node``. ``report`` tells the API the conditions that hold."""

    def __init__(
        self,
        home: Home,
        node: str,
        pods: ClusterPods,
        report: Callable[[frozenset[str]], Awaitable[None]],
    ) -> None:
        self._home, self._node, self._pods, self._report = home, node, pods, report
        self._last_met: dict[str, float] = {}
        self._since: Mapping[Threshold, float] = {}
        self._held: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Looks, reports and relieves until cancelled."""
        while True:
            try:
                await self._round()
            except Exception:  # noqa: BLE001  # the node has to go on watching over itself
                _log.exception("the node's pressure cannot be judged")
            await asyncio.sleep(ROUND_SECONDS)

    async def _round(self) -> None:
        config = config_file.read(self._home)
        met = await asyncio.to_thread(self._met, config)
        now = time.monotonic()
        self._since = node_pressure_eviction.met_since(self._since, met, now)
        self._last_met = node_pressure_eviction.last_met(self._last_met, met, now)
        transition = seconds(config.eviction_pressure_transition_period)
        held = node_pressure_eviction.conditions(self._last_met, now, transition)
        self._pods.pressures = held
        if held != self._held:
            await self._report(held)
            self._announce(held)
            self._held = held
        await asyncio.to_thread(image_collection.collect, self._home, config, _force(met))
        if due := node_pressure_eviction.due(met, self._since, now):
            await self._relieve(due[0], config)

    def _announce(self, held: frozenset[str]) -> None:
        for kind in sorted(held ^ self._held):
            reason = _EVENTS[kind][kind in held]
            text = f"Node {self._node} status is now: {reason}"
            self._pods.node_event(reason, text, warning=False)

    def _met(self, config: NodeConfig) -> list[Met]:
        thresholds = node_pressure_eviction.thresholds(config)
        return node_pressure_eviction.met(thresholds, self._amounts(), self._since)

    def _amounts(self) -> dict[str, Amount]:
        node = measure_node(self._home)
        return {
            "memory.available": Amount(node.available, node.memory_capacity),
            "nodefs.available": Amount(node.root.available, node.root.capacity),
            "nodefs.inodesFree": Amount(node.root.inodes_free, node.root.inodes),
            "imagefs.available": Amount(node.images.available, node.images.capacity),
            "imagefs.inodesFree": Amount(node.images.inodes_free, node.images.inodes),
            "pid.available": Amount(node.max_tasks - node.tasks, node.max_tasks),
        }

    async def _relieve(self, reason: Met, config: NodeConfig) -> None:
        """Evicts the pod that goes first, unless removed images were enough."""
        resource = reason.kind.resource
        text = f"Attempting to reclaim {resource}"
        self._pods.node_event("EvictionThresholdMet", text, warning=True)
        if not await asyncio.to_thread(self._met_again, config, reason):
            return
        candidates = await asyncio.to_thread(lambda: list(self._candidates(resource)))
        for candidate in node_pressure_eviction.ranked(candidates, resource):
            message = node_pressure_eviction.message(reason, candidate)
            grace = node_pressure_eviction.grace(reason, candidate.pod, config)
            if await asyncio.to_thread(self._pods.evict, candidate.uid, message, grace):
                return

    def _met_again(self, config: NodeConfig, reason: Met) -> list[Met]:
        """A threshold as it is now, where it is still met."""
        return [again for again in self._met(config) if again.of == reason.of]

    def _candidates(self, resource: str) -> Iterator[Candidate]:
        """The pods of the API that run, with what they use of a resource."""
        queries = Pods(self._home).queries
        records = {record.uid: record for record in queries.records()}
        disks = resource == "ephemeral-storage"
        for figures in measure_pods(self._home, self._node, disks=disks):
            record = records.get(figures.uid)
            if record is None or record.origin != API or record.reason:
                continue
            used = inodes(self._home, record) if resource == "inodes" else _used(figures, resource)
            yield Candidate(
                figures.uid, queries.pod(record), used, _by_container(figures, resource)
            )


def _force(met: list[Met]) -> bool:
    """Whether images go though their own threshold is not reached: the disk is short already."""
    return any(reason.kind.condition == node_pressure_eviction.DISK for reason in met)


def _used(figures: PodFigures, resource: str) -> int:
    amounts = {
        "memory": figures.usage.working_set,
        "ephemeral-storage": figures.disk,
        "pids": figures.usage.tasks,
    }
    return amounts.get(resource) or 0


def _by_container(figures: PodFigures, resource: str) -> list[Used]:
    amounts = {
        container.name: container.usage.working_set if resource == "memory" else container.disk
        for container in figures.containers
    }
    if resource not in ("memory", "ephemeral-storage"):
        return []
    return [Used(name, amount) for name, amount in amounts.items() if amount is not None]
