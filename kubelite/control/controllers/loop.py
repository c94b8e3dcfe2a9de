"""The loop of a controller: queue, order per key, back-off, workers and clock.

A key is planned when an object that concerns it changes, when its last plan asked to be woken, and
after its own writes, which the view then contains. No key is planned twice at once. One whose plan
takes long, as that of a ReplicaSet with hundreds of pods, rests after it: what changes meanwhile is
one plan, and one write, and not hundreds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from kubelite.client.informers import Handler, Informer
from kubelite.client.resources import CUSTOM_RESOURCE_DEFINITIONS, GroupVersionResource
from kubelite.control.controllers.actions import (
    Create,
    Delete,
    Outcome,
    Patch,
    Plan,
    Post,
    Update,
)
from kubelite.control.controllers.controller import Concerned, Controller
from kubelite.control.controllers.executor import Executor
from kubelite.control.controllers.live_view import LiveView
from kubelite.control.controllers.shared.meta import Key, Obj

FIRST_BACKOFF = 0.005
MAX_BACKOFF = 1000.0
SLICE_SECONDS = 0.01
"""For so long plans are made before others in the process get their turn."""
COSTLY_SECONDS = 0.001
REST_FACTOR, MAX_REST_SECONDS = 9.0, 0.5
"""After a costly plan a key rests for so many times as long as the plan took, to a maximum."""
GOODBYE_SECONDS = 2.0
WRITES = (Create, Delete, Patch, Post, Update)
_QUIET = frozenset({"Conflict", "AlreadyExists", "NotFound", "Unreachable"})

_log = logging.getLogger("kubelite.controllers")


class Handle(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Leaves it out."""


class Clock(Protocol):
    """What time it is, and calls at a time."""

    def now(self) -> float:
        """Seconds since 1970."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        """Calls back when that time has come."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        return asyncio.get_running_loop().call_later(max(0.0, when - time.time()), callback)


