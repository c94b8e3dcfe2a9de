"""Whether a pod is evicted for the disk space that it uses. Pure.

Limits and messages are the kubelet's: ephemeral-storage of a container, of the pod as a whole, and
sizeLimit of an emptyDir. :mod:`kubelite.node.runtime.storage` does the measuring.
"""

from __future__ import annotations

from functools import reduce

from kubelite.node.runtime.records import Storage
from kubelite.objects.facts import quantity
from kubelite.objects.pod import qos
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.qos import DISK

REASON = "Evicted"


def eviction_message(pod: Pod, used: Storage) -> str:
    """The message of the eviction, "" for a pod within its limits."""
    return _volumes(pod, used) or _whole(pod, used) or _containers(pod, used)


def _volumes(pod: Pod, used: Storage) -> str:
    for volume in pod.spec.volumes:
        source = volume.empty_dir
        if source is None or source.size_limit is None or source.medium:
            continue
        limit = quantity.value(str(source.size_limit))
        if used.volumes.get(volume.name, 0) > limit > 0:
            usage = f'Usage of EmptyDir volume "{volume.name}"'
            return f'{usage} exceeds the limit "{source.size_limit}". '
    return ""


def _whole(pod: Pod, used: Storage) -> str:
    limit = qos.pod_limits(pod).get(DISK, 0)
    if not 0 < limit < used.total:
        return ""
    texts = [
        container.resources.limits[DISK]
        for container in pod.spec.containers
        if DISK in container.resources.limits
    ]
    total = reduce(quantity.add, texts)
    usage = "Pod ephemeral local storage usage"
    return f"{usage} exceeds the total limit of containers {total}. "


def _containers(pod: Pod, used: Storage) -> str:
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        limit = qos.limits(container).get(DISK, 0)
        if 0 < limit < used.containers.get(container.name, 0):
            text = container.resources.limits[DISK]
            return (
                f'Container {container.name} exceeded its local ephemeral storage limit "{text}". '
            )
    return ""
