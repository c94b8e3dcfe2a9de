"""StatefulSet: pods with ordinals, made, replaced and deleted in order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from kubelite.client.resources import (
    CONTROLLER_REVISIONS,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    STATEFUL_SETS,
)
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Create,
    Delete,
    Emit,
    Outcome,
    Plan,
    Step,
    Update,
    earliest,
    refusals,
)
from kubelite.control.controllers.controller import Controller, nobody, own_key
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    generation_of,
    is_deleting,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.numbers import scaled
from kubelite.control.controllers.shared.ownership import OwnerKind, changed_owner_keys, claim
from kubelite.control.controllers.shared.pod_state import available_at, is_ready, phase_of
from kubelite.control.controllers.shared.revisions import (
    History,
    after_revision,
    brought_up,
    data_of,
    find_equal,
    history_of,
    truncated,
)
from kubelite.control.controllers.shared.selectors import selector_of
from kubelite.control.controllers.view import View
from kubelite.control.controllers.workloads import statefulset_claims as claims
from kubelite.control.controllers.workloads.statefulset_pods import (
    is_created,
    is_current_revision_needed,
    is_healthy,
    is_in_range,
    is_member,
    is_parallel,
    is_running_and_available,
    min_ready_seconds,
    new_pod,
    ordinal_of,
    replicas_of,
    revision_of,
    start_of,
    with_identity,
)

STATEFUL_SET = OwnerKind(STATEFUL_SETS, "apps/v1", "StatefulSet")
HASH_OF_REVISION = "controller.kubernetes.io/hash"


def plan(view: View, key: Key, now: float) -> Plan:
    """What brings a set's pods, claims and revisions nearer to its spec, and its status up to
    date.
    """
    set_ = view.get(STATEFUL_SETS, *key)
    if set_ is None:
        return NOTHING
    selector = selector_of(spec_of(set_).get("selector"))
    owned = claim(
        view, set_, STATEFUL_SET, PODS, selector, is_member=lambda pod: is_member(set_, pod)
    )
    history = history_of(view, set_, STATEFUL_SET, selector)
    revision = brought_up(set_, STATEFUL_SET, history.revisions, HASH_OF_REVISION)
    first: tuple[Action | Step, ...] = (*owned.actions, *history.actions)
    if revision is not None and not is_deleting(set_):
        follow = partial(after_revision, view, set_, STATEFUL_SETS)
        return Plan((*first, Step((revision,), follow)))
    sync = _Sync(view, set_, owned.owned, history, now)
    return Plan((*first, *sync.steps()), sync.wake_at)


class _Revisions(NamedTuple):
    """The revision that the pods had, and that which they are to have."""

    current: Obj
    update: Obj


class _Sync:
    """One pass over a set."""

    def __init__(
        self, view: View, set_: Obj, pods: Sequence[Obj], history: History, now: float
    ) -> None:
        self.view = view
        self.set = set_
        self.pods = pods
        self.history = history
        self.now = now
        self.waits = not is_parallel(set_)
        self.revisions = _revisions(set_, history)
        by_ordinal = {ordinal_of(pod): pod for pod in pods}
        ordinals = range(start_of(set_), start_of(set_) + replicas_of(set_))
        self.replicas = [(ordinal, by_ordinal.get(ordinal)) for ordinal in ordinals]
        condemned = [pod for pod in pods if not is_in_range(set_, ordinal_of(pod))]
        self.condemned = sorted(condemned, key=ordinal_of, reverse=True)

    def steps(self) -> tuple[Action | Step, ...]:
        """The steps of this pass, in order."""
        if self.revisions is None:
            return ()
        if is_deleting(self.set):
            return self._status()
        actions, is_blocked = self._tend_replicas()
        retained: list[Update] = []
        if not is_blocked:
            retained = [update for pod in self.condemned for update in self._retained(pod)]
            actions += self._delete_condemned()
            is_blocked = bool(self.condemned) and self.waits
        if not actions and not is_blocked:
            actions = self._roll()
        if actions or retained:
            return self._carried_out([*retained, *actions])
        used = {name_of(item) for item in self.revisions} | set(map(revision_of, self.pods))
        limit = spec_of(self.set).get("revisionHistoryLimit")
        return (*self._status(), *truncated(self.history.revisions, used, limit))

    @property
    def wake_at(self) -> float | None:
        """When the next pod becomes available."""
        seconds = min_ready_seconds(self.set)
        times = (available_at(pod, seconds) for pod in self.pods)
        return earliest(*(time for time in times if time is not None and time > self.now))

    # Replicas

    def _tend_replicas(self) -> tuple[list[Action], bool]:
        """Actions for pods that are to exist, and whether one of them has to be waited for."""
        actions: list[Action] = []
        for ordinal, pod in self.replicas:
            steps, is_blocked = self._tend(ordinal, pod)
            actions += steps
            if is_blocked and self.waits:
                return actions, True
        return actions, False

    def _tend(self, ordinal: int, pod: Obj | None) -> tuple[list[Action], bool]:
        if pod is None:
            return self._creation(ordinal), True
        if phase_of(pod) in ("Failed", "Succeeded"):
            return ([] if is_deleting(pod) else [_deletion(pod)]), True
        actions: list[Action] = []
        if phase_of(pod) == "Pending":
            actions += claims.missing_claims(self.view, self.set, ordinal)
        if not is_healthy(self.set, pod, self.now) and self.waits:
            return actions, True
        if is_deleting(pod):
            return actions, False
        changed = with_identity(self.set, pod)
        actions += [Update(PODS, changed)] if changed is not None else []
        return [*actions, *self._retained(pod)], False

    def _creation(self, ordinal: int) -> list[Action]:
        """The claims that a pod needs, and the pod; nothing while one of its claims is on its way
        out.
        """
        assert self.revisions is not None
        is_current = is_current_revision_needed(self.set, ordinal)
        revision = self.revisions.current if is_current else self.revisions.update
        pod = new_pod(self.set, STATEFUL_SET, revision, ordinal)
        existing = claims.claims_of(self.view, self.set, ordinal)
        if any(is_deleting(item) or claims.is_stale(item, name_of(pod), "") for item in existing):
            return []
        missing = claims.missing_claims(self.view, self.set, ordinal)
        return [*missing, Create(PODS, pod)]

    def _retained(self, pod: Obj) -> list[Update]:
        is_condemned = pod in self.condemned
        return claims.retained(self.view, self.set, pod, ordinal_of(pod), is_condemned=is_condemned)

    # Pods that are too many

    def _delete_condemned(self) -> list[Action]:
        """The highest ordinal first; in order one at a time, and only while all others are
        healthy.
        """
        if not self.waits:
            return [_deletion(pod) for pod in self.condemned if not is_deleting(pod)]
        if not self.condemned:
            return []
        pod = self.condemned[0]
        if is_deleting(pod):
            return []
        is_available = is_running_and_available(self.set, pod, self.now)
        if not is_available and pod is not self._first_unhealthy():
            return []
        return [_deletion(pod)]

    def _first_unhealthy(self) -> Obj | None:
        """The pod of the lowest ordinal that is not healthy."""
        steps = [pod for _, pod in self.replicas] + list(reversed(self.condemned))
        return next((pod for pod in steps if not is_healthy(self.set, pod, self.now)), None)

    # Updates

    def _roll(self) -> list[Action]:
        """Deletes pods of old revisions, from the highest ordinal down to the partition."""
        strategy = spec_of(self.set).get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return []
        rolling = strategy.get("rollingUpdate") or {}
        first = int(rolling.get("partition") or 0)
        targets = [pod for _, pod in reversed(self.replicas[first:]) if pod is not None]
        if rolling.get("maxUnavailable") is not None:
            return self._roll_many(targets, rolling["maxUnavailable"])
        for pod in targets:
            if self._is_outdated(pod):
                return [_deletion(pod)]
            if not is_healthy(self.set, pod, self.now):
                return []
        return []

    def _roll_many(self, targets: Sequence[Obj], limit: int | str) -> list[Action]:
        """As many as ``maxUnavailable`` leaves. In parallel, pods that are unavailable anyhow go
        first and count for nothing.
        """
        most = max(1, scaled(limit, replicas_of(self.set), up=False))
        unhealthy = [pod for _, pod in self.replicas if not is_healthy(self.set, pod, self.now)]
        outdated = [pod for pod in targets if self._is_outdated(pod)]
        budget = max(0, most - len(unhealthy))
        if self.waits:
            return [_deletion(pod) for pod in outdated[:budget]]
        available = partial(is_running_and_available, self.set, now=self.now)
        broken = [pod for pod in outdated if not available(pod)]
        healthy = [pod for pod in outdated if available(pod)]
        return [_deletion(pod) for pod in (*broken, *healthy[:budget])]

    def _is_outdated(self, pod: Obj) -> bool:
        assert self.revisions is not None
        return revision_of(pod) != name_of(self.revisions.update) and not is_deleting(pod)

    # Outcomes and status

    def _carried_out(self, actions: Sequence[Action]) -> tuple[Step, ...]:
        """Claims before pods. The status follows in the next plan, or now where something
        failed.
        """
        events = tuple(item for item in actions if isinstance(item, Emit))
        creations = [item for item in actions if isinstance(item, Create)]
        pods = tuple(item for item in creations if item.resource == PODS)
        others = tuple(item for item in actions if item not in pods and item not in events)
        order = "serial" if self.waits else "slow start"
        parts = [
            Step(events) if events else None,
            Step(others, self._after_writes) if others else None,
            Step(pods, self._after_writes, order) if pods else None,  # type: ignore[arg-type]
        ]
        return tuple(part for part in parts if part is not None)

    def _after_writes(self, outcomes: tuple[Outcome, ...]) -> tuple[Action, ...]:
        """Events of what was done; the status where something was refused."""
        events = [_event(self.set, outcome) for outcome in outcomes]
        shown = tuple(event for event in events if event is not None)
        return (*shown, *self._status()) if refusals(outcomes) else shown

    def _status(self) -> tuple[Action, ...]:
        assert self.revisions is not None
        status = _status(self.set, self.pods, self.revisions, self.now)
        if status == status_of(self.set):
            return ()
        return (Update(STATEFUL_SETS, {**self.set, "status": status}, "status"),)


def _revisions(set_: Obj, history: History) -> _Revisions | None:
    update = find_equal(history.revisions, data_of(set_))
    if update is None:
        return None
    current = history.named(str(status_of(set_).get("currentRevision") or ""))
    return _Revisions(current or update, update)


def _deletion(pod: Obj) -> Delete:
    return Delete(PODS, namespace_of(pod), name_of(pod), uid_of(pod))


def _event(set_: Obj, outcome: Outcome) -> Emit | None:
    """The Event about a pod or a claim, in kube-controller-manager's words."""
    action, refusal = outcome.action, outcome.refusal
    if not isinstance(action, Create | Update | Delete):
        return None
    verb = {Create: "create", Update: "update", Delete: "delete"}[type(action)]
    name = action.name if isinstance(action, Delete) else name_of(action.body)
    if action.resource == PERSISTENT_VOLUME_CLAIMS:
        return _claim_event(set_, name, refusal) if verb == "create" else None
    where = f"{verb.title()} Pod {name} in StatefulSet {name_of(set_)}"
    if refusal is None:
        return Emit(set_, "Normal", f"Successful{verb.title()}", f"{where} successful")
    if refusal.is_exists or refusal.is_namespace_ending:
        return None
    message = f"{where} failed error: {refusal.message}"
    return Emit(set_, "Warning", f"Failed{verb.title()}", message)


