"""``pod inspect``: the pod's object with the kernel objects and files that belong to it."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from kubelite.node.cgroup.classes import below, class_of
from kubelite.node.kubelet.act import pod_events
from kubelite.node.kubelet.act.pod_events import Event
from kubelite.node.kubelet.decide.container_status import rfc3339
from kubelite.node.network.pod import PodNetwork
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import ObservedContainer, ObservedPod
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.qos import qos_class

_NAMESPACES = ("net", "ipc", "uts", "pid", "mnt", "cgroup", "user")


def describe(home: Home, pod: Pod, observed: ObservedPod) -> dict[str, Any]:
    """Plain values: ``pod``, ``stage``, ``sandbox`` (None without one), ``containers`` by name,
    ``events`` oldest first, ``paths``."""
    record = observed.pod
    logs = home.pod_logs(record.namespace, record.name, record.uid)
    return {
        "pod": msgspec.to_builtins(pod),
        "stage": record.stage,
        "sandbox": _sandbox(home, pod, observed),
        "containers": {c.record.name: _container(c, logs) for c in observed.containers},
        "events": [_event(e) for e in pod_events.read(pod_events.path(home.pod(record.uid)))],
        "paths": {"state": home.pod(record.uid), "run": home.pod_run(record.uid), "logs": logs},
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(event),
        "time": rfc3339(event.time),
        "first": rfc3339(event.first),
    }


def _sandbox(home: Home, pod: Pod, observed: ObservedPod) -> dict[str, Any] | None:
    record = observed.sandbox
    if record is None:
        return None
    lease = PodNetwork(home.run, home.key, home.lock).lease(record.uid)
    return {
        "up": observed.up,
        "shim": record.shim_pid,
        "pause": record.pause_pid,
        "cgroup": f"{home.cgroup}/{below(class_of(qos_class(pod)), f'pod{record.uid}')}",
        "bridge": lease.bridge if lease else None,
        "interface": lease.interface if lease else None,
        "address": None if record.gone else record.address or None,
        "ipv6": None if record.gone else record.ipv6 or None,
        "namespaces": namespaces(record.pause_pid) if observed.up else {},
    }


def _container(observed: ObservedContainer, logs: str) -> dict[str, Any]:
    record = observed.record
    return {
        "id": record.id,
        "pid": record.pid if observed.running else None,
        "attempt": record.attempt,
        "image": record.image,
        "imageID": record.image_id,
        "user": record.uid,
        "group": record.gid,
        "running": observed.running,
        "exit": msgspec.to_builtins(observed.exit) if observed.exit else None,
        "log": f"{logs}/{record.name}/{record.attempt}.log",
        "namespaces": namespaces(record.pid) if observed.running else {},
    }


def namespaces(pid: int) -> dict[str, str]:
    """The namespaces of a process as in /proc/PID/ns, by kind; empty for one that is gone."""
    links = {}
    for kind in _NAMESPACES:
        try:
            links[kind] = os.readlink(f"/proc/{pid}/ns/{kind}")
        except OSError:
            continue
    return links