class ControllerLoop:
    """Runs one controller."""

    def __init__(
        self, controller: Controller, view: LiveView, executor: Executor, clock: Clock
    ) -> None:
        self.controller = controller
        self._view = view
        self._executor = executor
        self._clock = clock
        self._queue: dict[Key, None] = {}
        self._workers: dict[Key, asyncio.Task[None]] = {}
        self._resting: dict[Key, asyncio.TimerHandle] = {}
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._wakes: dict[Key, Handle] = {}
        self._draining: asyncio.Handle | None = None
        self._handlers: list[tuple[Informer, Handler]] = []
        self._custom: dict[GroupVersionResource, tuple[Informer, Handler]] = {}
        self._is_running = False

    async def start(self) -> None:
        """Waits for the first view and begins to plan: first every key that the view knows."""
        informers = {
            resource: self._view.informer(resource) for resource in self.controller.watches
        }
        for informer in informers.values():
            await informer.wait_synced()
        self._is_running = True
        for resource, concerned in self.controller.watches.items():
            handler = self._handler(concerned)
            self._handlers.append((informers[resource], handler))
            informers[resource].add_handler(handler)
        if self.controller.custom is not None:
            definitions = informers[CUSTOM_RESOURCE_DEFINITIONS]
            self._handlers.append((definitions, self._follow_custom))
            definitions.add_handler(self._follow_custom)

    def _follow_custom(self, old: Obj | None, new: Obj | None) -> None:
        """Follows the custom resources that are served now, and no others."""
        del old, new
        assert self.controller.custom is not None
        wanted = self.controller.custom(self._view)
        for resource in self._custom.keys() - wanted.keys():
            informer, handler = self._custom.pop(resource)
            informer.remove_handler(handler)
            self._view.forget(resource)
        for resource in wanted.keys() - self._custom.keys():
            informer = self._view.informer(resource, metadata_only=True)
            handler = self._handler(wanted[resource])
            self._custom[resource] = informer, handler
            informer.add_handler(handler)

    def _handler(self, concerned: Concerned) -> Handler:
        def changed(old: Obj | None, new: Obj | None) -> None:
            if self._is_running:
                for key in concerned(self._view, old, new):
                    self.add(key)

        return changed

    def add(self, key: Key) -> None:
        """Puts a key into the queue, if it is not there."""
        if not self._is_running:
            return
        if key in self._workers or key in self._resting:
            self._again.add(key)
            return
        self._queue[key] = None
        if self._draining is None:
            self._draining = asyncio.get_running_loop().call_soon(self._drain)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued or being carried out; timers may run."""
        return not self._queue and not self._workers and not self._again

    async def close(self) -> None:
        """Plans no more; what is being carried out may end, but not for long."""
        self._is_running = False
        self._queue.clear()
        for informer, handler in (*self._handlers, *self._custom.values()):
            informer.remove_handler(handler)
        self._handlers.clear()
        self._custom.clear()
        for handle in self._wakes.values():
            handle.cancel()
        self._wakes.clear()
        for rest in self._resting.values():
            rest.cancel()
        self._resting.clear()
        self._again.clear()
        tasks = list(self._workers.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GOODBYE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _drain(self) -> None:
        """Plans what is queued. Only plans that ask for something take a worker."""
        self._draining = None
        ends = time.monotonic() + SLICE_SECONDS
        while self._queue and len(self._workers) < self.controller.workers:
            if time.monotonic() > ends:
                self._draining = asyncio.get_running_loop().call_soon(self._drain)
                return
            key = next(iter(self._queue))
            del self._queue[key]
            self._begin(key)

    def _begin(self, key: Key) -> None:
        plan = self._plan(key)
        if plan is None:
            return
        self._wake(key, plan.wake_at)
        if plan.steps:
            task = asyncio.get_running_loop().create_task(self._carry_out(key, plan))
            self._workers[key] = task
        else:
            self._failures.pop(key, None)

    def _plan(self, key: Key) -> Plan | None:
        begun = time.perf_counter()
        try:
            return self.controller.plan(self._view, key, self._clock.now())
        except Exception:  # noqa: BLE001  # one object must not stop the controller of all others
            _log.exception("%s: the plan for %s failed", self.controller.name, "/".join(key))
            self._retry(key)
            return None
        finally:
            self._rest_after(key, time.perf_counter() - begun)

    def _rest_after(self, key: Key, seconds: float) -> None:
        """Keeps a key from being planned again for a while, when its plan took long."""
        if seconds > COSTLY_SECONDS:
            pause = min(REST_FACTOR * seconds, MAX_REST_SECONDS)
            loop = asyncio.get_running_loop()
            self._resting[key] = loop.call_later(pause, self._rested, key)

    def _rested(self, key: Key) -> None:
        del self._resting[key]
        self._add_again(key)

    def _add_again(self, key: Key) -> None:
        """Queues a key that was asked for while it could not be planned."""
        if key in self._again and key not in self._resting and key not in self._workers:
            self._again.discard(key)
            self.add(key)

    async def _carry_out(self, key: Key, plan: Plan) -> None:
        outcomes: list[Outcome] = []
        try:
            outcomes = await self._executor.run(plan)
            await self._view.catch_up(outcomes)
        except Exception:  # noqa: BLE001  # as above
            _log.exception("%s: carrying out %s failed", self.controller.name, "/".join(key))
            self._done(key)
            self._retry(key)
            return
        self._done(key)
        refused = [outcome.refusal for outcome in outcomes if outcome.refusal is not None]
        for refusal in refused:
            level = logging.DEBUG if refusal.reason in _QUIET else logging.INFO
            _log.log(level, "%s: %s: %s", self.controller.name, "/".join(key), refusal.message)
        if refused or _is_without_effect(outcomes):
            self._retry(key)
            return
        self._failures.pop(key, None)
        if any(isinstance(outcome.action, WRITES) for outcome in outcomes):
            self.add(key)

    def _done(self, key: Key) -> None:
        """Frees the worker of a key."""
        self._workers.pop(key, None)
        self._add_again(key)
        if self._queue and self._draining is None and self._is_running:
            self._draining = asyncio.get_running_loop().call_soon(self._drain)

    def _retry(self, key: Key) -> None:
        """Plans a key again, later each time."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(FIRST_BACKOFF * 2.0 ** min(failures, 30), MAX_BACKOFF)
        if self._is_running:
            self._clock.call_at(self._clock.now() + delay, lambda: self.add(key))

    def _wake(self, key: Key, when: float | None) -> None:
        """Replaces the timer of a key."""
        old = self._wakes.pop(key, None)
        if old is not None:
            old.cancel()
        if when is not None:
            self._wakes[key] = self._clock.call_at(when, lambda: self._woken(key))

    def _woken(self, key: Key) -> None:
        self._wakes.pop(key, None)
        self.add(key)


def _is_without_effect(outcomes: Sequence[Outcome]) -> bool:
    """Whether there were writes and none changed anything: such a plan would be made for ever."""
    writes = [outcome for outcome in outcomes if isinstance(outcome.action, WRITES)]
    return bool(writes) and all(map(_changed_nothing, writes))


def _changed_nothing(outcome: Outcome) -> bool:
    """Whether the server answered an update with the revision that it had already."""
    if not isinstance(outcome.action, Update) or outcome.result is None:
        return False
    before = outcome.action.body["metadata"].get("resourceVersion")
    return before is not None and outcome.result["metadata"].get("resourceVersion") == before