def _claim_event(set_: Obj, name: str, refusal: Any) -> Emit | None:
    pod = f"{name_of(set_)}-{name.rpartition('-')[2]}"
    if refusal is None:
        message = f"Create Claim {name} Pod {pod} in StatefulSet {name_of(set_)} success"
        return Emit(set_, "Normal", "SuccessfulCreate", message)
    if refusal.is_exists or refusal.is_namespace_ending:
        return None
    where = f"Create Claim {name} for Pod {pod} in StatefulSet {name_of(set_)}"
    return Emit(set_, "Warning", "FailedCreate", f"{where} failed error: {refusal.message}")


def _status(set_: Obj, pods: Sequence[Obj], revisions: _Revisions, now: float) -> dict[str, Any]:
    """Counts of pods, and by revision of those that are not being deleted."""
    created = [pod for pod in pods if is_created(pod)]
    staying = [pod for pod in created if not is_deleting(pod)]
    ready = [pod for pod in pods if phase_of(pod) == "Running" and is_ready(pod)]
    current, update = name_of(revisions.current), name_of(revisions.update)
    counts = {
        "readyReplicas": len(ready),
        "currentReplicas": sum(revision_of(pod) == current for pod in staying),
        "updatedReplicas": sum(revision_of(pod) == update for pod in staying),
    }
    if _is_rolled_out(set_, len(created), counts):
        current, counts["currentReplicas"] = update, counts["updatedReplicas"]
    status: dict[str, Any] = {
        "observedGeneration": generation_of(set_),
        "replicas": len(created),
        "availableReplicas": sum(is_running_and_available(set_, pod, now) for pod in pods),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": int(status_of(set_).get("collisionCount") or 0),
        **{field: count for field, count in counts.items() if count},
    }
    if status_of(set_).get("conditions"):
        status["conditions"] = status_of(set_)["conditions"]
    return status


