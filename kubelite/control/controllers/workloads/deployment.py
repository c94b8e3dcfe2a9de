"""Deployment: a ReplicaSet for each template, and rollouts from one to the next. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from kubelite.client.resources import DEPLOYMENTS, PODS, REPLICA_SETS
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Create,
    Delete,
    Emit,
    Outcome,
    Plan,
    Refusal,
    Step,
    Update,
)
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.conditions import find, with_condition
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    annotations_of,
    controller_of,
    generation_of,
    is_deleting,
    name_of,
    namespace_of,
    spec_of,
    status_of,
)
from kubelite.control.controllers.shared.ownership import (
    OwnerKind,
    changed_owner_keys,
    claim,
    is_owned,
)
from kubelite.control.controllers.shared.pod_state import is_terminated
from kubelite.control.controllers.shared.selectors import selector_of
from kubelite.control.controllers.view import View, controlled_by
from kubelite.control.controllers.workloads.deployment_revisions import (
    find_new,
    has_template,
    mark_revision,
    new_replica_set,
    next_revision,
    revision_of,
)
from kubelite.control.controllers.workloads.deployment_status import (
    PROGRESSING,
    TIMED_OUT,
    counted_status,
    deadline_at,
    deadline_of,
    deployment_condition,
    is_complete,
    with_failures,
    with_progress,
)
from kubelite.control.controllers.workloads.rollout import (
    MAX_INT32,
    REVISION,
    Limits,
    SetDraft,
    active,
    desired_when_scaled,
    grow_new,
    scale_proportionally,
    shrink_old,
)

DEPLOYMENT = OwnerKind(DEPLOYMENTS, "apps/v1", "Deployment")


def plan(view: View, key: Key, now: float) -> Plan:
    """What brings a Deployment's ReplicaSets nearer to its spec, and its status up to date."""
    deployment = view.get(DEPLOYMENTS, *key)
    if deployment is None:
        return NOTHING
    selector = selector_of(spec_of(deployment).get("selector"))
    if not selector.nothing and not selector.requirements:
        return _selects_everything(deployment)
    claimed = claim(view, deployment, DEPLOYMENT, REPLICA_SETS, selector)
    sync = _Sync(view, deployment, claimed.owned, now)
    steps = sync.steps()
    return Plan((*claimed.actions, *steps), sync.wake_at)


def _selects_everything(deployment: Obj) -> Plan:
    if status_of(deployment).get("observedGeneration", 0) >= generation_of(deployment):
        return NOTHING
    message = "This deployment is selecting all pods. A non-empty selector is required."
    status = {**status_of(deployment), "observedGeneration": generation_of(deployment)}
    update = Update(DEPLOYMENTS, {**deployment, "status": status}, "status")
    return Plan((Emit(deployment, "Warning", "SelectingAll", message), update))


