"""``/stats/summary``: the figures of a node as the kubelet's document. Pure.

Fields and units are those of kubernetes, ``k8s.io/kubelet/pkg/apis/stats/v1alpha1``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kubelite.lib.json import Object
from kubelite.node.kubelet.decide.container_status import rfc3339
from kubelite.node.kubelet.decide.restart_policy import SECOND
from kubelite.node.kubelet.stats.figures import (
    ContainerFigures,
    Filesystem,
    NodeFigures,
    PodFigures,
)
from kubelite.node.kubelet.stats.rates import AGENT, NODE, Sample

if TYPE_CHECKING:
    from kubelite.node.cgroup.usage import Usage
    from kubelite.node.network.counters import Interface


def summary(sample: Sample, name: str, *, only_cpu_and_memory: bool = False) -> Object:
    """The document of the node ``name``."""
    node, pods = sample.figures
    teller = _Teller(rfc3339(int(node.at * SECOND)), sample.rates, brief=only_cpu_and_memory)
    return {"node": teller.node(node, name), "pods": [teller.pod(pod, node) for pod in pods]}


class _Teller:
    """``now`` is the time of the figures; ``brief``: only CPU and memory are told."""

    def __init__(self, now: str, rates: Mapping[str, int], *, brief: bool) -> None:
        self._now, self._rates, self._brief = now, rates, brief

    def node(self, node: NodeFigures, name: str) -> Object:
        document = {
            "nodeName": name,
            "systemContainers": [self._agent(node)],
            "startTime": _time(node.booted_at),
            "cpu": self._cpu(NODE, node.cpu_ns),
            "memory": {
                "time": self._now,
                "availableBytes": node.available,
                "usageBytes": node.memory_used,
                "workingSetBytes": node.working_set,
                "rssBytes": node.anonymous,
                "pageFaults": node.page_faults,
                "majorPageFaults": node.major_page_faults,
            },
            "swap": {
                "time": self._now,
                "swapAvailableBytes": node.swap_capacity - node.swap_used,
                "swapUsageBytes": node.swap_used,
            },
        }
        if self._brief:
            return document
        images = self._filesystem(node.images)
        return document | {
            "network": self._network(node.network),
            "fs": self._filesystem(node.root),
            "runtime": {"imageFs": images, "containerFs": self._filesystem(node.root)},
            "rlimit": {"time": self._now, "maxpid": node.max_tasks, "curproc": node.tasks},
        }

    def pod(self, pod: PodFigures, node: NodeFigures) -> Object:
        document: Object = {
            "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "startTime": _time(pod.started_at),
            "containers": [self._container(container, node) for container in pod.containers],
            **self._usage(pod.uid, pod.usage, 0),
        }
        if self._brief:
            return document
        volumes = [
            {"name": name, **self._filesystem(node.root._replace(used=used))}
            for name, used in (pod.volumes or {}).items()
        ]
        document |= {
            "network": self._network(pod.network),
            "ephemeral-storage": self._filesystem(node.root._replace(used=pod.disk)),
        }
        if volumes:
            document["volume"] = volumes
        if pod.usage.tasks is not None:
            document["process_stats"] = {"process_count": pod.usage.tasks}
        return document

    def _container(self, container: ContainerFigures, node: NodeFigures) -> Object:
        limit = container.resources.memory_limit
        document = {
            "name": container.name,
            "startTime": _time(container.started_at),
            **self._usage(container.id, container.usage, limit),
        }
        if not self._brief:
            document["rootfs"] = self._filesystem(node.root._replace(used=container.disk))
        return document

    def _agent(self, node: NodeFigures) -> Object:
        memory = {"time": self._now, "workingSetBytes": node.agent.memory}
        return {
            "name": "kubelet",
            "startTime": _time(node.agent.started_at),
            "cpu": self._cpu(AGENT, node.agent.cpu_ns),
            "memory": memory | {"usageBytes": node.agent.memory, "rssBytes": node.agent.memory},
        }

    def _cpu(self, key: str, total: int) -> Object:
        figures: Object = {"time": self._now, "usageCoreNanoSeconds": total}
        rate = self._rates.get(key)
        return figures if rate is None else figures | {"usageNanoCores": rate}

    def _usage(self, key: str, usage: Usage, memory_limit: int) -> Object:
        """CPU, memory and swap of a group, as far as this machine counts them."""
        figures: Object = {}
        if usage.cpu_ns is not None:
            figures["cpu"] = self._cpu(key, usage.cpu_ns)
        if usage.working_set is not None:
            figures["memory"] = {"time": self._now} | _known(
                availableBytes=max(memory_limit - usage.working_set, 0) if memory_limit else None,
                usageBytes=usage.memory,
                workingSetBytes=usage.working_set,
                rssBytes=usage.anonymous,
                pageFaults=usage.page_faults,
                majorPageFaults=usage.major_page_faults,
            )
        if usage.swap is not None:
            figures["swap"] = {"time": self._now, "swapUsageBytes": usage.swap}
        return figures

    def _network(self, interfaces: Sequence[Interface]) -> Object:
        """The kubelet repeats the first interface as the default one."""
        listed = [
            {
                "name": interface.name,
                "rxBytes": interface.received,
                "rxErrors": interface.receive_errors,
                "txBytes": interface.sent,
                "txErrors": interface.send_errors,
            }
            for interface in interfaces
        ]
        return {"time": self._now, **(listed[0] if listed else {"name": ""}), "interfaces": listed}

    def _filesystem(self, filesystem: Filesystem) -> Object:
        return {"time": self._now} | _known(
            availableBytes=filesystem.available,
            capacityBytes=filesystem.capacity,
            usedBytes=filesystem.used,
            inodesFree=filesystem.inodes_free,
            inodes=filesystem.inodes,
            inodesUsed=filesystem.inodes - filesystem.inodes_free,
        )


def _time(seconds: float) -> str:
    return rfc3339(int(seconds * SECOND))


def _known(**figures: int | None) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if value is not None}
