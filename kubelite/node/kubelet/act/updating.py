"""Changing a pod where it is: what has to change goes on record in one write, and its worker makes
it so.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act import claims, resizing
from kubelite.node.kubelet.act.pod_state import Scene
from kubelite.node.kubelet.act.worker import Worker
from kubelite.node.kubelet.decide import policy
from kubelite.node.kubelet.decide.changes import Changes, between
from kubelite.node.runtime.errors import Conflict
from kubelite.node.runtime.records import PodRecord
from kubelite.objects.pod.pod import Pod

CREATE, NOTHING, UPDATE, REPLACE = "create", "nothing", "update", "replace"


class Plan(NamedTuple):
    """What bringing a pod up would do: ``kind`` is one of CREATE, NOTHING, UPDATE and REPLACE,
    ``lines`` say it in detail.
    """

    kind: str
    lines: tuple[str, ...]


def plan(scene: Scene | None, pod: Pod) -> Plan:
    """From what is there, looked at, to what is wanted."""
    if scene is None:
        spec = pod.spec
        parts = [("init container", spec.init_containers), ("container", spec.containers)]
        return Plan(
            CREATE,
            tuple(f"{kind} {each.name}: {each.image}" for kind, group in parts for each in group),
        )
    if scene.record.source == claims.digest(pod):
        return Plan(NOTHING, ())
    found = wanted(scene, pod)
    return Plan(REPLACE, found.needs_new) if found.needs_new else Plan(UPDATE, found.notes)


def wanted(scene: Scene, pod: Pod) -> Changes:
    """What differs; a pod that has ended is not changed any more."""
    found = between(scene.pod, pod)
    if policy.is_over(scene.pod, scene.seen):
        found += Changes(needs_new=("the pod has ended",))
    return found


def refuse(record: PodRecord, found: Changes) -> Conflict:
    """Why a pod cannot be changed in place."""
    return Conflict(
        f'pod "{record.name}" of namespace "{record.namespace}" is there already, and this needs a new pod: '
        + ", ".join(found.needs_new),
        hint="--replace takes it down and creates it anew",
    )


def put(worker: Worker, tree: CgroupTree, pod: Pod) -> Changes:
    """Puts the new specification on record; the pod's lock is held. Raises Conflict."""
    scene = worker.scene
    found = wanted(scene, pod)
    if found.needs_new:
        raise refuse(scene.record, found)
    if scene.record.paused:
        raise Conflict(
            f'pod "{scene.record.name}" is paused',
            hint=f"`kubelite pod unpause {scene.record.name}` first",
        )
    if found.resizes:
        stays = [
            each
            for each in scene.seen.containers
            if each.running and each.record.name not in found.swaps
        ]
        resizing.check(tree, scene.uid, pod, stays)
    last = {
        each.record.name: each.record.attempt
        for each in scene.seen.containers
        if each.record.name in found.swaps
    }
    record = msgspec.structs.replace(
        scene.record,
        pod=msgspec.Raw(msgspec.json.encode(pod)),
        source=claims.digest(pod),
        swaps={**scene.record.swaps, **last},
        resize=bool(found.resizes) or scene.record.resize,
    )
    scene.ledger.save_pod(record)
    scene.ledger.flush_pod(scene.uid)
    worker.look()
    worker.forgive(last)
    return found