class _Sync:
    """One pass over a Deployment. What it changes are its own drafts."""

    def __init__(self, view: View, deployment: Obj, owned: Sequence[Obj], now: float) -> None:
        self.view = view
        self.deployment = deployment
        self.now = now
        self.limits = Limits(deployment)
        self.sets = [SetDraft(obj) for obj in owned]
        self.conditions: list[Obj] = list(status_of(deployment).get("conditions") or ())
        self.annotations = dict(annotations_of(deployment))
        self.removals: list[SetDraft] = []
        self.new = find_new(deployment, self.sets)
        self.old = [draft for draft in self.sets if draft is not self.new]
        self.status: dict[str, Any] | None = None

    # What happens

    def steps(self) -> tuple[Action | Step, ...]:
        """The steps of this pass, in order."""
        if is_deleting(self.deployment):
            self._count()
            return self._writes()
        self._note_pause()
        if self._is_paused or self._is_scaled_meanwhile():
            return self._scale_only()
        return self._roll() if self.limits.is_rolling else self._recreate()

    def _scale_only(self) -> tuple[Action | Step, ...]:
        self._mark_new()
        self._scale()
        if self._is_paused:
            self._clean_up()
        self._count()
        return self._writes()

    def _roll(self) -> tuple[Action | Step, ...]:
        if self.new is None:
            return (self._creation(),)
        self._mark_new()
        if not grow_new(self.limits, self.new, self.sets) and not shrink_old(
            self.limits, self.new, self.old
        ):
            self._clean_up_when_complete()
        self._count(with_rollout=True)
        return self._writes()

    def _recreate(self) -> tuple[Action | Step, ...]:
        running = active(self.old)
        for draft in running:
            draft.scale(0, self.limits)
        if running or self._has_old_pods():
            self._mark_new()
            self._count(with_rollout=True)
            return self._writes()
        if self.new is None:
            return (self._creation(),)
        self._mark_new()
        if self.new.replicas != self.limits.desired:
            self.new.scale(self.limits.desired, self.limits)
        self._clean_up_when_complete()
        self._count(with_rollout=True)
        return self._writes()

    # Conditions of this pass

    @property
    def _is_paused(self) -> bool:
        return bool(spec_of(self.deployment).get("paused"))

    def _is_scaled_meanwhile(self) -> bool:
        """Whether an active ReplicaSet remembers another size of the Deployment."""
        sizes = (desired_when_scaled(draft) for draft in active(self.sets))
        return any(size is not None and size != self.limits.desired for size in sizes)

    def _has_old_pods(self) -> bool:
        """Whether pods of old ReplicaSets are still there and have not ended."""
        if any(int(status_of(draft.obj).get("replicas") or 0) for draft in self.old):
            return True
        pods = (pod for draft in self.old for pod in controlled_by(self.view, PODS, draft.uid))
        return not all(map(is_terminated, pods))

    # Changes of drafts

    def _note_pause(self) -> None:
        """Pausing stops the clock of the deadline, and resuming starts it anew."""
        progress = find(self.conditions, PROGRESSING)
        reason = progress.get("reason") if progress else None
        if deadline_of(self.deployment) is None or reason == TIMED_OUT:
            return
        if self._is_paused and reason != "DeploymentPaused":
            self._set_progress("Unknown", "DeploymentPaused", "Deployment is paused")
        elif not self._is_paused and reason == "DeploymentPaused":
            self._set_progress("Unknown", "DeploymentResumed", "Deployment is resumed")

    def _set_progress(self, status: str, reason: str, message: str) -> None:
        new = deployment_condition(PROGRESSING, status, reason, message, self.now)
        self.conditions = with_condition(self.conditions, new)

    def _mark_new(self) -> None:
        """Brings annotations of the new ReplicaSet up to date, and the Deployment's revision."""
        new = self.new
        if new is None:
            return
        mark_revision(self.deployment, new.annotations, next_revision(self.old))
        new.min_ready_seconds = int(spec_of(self.deployment).get("minReadySeconds") or 0)
        if REVISION in new.annotations:
            self.annotations[REVISION] = new.annotations[REVISION]
        has_progress = find(self.conditions, PROGRESSING) is not None
        if deadline_of(self.deployment) is not None and not has_progress:
            message = f'Found new replica set "{new.name}"'
            self._set_progress("True", "FoundNewReplicaSet", message)

    def _scale(self) -> None:
        """Brings ReplicaSets to the Deployment's size without a rollout."""
        only = self._active_or_latest()
        if only is not None:
            if only.replicas != self.limits.desired:
                only.scale(self.limits.desired, self.limits)
        elif self._is_saturated():
            for draft in active(self.old):
                draft.scale(0, self.limits)
        elif self.limits.is_rolling:
            replicas = int(status_of(self.deployment).get("replicas") or 0)
            scale_proportionally(self.limits, self.sets, replicas)

    def _active_or_latest(self) -> SetDraft | None:
        """The only ReplicaSet that has pods; without any the new one, or else the youngest."""
        running_sets = active(self.sets)
        if len(running_sets) == 1:
            return running_sets[0]
        if running_sets:
            return None
        return self.new or max(self.old, key=lambda draft: draft.age_order, default=None)

    def _is_saturated(self) -> bool:
        """Whether the new ReplicaSet alone is all that is asked for."""
        new, desired = self.new, self.limits.desired
        return (
            new is not None
            and new.replicas == new.available == desired
            and desired_when_scaled(new) == desired
        )

    def _clean_up_when_complete(self) -> None:
        if is_complete(self.deployment, status_of(self.deployment), self.limits):
            self._clean_up()

    def _clean_up(self) -> None:
        """Lets go of the oldest revisions beyond ``revisionHistoryLimit``."""
        limit = spec_of(self.deployment).get("revisionHistoryLimit")
        if limit is None or limit == MAX_INT32:
            return
        old = [draft for draft in self.old if not is_deleting(draft.obj)]
        surplus = len(old) - int(limit)
        if surplus <= 0:
            return
        old.sort(key=lambda draft: (revision_of(draft.obj), draft.age_order))
        self.removals = [draft for draft in old[:surplus] if _is_unused(draft)]

    def _count(self, *, with_rollout: bool = False) -> None:
        """The status that this pass leaves."""
        status = counted_status(
            self.deployment, self.conditions, self.sets, self.new, self.limits, self.now
        )
        if with_rollout:
            status = with_progress(self.deployment, status, self.new, self.limits, self.now)
            status = with_failures(status, self.sets, self.new)
        self.status = status

    # Actions

    @property
    def wake_at(self) -> float | None:
        """When the deadline of the rollout passes."""
        if self.status is None or self._is_paused or is_deleting(self.deployment):
            return None
        deadline = deadline_at(self.deployment, self.status["conditions"])
        return deadline + 1.0 if deadline is not None else None

    def _writes(self) -> tuple[Action | Step, ...]:
        actions: list[Action] = []
        for draft in self.sets:
            if draft.is_changed:
                actions.append(Update(REPLICA_SETS, draft.body()))
                actions += [self._scaled(draft.name, *sizes) for sizes in draft.scalings]
        actions += [
            Delete(
                REPLICA_SETS,
                namespace_of(draft.obj),
                draft.name,
                draft.uid,
                draft.obj["metadata"].get("resourceVersion") or "",
            )
            for draft in self.removals
        ]
        return (*actions, *self._status_update(self.status or {}))

    def _scaled(self, name: str, before: int, after: int) -> Emit:
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        return Emit(self.deployment, "Normal", "ScalingReplicaSet", message)

    def _status_update(self, status: Obj) -> tuple[Action, ...]:
        """Writes status and revision where they differ from what is there. Both go by the status,
        as upstream's controller does it.
        """
        is_same = self.annotations == annotations_of(self.deployment)
        if is_same and status == status_of(self.deployment):
            return ()
        metadata = {**self.deployment["metadata"], "annotations": self.annotations}
        body = {**self.deployment, "metadata": metadata, "status": status}
        return (Update(DEPLOYMENTS, body, "status"),)

    def _creation(self) -> Step:
        revision = next_revision(self.old)
        body = new_replica_set(self.deployment, self.old, self.limits, revision)
        return Step((Create(REPLICA_SETS, body),), partial(self._created, revision))

    def _created(self, revision: int, outcomes: tuple[Outcome, ...]) -> tuple[Action, ...]:
        """What follows from an attempt to create the new ReplicaSet."""
        outcome = outcomes[0]
        status = dict(status_of(self.deployment))
        if outcome.refusal is not None:
            body = outcome.action.body  # type: ignore[union-attr]  # of a Create
            return self._not_created(body, outcome.refusal, status)
        body = outcome.result or {}
        replicas = int(spec_of(body).get("replicas") or 0)
        events = (self._scaled(name_of(body), 0, replicas),) if replicas else ()
        self.annotations[REVISION] = str(revision)
        if deadline_of(self.deployment) is not None:
            message = f'Created new replica set "{name_of(body)}"'
            self._set_progress("True", "NewReplicaSetCreated", message)
        return (*events, *self._status_update({**status, "conditions": self.conditions}))

    def _not_created(
        self, body: Obj, refusal: Refusal, status: dict[str, Any]
    ) -> tuple[Action, ...]:
        if refusal.is_namespace_ending:
            return ()
        if refusal.is_exists:
            return self._taken(name_of(body), status)
        message = f'Failed to create new replica set "{name_of(body)}": {refusal.message}'
        event = Emit(self.deployment, "Warning", "ReplicaSetCreateError", message)
        if deadline_of(self.deployment) is None:
            return (event,)
        self._set_progress("False", "ReplicaSetCreateError", message)
        return (event, *self._status_update({**status, "conditions": self.conditions}))

    def _taken(self, name: str, status: dict[str, Any]) -> tuple[Action, ...]:
        """The name is taken: by our own ReplicaSet that is not in view yet, or by another one. Then
        the hash is made anew, with one collision more.
        """
        other = self.view.get(REPLICA_SETS, namespace_of(self.deployment), name)
        is_own = other is None or (
            is_owned(other, self.deployment) and has_template(other, self.deployment)
        )
        if is_own:
            return ()
        collisions = int(status.get("collisionCount") or 0) + 1
        return self._status_update({**status, "collisionCount": collisions})


