"""DaemonSet: a pod on every node that wants one, and their updates. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from kubelite.client.resources import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS
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
    created_at,
    generation_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.numbers import scaled
from kubelite.control.controllers.shared.ownership import (
    OwnerKind,
    changed_owner_keys,
    claim,
    is_owned,
)
from kubelite.control.controllers.shared.pod_events import pod_event
from kubelite.control.controllers.shared.pod_state import (
    available_at,
    is_available,
    is_ready,
    phase_of,
)
from kubelite.control.controllers.shared.pod_template import generate_name, name_pods
from kubelite.control.controllers.shared.revisions import (
    HASH_LABEL,
    History,
    after_revision,
    brought_up,
    data_of,
    find_equal,
    history_of,
    truncated,
)
from kubelite.control.controllers.shared.selectors import selector_of
from kubelite.control.controllers.view import View, on_node
from kubelite.control.controllers.workloads.daemonset_pods import (
    by_node,
    is_updated,
    min_ready_seconds,
    new_pod,
    oldest_first,
    placement,
    tolerations_of,
)

DAEMON_SET = OwnerKind(DAEMON_SETS, "apps/v1", "DaemonSet")
BURST = 250
"""At most so many pods are created, and so many deleted, by one plan."""

FAILED_SECONDS = 1.0
"""A daemon that fails at once is not replaced more often than this."""


def plan(view: View, key: Key, now: float) -> Plan:
    """What brings the pods of a DaemonSet nearer to one on each node, and its status up to date."""
    set_ = view.get(DAEMON_SETS, *key)
    if set_ is None or is_deleting(set_):
        return NOTHING
    selector = selector_of(spec_of(set_).get("selector"))
    if not selector.nothing and not selector.requirements:
        message = "This daemon set is selecting all pods. A non-empty selector is required."
        return Plan((Emit(set_, "Warning", "SelectingAll", message),)) if _is_new(set_) else NOTHING
    owned = claim(view, set_, DAEMON_SET, PODS, selector)
    history = history_of(view, set_, DAEMON_SET, selector)
    first: tuple[Action | Step, ...] = (*owned.actions, *history.actions)
    revision = brought_up(set_, DAEMON_SET, history.revisions, HASH_LABEL)
    if revision is not None:
        follow = partial(after_revision, view, set_, DAEMON_SETS)
        return Plan((*first, Step((revision,), follow)))
    sync = _Sync(view, set_, owned.owned, history, now)
    steps = sync.steps()
    return Plan((*first, *steps), sync.wake_at)


def _is_new(set_: Obj) -> bool:
    return int(status_of(set_).get("observedGeneration") or 0) < generation_of(set_)


class _Need(NamedTuple):
    """What is to be done: nodes that get a pod, pods that go, and why."""

    nodes: list[str]
    pods: list[Obj]
    events: list[Emit]


class _Sync:
    """One pass over a DaemonSet."""

    def __init__(
        self, view: View, set_: Obj, pods: Sequence[Obj], history: History, now: float
    ) -> None:
        self.set = set_
        self.now = now
        self.history = history
        self.all_pods = pods
        self.wakes: list[float | None] = []
        revision = find_equal(history.revisions, data_of(set_)) or {"metadata": {}}
        self.digest = labels_of(revision).get(HASH_LABEL, "")
        self.pods = by_node(pods)
        tolerations = tolerations_of(set_)
        self.nodes = {
            name_of(node): placement(set_, tolerations, node) for node in view.list(NODES)
        }
        self.desired = sum(should_run for should_run, _ in self.nodes.values())
        self.surge, self.unavailable = self._limits()

    def _limits(self) -> tuple[int, int]:
        """``maxSurge`` and ``maxUnavailable`` in pods, both rounded up."""
        strategy = spec_of(self.set).get("updateStrategy") or {}
        rolling = strategy.get("rollingUpdate") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return 0, 0
        surge = scaled(rolling.get("maxSurge"), self.desired, up=True)
        unavailable = scaled(rolling.get("maxUnavailable", 1), self.desired, up=True)
        if not surge and not unavailable:
            unavailable = 1
        return surge, unavailable

    def steps(self) -> tuple[Step | Action, ...]:
        """The steps of this pass: missing and surplus pods first, updates when there are none."""
        need = self._manage()
        if not need.nodes and not need.pods:
            need = self._roll()
        if need.nodes or need.pods:
            return self._carried_out(need)
        limit = spec_of(self.set).get("revisionHistoryLimit")
        return (*self._status(), *truncated(self.history.revisions, self._used(), limit))

    def _used(self) -> set[str]:
        """The names of revisions that pods have, and of that of the template."""
        digests = {labels_of(pod).get(HASH_LABEL) for pod in self.all_pods} | {self.digest}
        return {
            name_of(revision)
            for revision in self.history.revisions
            if labels_of(revision).get(HASH_LABEL) in digests
        }

    @property
    def wake_at(self) -> float | None:
        """When the next pod becomes available, or a failed one may be replaced."""
        seconds = min_ready_seconds(self.set)
        times = [available_at(pod, seconds) for pod in self.all_pods]
        later = [time for time in (*times, *self.wakes) if time is not None and time > self.now]
        return earliest(*later)

    # Missing and surplus pods

    def _manage(self) -> _Need:
        need = _Need([], [], [])
        for node, (should_run, may_continue) in self.nodes.items():
            pods = self.pods.get(node, ())
            if should_run and not pods:
                need.nodes.append(node)
            elif may_continue:
                self._prune(node, pods, need)
            else:
                need.pods.extend(pod for pod in pods if not is_deleting(pod))
        for node, pods in self.pods.items():
            if node not in self.nodes:
                need.pods.extend(
                    pod for pod in pods if not spec_of(pod).get("nodeName") and not is_deleting(pod)
                )
        return need

    def _prune(self, node: str, pods: Sequence[Obj], need: _Need) -> None:
        """Pods that have ended go, and all but one of those that run."""
        running = []
        for pod in pods:
            if is_deleting(pod):
                continue
            if phase_of(pod) in ("Failed", "Succeeded"):
                self._replace_ended(node, pod, need)
            else:
                running.append(pod)
        running = oldest_first(running)
        if not self.surge:
            need.pods.extend(running[1:])
        elif len(running) > 1:
            self._prune_surged(running, need)

    def _replace_ended(self, node: str, pod: Obj, need: _Need) -> None:
        place = f"{namespace_of(pod)}/{name_of(pod)} on node {node}"
        if phase_of(pod) == "Succeeded":
            message = f"Found succeeded daemon pod {place}, will try to delete it"
            need.events.append(Emit(self.set, "Normal", "SucceededDaemonPod", message))
            need.pods.append(pod)
            return
        earliest_time = created_at(pod) + FAILED_SECONDS
        if earliest_time > self.now:
            self.wakes.append(earliest_time)
            return
        message = f"Found failed daemon pod {place}, will try to kill it"
        need.events.append(Emit(self.set, "Warning", "FailedDaemonPod", message))
        need.pods.append(pod)

    def _prune_surged(self, running: Sequence[Obj], need: _Need) -> None:
        """With a surge a node may have a pod of each template, until the new one is available."""
        new = [pod for pod in running if labels_of(pod).get(HASH_LABEL) == self.digest]
        old = [pod for pod in running if labels_of(pod).get(HASH_LABEL) != self.digest]
        need.pods.extend((*new[1:], *old[1:]))
        if new and old and (not is_ready(old[0]) or self._is_available(new[0])):
            need.pods.append(old[0])

    # Updates

    def _roll(self) -> _Need:
        strategy = spec_of(self.set).get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return _Need([], [], [])
        return self._roll_with_surge() if self.surge else self._roll_in_place()

    def _roll_in_place(self) -> _Need:
        """Old pods go as far as ``maxUnavailable`` allows; those that are unavailable anyhow go."""
        unavailable, replaceable, candidates = 0, list[Obj](), list[Obj]()
        for node in self._nodes_of_update():
            new, old, is_clear = self._updated(node)
            if not is_clear or (new is None) == (old is None):
                unavailable += 1
            elif new is not None:
                unavailable += not self._is_available(new)
            elif old is not None:
                (candidates if self._is_available(old) else replaceable).append(old)
        budget = max(0, self.unavailable - unavailable)
        return _Need([], [*replaceable, *candidates[:budget]], [])

    def _roll_with_surge(self) -> _Need:
        """New pods come beside old ones; an old pod goes when its successor is available."""
        surged, allowed, candidates, gone = 0, list[str](), list[str](), list[Obj]()
        for node in self._nodes_of_update():
            new, old, is_clear = self._updated(node)
            if not is_clear:
                surged += 1
            elif old is None:
                continue
            elif new is None:
                (candidates if self._is_available(old) else allowed).append(node)
            elif self._is_available(new):
                gone.append(old)
            else:
                surged += 1
        budget = max(0, self.surge - surged)
        return _Need([*allowed, *candidates[:budget]], gone, [])

    def _nodes_of_update(self) -> list[str]:
        """Nodes that have a pod or are to have one."""
        wanting = [node for node, (should_run, _) in self.nodes.items() if should_run]
        return sorted({*self.pods, *wanting})

    def _updated(self, node: str) -> tuple[Obj | None, Obj | None, bool]:
        """The new and the old pod of a node, and whether there is at most one of each."""
        pods = [pod for pod in self.pods.get(node, ()) if not is_deleting(pod)]
        new = [pod for pod in pods if is_updated(self.set, pod, self.digest)]
        old = [pod for pod in pods if not is_updated(self.set, pod, self.digest)]
        if len(new) > 1 or len(old) > 1:
            return None, None, False
        return next(iter(new), None), next(iter(old), None), True

    def _is_available(self, pod: Obj) -> bool:
        return is_available(pod, min_ready_seconds(self.set), self.now)

    # Outcomes and status

    def _carried_out(self, need: _Need) -> tuple[Step | Action, ...]:
        pods = [new_pod(self.set, DAEMON_SET, node, self.digest) for node in need.nodes[:BURST]]
        state = (uid_of(self.set), self.set["metadata"].get("resourceVersion") or "")
        names = {name_of(pod) for pod in self.all_pods}
        uids = sorted(uid_of(pod) for pod in self.all_pods)
        name_pods(pods, generate_name(self.set), names, *state, *uids)
        creations = tuple(Create(PODS, pod) for pod in pods)
        deletions = tuple(
            Delete(PODS, namespace_of(pod), name_of(pod), uid_of(pod)) for pod in need.pods[:BURST]
        )
        parts = (
            Step(creations, self._after_writes, "slow start", tolerant=True) if creations else None,
            Step(deletions, self._after_writes, "parallel") if deletions else None,
        )
        return (*need.events, *(part for part in parts if part is not None))

    def _after_writes(self, outcomes: tuple[Outcome, ...]) -> tuple[Action, ...]:
        shown = tuple(pod_event(self.set, outcome) for outcome in outcomes)
        events = tuple(event for event in shown if event is not None)
        return (*events, *self._status()) if refusals(outcomes) else events

    def _status(self) -> tuple[Action, ...]:
        status = self._counted()
        if status == status_of(self.set):
            return ()
        return (Update(DAEMON_SETS, {**self.set, "status": status}, "status"),)

    def _counted(self) -> dict[str, Any]:
        targets = [node for node, (should_run, _) in self.nodes.items() if should_run]
        first = [oldest_first(self.pods[node])[0] for node in targets if self.pods.get(node)]
        unwanted = [node for node, (should_run, _) in self.nodes.items() if not should_run]
        available = sum(map(self._is_available, first))
        optional = {
            "updatedNumberScheduled": sum(is_updated(self.set, pod, self.digest) for pod in first),
            "numberAvailable": available,
            "numberUnavailable": self.desired - available,
            "collisionCount": int(status_of(self.set).get("collisionCount") or 0),
        }
        return {
            "currentNumberScheduled": len(first),
            "numberMisscheduled": sum(bool(self.pods.get(node)) for node in unwanted),
            "desiredNumberScheduled": self.desired,
            "numberReady": sum(map(is_ready, first)),
            "observedGeneration": generation_of(self.set),
            **{field: count for field, count in optional.items() if count},
        }


def _selector(set_: Obj) -> Any:
    return selector_of(spec_of(set_).get("selector"))


def _of_pod(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    return changed_owner_keys(view, DAEMON_SET, old, new, _selector)


def _of_node(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The DaemonSets that have to start or end a pod on a node that has come, gone or changed. One
    whose pod may stay where none would be started is not looked at again for that, so its status
    goes on counting a node that is not ready.
    """
    sets = view.list(DAEMON_SETS)
    if new is None:
        return [key_of(set_) for set_ in sets if old is not None and _counts(set_, old)]
    is_same = (
        old is not None
        and labels_of(old) == labels_of(new)
        and spec_of(old).get("taints") == spec_of(new).get("taints")
    )
    return [] if is_same else [key_of(set_) for set_ in sets if _has_work(view, set_, new)]


def _counts(set_: Obj, node: Obj) -> bool:
    return any(placement(set_, tolerations_of(set_), node))


def _has_work(view: View, set_: Obj, node: Obj) -> bool:
    should_run, may_go_on = placement(set_, tolerations_of(set_), node)
    is_there = any(is_owned(pod, set_) for pod in on_node(view, PODS, name_of(node)))
    return not may_go_on if is_there else should_run


DAEMON_SET_CONTROLLER = Controller(
    "daemonset-controller",
    "daemon-set-controller",
    "daemonset-controller",
    {DAEMON_SETS: own_key, PODS: _of_pod, NODES: _of_node, CONTROLLER_REVISIONS: nobody},
    plan,
    workers=2,
)