def _is_rolled_out(set_: Obj, replicas: int, counts: dict[str, int]) -> bool:
    """Whether all pods are updated and ready: then the new revision is the current one."""
    strategy = spec_of(set_).get("updateStrategy") or {}
    return (
        strategy.get("type", "RollingUpdate") == "RollingUpdate"
        and counts["updatedReplicas"] == replicas
        and counts["readyReplicas"] == replicas
    )


def _selector(set_: Obj) -> Any:
    return selector_of(spec_of(set_).get("selector"))


def _of_pod(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    return changed_owner_keys(view, STATEFUL_SET, old, new, _selector)


def _of_claim(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The set that may have waited for a claim to be gone."""
    if old is None or new is not None:
        return []
    head = name_of(old).rpartition("-")[0]
    return [
        (namespace_of(set_), name_of(set_))
        for set_ in view.list(STATEFUL_SETS, namespace_of(old))
        if any(head == f"{name_of(item)}-{name_of(set_)}" for item in claims.claim_templates(set_))
    ]


STATEFUL_SET_CONTROLLER = Controller(
    "statefulset-controller",
    "statefulset-controller",
    "statefulset-controller",
    {
        STATEFUL_SETS: own_key,
        PODS: _of_pod,
        PERSISTENT_VOLUME_CLAIMS: _of_claim,
        CONTROLLER_REVISIONS: nobody,
    },
    plan,
)