def _is_unused(draft: SetDraft) -> bool:
    """Whether a ReplicaSet has no pods, and has seen that it should have none."""
    status = status_of(draft.obj)
    return (
        not draft.replicas
        and not status.get("replicas")
        and generation_of(draft.obj) <= int(status.get("observedGeneration") or 0)
    )


def _of_replica_set(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The Deployments of a ReplicaSet, before and after a change."""
    return changed_owner_keys(view, DEPLOYMENT, old, new, _selector)


def _selector(deployment: Obj) -> Any:
    return selector_of(spec_of(deployment).get("selector"))


def _of_pod(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The Deployment whose old pod is gone or has ended: with Recreate it may go on."""
    pod = new if new is not None else old
    if pod is None or (new is not None and not is_terminated(new)):
        return []
    owner = controller_of(pod)
    if owner is None or owner.get("kind") != "ReplicaSet":
        return []
    replica_set = view.get(REPLICA_SETS, namespace_of(pod), owner["name"])
    above = controller_of(replica_set) if replica_set is not None else None
    if above is None or above.get("kind") != "Deployment":
        return []
    deployment = view.get(DEPLOYMENTS, namespace_of(pod), above["name"])
    if deployment is None or Limits(deployment).is_rolling:
        return []
    return [(namespace_of(pod), above["name"])]


DEPLOYMENT_CONTROLLER = Controller(
    "deployment-controller",
    "deployment-controller",
    "deployment-controller",
    {DEPLOYMENTS: own_key, REPLICA_SETS: _of_replica_set, PODS: _of_pod},
    plan,
)
