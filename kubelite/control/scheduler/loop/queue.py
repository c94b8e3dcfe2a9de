"""Which pod is next: active, backing off, unschedulable, gated, and nominated. Pure.

Whoever calls says what time it is.

A pod is in one state at a time. It is popped from *active*; what comes of the attempt puts it into
*back-off* (it may be tried again after a while) or *unschedulable* (until an event that can help,
or five minutes). Events that arrive while a pod is being tried are kept for it, and count as if
they came after.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubelite.control.scheduler.cluster.pod_table import key_of
from kubelite.control.scheduler.facts.fields import named
from kubelite.control.scheduler.plugins.hints import Event, may_help

Object = Mapping[str, Any]
Helps = Callable[[Event, Object, Iterable[str]], bool]  # hints.Hints

FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 10.0  # seconds
RETRY_AFTER = 300.0  # an unschedulable pod is tried again after this, whatever happens


@dataclass(eq=False, slots=True)
class Waiting:
    """A pod in the queue. ``state`` is where it is; ``plugins`` rejected it last."""

    pod: Object
    key: str
    priority: int
    added: float
    order: int
    state: str = "active"
    attempts: int = 0
    until: float = 0.0
    failed: bool = False
    plugins: frozenset[str] = frozenset()
    seen: int = 0  # how many events had come when it was popped

    def rank(self) -> tuple[int, float, int]:
        """Higher priority first, then who came earlier."""
        return -self.priority, self.added, self.order


class Queue:
    """Pods that have no node. ``helps(event, pod, plugins)`` says whether an event can help a pod
    that was rejected.
    """

    def __init__(
        self,
        helps: Helps,
        *,
        gates: bool = True,
        first: float = FIRST_BACKOFF,
        longest: float = LONGEST_BACKOFF,
    ) -> None:
        self._helps = helps
        self._gates = gates
        self._first, self._longest = first, longest
        self._pods: dict[str, Waiting] = {}
        self._active: list[tuple[tuple[int, float, int], Waiting]] = []
        self._backoff: list[tuple[float, int, Waiting]] = []
        self._trying: dict[str, Waiting] = {}
        self._events: list[Event] = []  # since the first pod that is being tried was popped
        self._unschedulable: dict[str, Waiting] = {}
        self._rejections: Counter[str] = Counter()  # of the unschedulable pods, by plug-in
        self._nominated: dict[str, str] = {}
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._pods)

    def state_of(self, pod: Object) -> str | None:
        """ "active", "backoff", "unschedulable", "gated", "trying" or "placed"; None for a pod that
        is not here.
        """
        entry = self._pods.get(_key(pod))
        return entry.state if entry else None

    # What comes in

    def add(self, pod: Object, now: float) -> None:
        """A pod that has no node is new. Gates keep it from being tried."""
        field = named(pod, "Pod")
        entry = Waiting(
            pod, key_of(pod), field.at("spec", "priority").whole(), now, next(self._order)
        )
        self._pods[entry.key] = entry
        if node := field.at("status", "nominatedNodeName").text():
            self._nominated[entry.key] = node
        self._admit(entry, now)

    def update(self, pod: Object, now: float) -> None:
        """A pod has changed: a gate may be gone, or what kept it unschedulable."""
        entry = self._pods.get(_key(pod))
        if entry is None:
            self.add(pod, now)
            return
        old, entry.pod = entry.pod, pod
        entry.priority = named(pod, "Pod").at("spec", "priority").whole()
        if entry.state == "gated":
            self._admit(entry, now)
        elif entry.state == "active":
            self._activate(entry, entry.added)
        else:
            self._tell(entry, Event("Pod", old, pod), now)

    def refresh(self, pod: Object) -> None:
        """A pod has changed in a way that no decision depends on."""
        entry = self._pods.get(_key(pod))
        if entry is not None:
            entry.pod = pod

    def delete(self, pod: Object) -> None:
        """A pod is gone, or it has a node."""
        entry = self._pods.pop(_key(pod), None)
        if entry is not None:
            entry.state = "gone"
            self._leave_unschedulable(entry)
            self._trying.pop(entry.key, None)
            self._nominated.pop(entry.key, None)

    def event(self, event: Event, now: float) -> None:
        """Something happened in the cluster."""
        if self._trying:
            self._events.append(event)
        if any(may_help(event, name) for name in self._rejections):
            for entry in [*self._unschedulable.values()]:
                self._tell(entry, event, now)

    # What goes out

    def pop(self, now: float) -> Object | None:
        """The pod to try next. While none is active those that back off may come early, unless an
        error put them there.
        """
        self._flush(now)
        entry = self._next_active() or self._next_early()
        if entry is None:
            return None
        entry.state = "trying"
        entry.attempts += 1
        if not self._trying:
            self._events.clear()
        entry.seen = len(self._events)
        self._trying[entry.key] = entry
        return entry.pod

    def fail(self, pod: Object, plugins: Iterable[str], now: float, *, error: bool = False) -> None:
        """The attempt failed: these plug-ins rejected the pod, or (``error``) something went
        wrong.
        """
        entry = self._trying.pop(_key(pod), None) or self._pods.get(_key(pod))
        if entry is None or entry.state not in ("trying", "placed"):
            return
        entry.plugins, entry.failed, entry.added = frozenset(plugins), error, now
        entry.until = now + self.backoff(entry.attempts)
        if error or any(
            self._helps(event, entry.pod, entry.plugins) for event in self._events[entry.seen :]
        ):
            self._retire(entry, now)
        else:
            entry.state = "unschedulable"
            self._unschedulable[entry.key] = entry
            self._rejections.update(entry.plugins)

    def placed(self, pod: Object) -> None:
        """The attempt succeeded, and the binding is being written. Until :meth:`delete` says that
        it was, :meth:`fail` may still say that it was not.
        """
        entry = self._trying.pop(_key(pod), None)
        if entry is not None:
            entry.state = "placed"

    def backoff(self, attempts: int) -> float:
        """Seconds before the next attempt: 1, 2, 4, 8, then 10."""
        return min(self._first * 2.0 ** min(attempts - 1, 60), self._longest)

    def next_time(self) -> float | None:
        """When the queue changes by itself next; None when it never does."""
        while self._backoff and self._stale_backoff(self._backoff[0]):
            heapq.heappop(self._backoff)
        oldest = next(iter(self._unschedulable.values()), None)
        times = [] if oldest is None else [oldest.added + RETRY_AFTER]
        return min([*times, *(entry[0] for entry in self._backoff[:1])], default=None)

    # Nominated nodes

    def nominate(self, pod: Object, node: str) -> None:
        """Room is being made for a pod on a node."""
        self._nominated[_key(pod)] = node

    def clear_nomination(self, pod: Object) -> None:
        """The room went to somebody else."""
        self._nominated.pop(_key(pod), None)

    def nominated_on(self, node: str) -> list[Object]:
        """The pods that are to run on a node, the most important first."""
        entries = [
            self._pods[key]
            for key, where in self._nominated.items()
            if where == node and key in self._pods
        ]
        return [entry.pod for entry in sorted(entries, key=Waiting.rank)]

    # Inside

    def _admit(self, entry: Waiting, now: float) -> None:
        if self._gates and any(
            True for _ in named(entry.pod, "Pod").at("spec", "schedulingGates").items()
        ):
            entry.state = "gated"
        else:
            self._activate(entry, now)

    def _activate(self, entry: Waiting, now: float) -> None:
        self._leave_unschedulable(entry)
        entry.state, entry.added, entry.order = "active", now, next(self._order)
        heapq.heappush(self._active, (entry.rank(), entry))

    def _retire(self, entry: Waiting, now: float) -> None:
        """Into back-off, or straight to active when that has passed already."""
        self._leave_unschedulable(entry)
        if entry.until <= now:
            self._activate(entry, now)
            return
        entry.state, entry.order = "backoff", next(self._order)
        heapq.heappush(self._backoff, (entry.until, entry.order, entry))

    def _leave_unschedulable(self, entry: Waiting) -> None:
        if self._unschedulable.pop(entry.key, None) is not None:
            self._rejections.subtract(entry.plugins)
            self._rejections += Counter()

    def _tell(self, entry: Waiting, event: Event, now: float) -> None:
        if entry.state == "trying":
            self._events.append(event)
        elif entry.state == "unschedulable" and self._helps(event, entry.pod, entry.plugins):
            self._retire(entry, now)

    def _flush(self, now: float) -> None:
        while self._backoff and (
            self._backoff[0][0] <= now or self._stale_backoff(self._backoff[0])
        ):
            item = heapq.heappop(self._backoff)
            if not self._stale_backoff(item):
                self._activate(item[2], now)
        while self._unschedulable:
            oldest = next(
                iter(self._unschedulable.values())
            )  # they were put there in the order of their failures
            if oldest.added + RETRY_AFTER > now:
                break
            self._retire(oldest, now)

    @staticmethod
    def _stale_backoff(item: tuple[float, int, Waiting]) -> bool:
        """The pod has left or moved since it was put there."""
        return item[2].state != "backoff" or item[2].order != item[1]

    def _next_active(self) -> Waiting | None:
        while self._active:
            rank, entry = heapq.heappop(self._active)
            if entry.state == "active" and entry.rank() == rank:
                return entry
        return None

    def _next_early(self) -> Waiting | None:
        """The pod whose back-off ends first, but for those that an error put there."""
        failed = []
        entry = None
        while self._backoff and entry is None:
            item = heapq.heappop(self._backoff)
            if self._stale_backoff(item):
                continue
            if item[2].failed:
                failed.append(item)
            else:
                entry = item[2]
        for item in failed:
            heapq.heappush(self._backoff, item)
        return entry


def _key(pod: Object) -> str:
    return key_of(pod)
