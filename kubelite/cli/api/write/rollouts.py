"""How far a rollout is, and which revisions there are, in kubectl's words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kubelite.cli.common.diagnostic import clean
from kubelite.control.controllers.workloads.deployment_revisions import HASH_LABEL
from kubelite.control.controllers.workloads.rollout import REVISION
from kubelite.lib.json import Object

CHANGE_CAUSE = "kubernetes.io/change-cause"


class RolloutError(ValueError):
    """The rollout cannot go on, or the object has none; the message is kubectl's."""


class State(NamedTuple):
    """One sentence, and whether the rollout is over."""

    sentence: str
    is_done: bool = False


class Revision(NamedTuple):
    """A revision: its number, why it was made, and the object that keeps it."""

    number: int
    cause: str
    obj: Object


def state(kind: str, obj: Object) -> State:
    """How far the rollout of an object is. Raises RolloutError."""
    status = obj.get("status") or {}
    judge = {"Deployment": _deployment, "DaemonSet": _daemon_set, "StatefulSet": _stateful_set}
    if kind not in judge:
        raise RolloutError(f"no status viewer has been implemented for {kind}")
    noun = {"Deployment": "deployment", "DaemonSet": "daemon set", "StatefulSet": "statefulset"}
    if obj["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return State(f"Waiting for {noun[kind]} spec update to be observed...")
    return judge[kind](obj["metadata"]["name"], obj["spec"], status)


def _deployment(name: str, spec: Object, status: Object) -> State:
    conditions = status.get("conditions") or ()
    progress = [row.get("reason") for row in conditions if row["type"] == "Progressing"]
    if "ProgressDeadlineExceeded" in progress:
        raise RolloutError(f'deployment "{name}" exceeded its progress deadline')
    waiting = f'Waiting for deployment "{name}" rollout to finish:'
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    desired, total = spec.get("replicas", 1), status.get("replicas", 0)
    if updated < desired:
        return State(f"{waiting} {updated} out of {desired} new replicas have been updated...")
    if total > updated:
        return State(f"{waiting} {total - updated} old replicas are pending termination...")
    if available < updated:
        return State(f"{waiting} {available} of {updated} updated replicas are available...")
    return State(f'deployment "{name}" successfully rolled out', is_done=True)


def _daemon_set(name: str, spec: Object, status: Object) -> State:
    if (spec.get("updateStrategy") or {}).get("type") != "RollingUpdate":
        raise RolloutError("rollout status is only available for RollingUpdate strategy type")
    waiting = f'Waiting for daemon set "{name}" rollout to finish:'
    desired = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if updated < desired:
        return State(f"{waiting} {updated} out of {desired} new pods have been updated...")
    if available < desired:
        return State(f"{waiting} {available} of {desired} updated pods are available...")
    return State(f'daemon set "{name}" successfully rolled out', is_done=True)


def _stateful_set(name: str, spec: Object, status: Object) -> State:
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") != "RollingUpdate":
        raise RolloutError("rollout status is only available for RollingUpdate strategy type")
    desired, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    updated = status.get("updatedReplicas", 0)
    if ready < desired:
        return State(f"Waiting for {desired - ready} pods to be ready...")
    if partition := (strategy.get("rollingUpdate") or {}).get("partition", 0):
        if updated < desired - partition:
            return State(
                f"Waiting for partitioned roll out to finish: {updated} out of"
                f" {desired - partition} new pods have been updated..."
            )
        return State(
            f"partitioned roll out complete: {updated} new pods have been updated...", is_done=True
        )
    target, current = status.get("updateRevision"), status.get("currentRevision")
    if target != current:
        return State(
            f"waiting for statefulset rolling update to complete {updated} pods at revision"
            f" {target}..."
        )
    return State(
        f"statefulset rolling update complete {status.get('currentReplicas', 0)} pods at revision"
        f" {current}...",
        is_done=True,
    )


def of_replica_sets(owned: Sequence[Object]) -> list[Revision]:
    """The revisions of a Deployment, oldest first."""
    revisions = []
    for obj in owned:
        notes = obj["metadata"].get("annotations") or {}
        if str(notes.get(REVISION, "")).isdecimal():
            revisions.append(Revision(int(notes[REVISION]), notes.get(CHANGE_CAUSE, ""), obj))
    return sorted(revisions, key=lambda revision: revision.number)


def of_controller_revisions(owned: Sequence[Object]) -> list[Revision]:
    """The revisions of a StatefulSet or DaemonSet, oldest first."""
    revisions = [
        Revision(
            int(obj["revision"]),
            (obj["metadata"].get("annotations") or {}).get(CHANGE_CAUSE, ""),
            obj,
        )
        for obj in owned
    ]
    return sorted(revisions, key=lambda revision: revision.number)


def history(label: str, revisions: Sequence[Revision]) -> str:
    """The table of ``rollout history``."""
    lines = [f"{'REVISION':<10}CHANGE-CAUSE"]
    lines += [f"{revision.number:<10}{clean(revision.cause) or '<none>'}" for revision in revisions]
    return f"{label} \n" + "".join(f"{line}\n" for line in lines) + "\n"


def chosen(revisions: Sequence[Revision], number: int, label: str) -> Revision:
    """The revision of a number of the object ``label``, TYPE/NAME; 0 means the one before the last.
    Raises RolloutError.
    """
    if number:
        for revision in revisions:
            if revision.number == number:
                return revision
        raise RolloutError(f"unable to find specified revision {number} in history")
    if len(revisions) < 2:
        raise RolloutError(f"no rollout history found for {label}")
    return revisions[-2]


def template_of(replica_set: Object) -> Object:
    """The pod template of a revision, as its Deployment had it."""
    template: Object = replica_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}
