"""Changes a pod in place: the new specification goes on record in one write, and the pod's worker
applies it.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec

from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act import facts, pod_names, resizing
from kubelite.node.kubelet.act.pod_names import Documents
from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.kubelet.act.worker import Worker
from kubelite.node.kubelet.decide import resize_allocation, restart_policy
from kubelite.node.kubelet.decide.admitting import Refusal
from kubelite.node.kubelet.decide.changes import Changes, changes_between, document_changes
from kubelite.node.kubelet.decide.resize_allocation import with_resources_of
from kubelite.node.runtime.errors import Conflict
from kubelite.node.runtime.records import PendingResize, PodRecord, ResizeInProgress
from kubelite.objects.pod.pod import Pod

CREATE, NOTHING, UPDATE, REPLACE = "create", "nothing", "update", "replace"


class Plan(NamedTuple):
    """What `pod up` would do: ``kind`` is CREATE, NOTHING, UPDATE or REPLACE, ``lines`` are the
    details.
    """

    kind: str
    lines: tuple[str, ...]


def plan(state: PodState | None, pod: Pod, documents: Documents | None = None) -> Plan:
    """The plan for ``pod``, from the refreshed state of the pod that has its name, or None."""
    if state is None:
        spec = pod.spec
        parts = [("init container", spec.init_containers), ("container", spec.containers)]
        return Plan(
            CREATE,
            tuple(
                f"{kind} {container.name}: {container.image}"
                for kind, group in parts
                for container in group
            ),
        )
    if pod_names.is_recorded(state.record, pod, documents):
        return Plan(NOTHING, ())
    changes = _changes(state, pod, documents)
    return Plan(REPLACE, changes.needs_new) if changes.needs_new else Plan(UPDATE, changes.notes)


def _changes(state: PodState, pod: Pod, documents: Documents | None) -> Changes:
    """What differs. A pod that has finished cannot be changed any more."""
    changes = changes_between(state.pod, pod)
    if documents is not None:
        changes += document_changes(msgspec.json.decode(state.record.documents), documents)
    if restart_policy.is_finished(state.pod, state.observed):
        changes += Changes(needs_new=("the pod has finished",))
    return changes


def _conflict(record: PodRecord, changes: Changes) -> Conflict:
    pod = f'pod "{record.name}" of namespace "{record.namespace}"'
    return Conflict(
        f"{pod} exists already, and this needs a new pod: " + ", ".join(changes.needs_new),
        hint="--replace removes it and creates a new one",
    )


def put(worker: Worker, tree: CgroupTree, pod: Pod, documents: Documents | None = None) -> Changes:
    """Records the new specification; the caller holds the pod's lock. Raises Conflict."""
    state = worker.state
    changes = _changes(state, pod, documents)
    if changes.needs_new:
        raise _conflict(state.record, changes)
    if state.record.paused:
        raise Conflict(
            f'pod "{state.record.name}" is paused',
            hint=f"`kubelite pod unpause {state.record.name}` first",
        )
    if changes.resizes:
        _check_resize(state, tree, pod, changes)
    _record(worker, pod, changes, documents)
    return changes


def put_accepted(worker: Worker, desired: Pod, refused: Refusal | None) -> PendingResize | None:
    """Records what an API server has accepted of a change, if it is one: whatever cannot be changed
    in place the API server refuses. The resources stay what they are where the node has
    ``refused`` a resize; then what is on record of that is returned. The caller holds the pod's
    lock.
    """
    state = worker.state
    generation = desired.metadata.generation or 0
    pod, before = desired, state.record.pending_resize
    pending: PendingResize | None = None
    if refused is not None:
        pod = with_resources_of(desired, state.pod)
        since = before.since if before is not None else time.time_ns()
        pending = PendingResize(
            reason=refused.reason, message=refused.message, since=since, generation=generation
        )
    changes = changes_between(state.pod, pod)
    if changes == Changes() and pending == before and generation == state.pod.metadata.generation:
        return pending
    if pending is not None and pending != before:
        prefix = f"Pod resize {pending.reason}"
        message = resize_allocation.event_message(prefix, desired, pending.message)
        state.event(f"Resize{pending.reason}", message, warning=True)
    state.record.pending_resize = pending
    _record(worker, pod, changes, None)
    return pending


def _check_resize(state: PodState, tree: CgroupTree, pod: Pod, changes: Changes) -> None:
    """Raises Conflict for what the node does not have and for limits below the present usage."""
    machine = {"cpu": facts.cpus() * 1000, "memory": facts.memory()}
    if refused := resize_allocation.refusal(pod, (), machine):
        raise Conflict(f"the resize is infeasible: {refused.message}")
    unaffected = [
        container
        for container in state.observed.containers
        if container.running and container.record.name not in changes.restarts
    ]
    resizing.check(tree, state.uid, pod, unaffected)


def _record(worker: Worker, pod: Pod, changes: Changes, documents: Documents | None) -> None:
    state = worker.state
    if changes.resizes:
        state.event("ResizeStarted", resize_allocation.event_message("Pod resize started", pod))
    last_attempts = {
        container.record.name: container.record.attempt
        for container in state.observed.containers
        if container.record.name in changes.restarts
    }
    kept = state.record.documents
    record = msgspec.structs.replace(
        state.record,
        pod=msgspec.Raw(msgspec.json.encode(pod)),
        documents=kept if documents is None else pod_names.encoded(documents),
        source=pod_names.digest(pod),
        stale_attempts={**state.record.stale_attempts, **last_attempts},
        resize=bool(changes.resizes) or state.record.resize,
        resizing=_in_progress(state, pod) if changes.resizes else state.record.resizing,
    )
    state.timeline.flush()
    state.ledger.save_pod(record)
    state.ledger.flush_pod(state.uid)
    worker.refresh()
    worker.end_backoff(last_attempts)


def _in_progress(state: PodState, pod: Pod) -> ResizeInProgress:
    """A resize that begins. One whose limits could not be set has changed nothing: what is in the
    cgroups is what was there before that one.
    """
    before = state.record.resizing
    former = before.former if before is not None else resize_allocation.amounts_by_name(state.pod)
    return ResizeInProgress(
        since=time.time_ns(), generation=pod.metadata.generation or 0, former=former
    )
