"""``pod stats``: what a pod and each of its containers use, counted by the same cgroups that keep their limits."""

from __future__ import annotations

from typing import Any

from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.cgroup.usage import Usage, read_usage
from kubelite.node.runtime.container import group
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import Observed
from kubelite.node.runtime.storage import measure


def stats(home: Home, seen: Observed) -> dict[str, Any]:
    """Plain values: ``pod`` and ``containers`` by name, each with cpu in nanoseconds, memory and disk in bytes, tasks.

    A figure that this machine does not keep, or of a container that does not run, is None.
    """
    uid = seen.pod.uid
    records = [each.record for each in seen.containers]
    disk = measure(home, seen.pod, records)
    with CgroupTree(read_world(), home.cgroup) as tree:
        return {
            "name": seen.pod.name,
            "namespace": seen.pod.namespace,
            "pod": _figures(read_usage(tree, uid), disk.total),
            "containers": {
                each.name: _figures(
                    read_usage(tree, uid, group(each.name, each.attempt)), disk.containers.get(each.name, 0)
                )
                for each in records
            },
            "volumes": disk.volumes,
        }


def _figures(usage: Usage, disk: int) -> dict[str, Any]:
    return {**usage._asdict(), "disk": disk}
