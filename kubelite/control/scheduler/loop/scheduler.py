"""The scheduler at work: what informers show changes the cluster and the queue, pods are taken
from the queue in runs, and what was decided is written while the next ones are decided about.

Decisions are strictly one after the other and never wait: between taking a pod from the queue and
assuming it on its node nothing else happens. Writing is concurrent. A pod is *assumed*, counted as
running on its node, from its decision until the API shows it there or refuses the binding.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.client.errors import ClientError, Conflict, NotFound, ServerError, Unreachable
from kubelite.client.informers import Informer
from kubelite.control.scheduler.cluster import batch
from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.cluster.core_arrays import PodClass
from kubelite.control.scheduler.cluster.decision import Decision
from kubelite.control.scheduler.cluster.pod_table import Entry, key_of
from kubelite.control.scheduler.cluster.preemption import Preemption, outcome, preempt
from kubelite.control.scheduler.cluster.rating import decide
from kubelite.control.scheduler.facts.errors import BadObject
from kubelite.control.scheduler.loop import changes
from kubelite.control.scheduler.loop.claims import ClaimBinder, ClaimsNotBoundError
from kubelite.control.scheduler.loop.queue import Queue
from kubelite.control.scheduler.loop.writer import Writer
from kubelite.control.scheduler.plugins import hints, message
from kubelite.control.scheduler.plugins.hints import Event

Object = Mapping[str, Any]

RUN = 64  # pods decided about before others get a turn
MAX_WRITING = 512  # bindings in flight
ANY_PLUGIN = frozenset(("",))  # a plug-in without hints, whom every event may help

_log = logging.getLogger("kubelite.scheduler")


class Failure(NamedTuple):
    """Why pods of a class have no node, good until the cluster changes."""

    changes: int
    message: str
    plugins: frozenset[str]


class Scheduler:
    """Schedules the pods of its profiles. ``informers`` are those of :mod:`.view`, by kind."""

    def __init__(self, cluster: Cluster, informers: Mapping[str, Informer], writer: Writer) -> None:
        self.cluster = cluster
        gates = next(iter(cluster.profiles.values())).gates
        self.queue = Queue(hints.Hints(cluster.traits_of, cluster.world), gates=gates)
        self._informers = informers
        self._writer = writer
        self._claims = ClaimBinder(informers, writer)
        self._assumed: dict[str, Object] = {}
        self._failures: dict[tuple[PodClass, str], Failure] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._handlers: list[tuple[Informer, Callable[[Any, Any], None]]] = []

    # Life

    async def run(self) -> None:
        """Schedules until cancelled. The informers have their first view."""
        for kind, informer in self._informers.items():
            handler = self._pod_changed if kind == "Pod" else self._handler_of(kind)
            informer.add_handler(handler)
            self._handlers.append((informer, handler))
        try:
            while True:
                await self._wait()
                while self._schedule_run():
                    await asyncio.sleep(0)
                    while len(self._tasks) >= MAX_WRITING:
                        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for informer, handler in self._handlers:
                informer.remove_handler(handler)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait(self) -> None:
        """Returns when the queue may have something: after a change, or when a back-off ends."""
        try:
            async with asyncio.timeout_at(self.queue.next_time()):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # What informers show

    def _handler_of(self, kind: str) -> Callable[[Any, Any], None]:
        def handle(old: Object | None, new: Object | None) -> None:
            self._object_changed(kind, old, new)

        return handle

    def _object_changed(self, kind: str, old: Object | None, new: Object | None) -> None:
        if kind == "Node" and old and new and changes.is_same_node(old, new):
            return
        self._put(kind, old, new)
        self.queue.event(Event(kind, old, new), self._now())
        if kind in ("PersistentVolumeClaim", "PersistentVolume"):
            self._claims.changed()
        self._wake.set()

    def _put(self, kind: str, old: Object | None, new: Object | None) -> None:
        """Takes an object into the cluster, or out of it. One that makes no sense is left out."""
        try:
            if new is not None:
                self.cluster.put(kind, new)
            elif old is not None:
                self.cluster.drop(kind, old)
        except BadObject as error:
            _log.warning("%s", error)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None  # an informer never calls with neither
        was_active = old is not None and changes.node_of(old) and not changes.is_finished(old)
        if new is None or changes.is_finished(new):
            self._pod_left(pod, old, was_held=bool(was_active))
        elif changes.node_of(new):
            self._pod_runs(old if was_active else None, new)
        elif changes.scheduler_name(new) in self.cluster.profiles:
            self._pod_waits(old, new)
        self._wake.set()

    def _pod_left(self, pod: Object, old: Object | None, *, was_held: bool) -> None:
        """A pod is gone or has ended: what it held is free."""
        self._assumed.pop(key_of(pod), None)
        self.queue.delete(pod)
        self._put("Pod", pod, None)
        if was_held or changes.nominated_node(pod):
            self.queue.event(Event("Pod", old or pod, None), self._now())

    def _pod_runs(self, old: Object | None, new: Object) -> None:
        """A pod has a node, whoever gave it, or something about it has changed there."""
        self._assumed.pop(key_of(new), None)
        if old is None:
            self.queue.delete(new)
            self._put("Pod", None, new)
            self.queue.event(Event("Pod", None, new), self._now())
            return
        before = self.cluster.changes
        self._put("Pod", None, new)
        if self.cluster.changes != before and not changes.is_same_pod(old, new):
            self.queue.event(Event("Pod", old, new), self._now())

    def _pod_waits(self, old: Object | None, new: Object) -> None:
        """A pod looks for a node; one that is deleted meanwhile needs none."""
        key = key_of(new)
        if key in self._assumed:
            return
        nominated = changes.nominated_node(new)
        if nominated or key in self.cluster.pods:
            self._put("Pod", None, new)
        if changes.is_terminating(new):
            self.queue.delete(new)
        elif old is not None and changes.is_same_pod(old, new):
            self.queue.refresh(new)
        else:
            self.queue.update(new, self._now())

    # Decisions

    def _schedule_run(self) -> bool:
        """Decides about the next pods of the queue. Returns whether there were any."""
        now = self._now()
        run: list[Object] = []
        while len(run) < RUN and (pod := self.queue.pop(now)) is not None:
            run.append(pod)
        rest: Sequence[Object] = run
        while rest:
            try:
                nodes = batch.place(self.cluster, rest)
            except BadObject:
                nodes = self._place_one(rest[0])
            for pod, node in zip(rest, nodes, strict=False):
                if node is None:
                    self._no_node(pod)
                else:
                    self._assume(pod, node)
            rest = rest[len(nodes) :]
        return bool(run)

    def _place_one(self, pod: Object) -> list[str | None]:
        """The same for a pod of a run in which one makes no sense, which fails by itself."""
        try:
            return batch.place(self.cluster, [pod])
        except BadObject as error:
            self._failed(pod, "SchedulerError", str(error), frozenset(), error=True)
            return [""]

    def _assume(self, pod: Object, node: str) -> None:
        """The pod counts as running on the node; the binding is written."""
        if not node:
            return  # it has failed already
        key = key_of(pod)
        self._assumed[key] = pod
        self.queue.placed(pod)
        entry = self.cluster.pods.get(key)
        self._start(self._bind(pod, node, entry.claims if entry else ()))

    async def _bind(self, pod: Object, node: str, claims: tuple[tuple[str, str], ...]) -> None:
        try:
            if claims:
                await self._claims.bind(claims, node)
            await self._writer.bind(pod, node)
        except (Unreachable, ServerError) as error:
            # The binding may have been carried out; until that is known the room is not given away.
            if not await self._writer.is_bound(pod, node):
                self._not_bound(pod, claims, error)
        except (ClientError, ClaimsNotBoundError) as error:
            self._not_bound(pod, claims, error)

    def _not_bound(
        self, pod: Object, claims: tuple[tuple[str, str], ...], error: Exception
    ) -> None:
        """Forgets the assumption. A pod that is gone or has a node already needs nothing more."""
        key = key_of(pod)
        if self._assumed.get(key) is not pod:
            return
        del self._assumed[key]
        self.cluster.forget(pod)
        self._claims.restore(claims, self._put)
        self.queue.event(Event("Pod", _running(pod, ""), None), self._now())
        if isinstance(error, NotFound):
            self.queue.delete(pod)
        elif isinstance(error, Conflict):
            self.queue.fail(pod, (), self._now(), error=True)
        else:
            text = f"running Bind plugin: {error}"
            self._failed(pod, "SchedulerError", text, frozenset(), error=True)
        self._wake.set()

    # Failures

    def _no_node(self, pod: Object) -> None:
        """Preempts, or says why not. A class that failed since the last change is not asked about
        again.
        """
        try:
            pod_class = self.cluster.classify(pod)
            policy = (pod.get("spec") or {}).get("preemptionPolicy") or ""
            failure = self._failures.get((pod_class, policy))
            if failure is not None and failure.changes == self.cluster.changes:
                self._failed(pod, "Unschedulable", failure.message, failure.plugins)
                return
            decision = decide(self.cluster, pod)
            preemption = preempt(self.cluster, pod, decision)
        except BadObject as error:
            self._failed(pod, "SchedulerError", str(error), frozenset(), error=True)
            return
        # Without nodes no plug-in has rejected the pod, and any change may help it.
        plugins = frozenset(rejection.plugin for rejection in decision.rejections) or ANY_PLUGIN
        if preemption is not None and preemption.chosen is not None:
            self._make_room(
                pod, decision, preemption.chosen, preemption.candidates[preemption.chosen], plugins
            )
            return
        text = self._sentence(pod, decision, preemption)
        self._failed(pod, "Unschedulable", text, plugins)
        if not decision.profile.own and not changes.nominated_node(pod):
            self._remember(pod_class, policy, Failure(self.cluster.changes, text, plugins))

    def _remember(self, pod_class: PodClass, policy: str, failure: Failure) -> None:
        if len(self._failures) > 10_000:
            self._failures.clear()
        self._failures[pod_class, policy] = failure

    def _sentence(self, pod: Object, decision: Decision, preemption: Preemption | None) -> str:
        outcome_text = outcome(self.cluster, pod, decision, preemption)
        return message.after_post_filters(decision.sentence, decision.problem, outcome_text)

    def _failed(
        self,
        pod: Object,
        reason: str,
        text: str,
        plugins: frozenset[str],
        *,
        error: bool = False,
        nominated: str | None = None,
    ) -> None:
        self.queue.fail(pod, plugins, self._now(), error=error)
        self._start(self._writer.report_failure(pod, reason, text, nominated))

    def _make_room(
        self,
        pod: Object,
        decision: Decision,
        node: str,
        victims: Sequence[Entry],
        plugins: frozenset[str],
    ) -> None:
        """The pod is nominated, and waits for its victims to go."""
        priority = int((pod.get("spec") or {}).get("priority") or 0)
        for other in self.queue.nominated_on(node):
            if int((other.get("spec") or {}).get("priority") or 0) < priority:
                self.cluster.forget(other)
                self.queue.clear_nomination(other)
                self._start(self._writer.clear_nomination(other))
        nominee = {**pod, "status": {**(pod.get("status") or {}), "nominatedNodeName": node}}
        self.cluster.nominate(nominee, node)
        self.queue.nominate(pod, node)
        going = [victim.obj for victim in victims if not changes.is_terminating(victim.obj)]
        self._failed(pod, "Unschedulable", decision.sentence, plugins, nominated=node)
        self._start(self._writer.preempt(pod, node, going))


def _running(pod: Object, node: str) -> dict[str, Any]:
    return {**pod, "spec": {**(pod.get("spec") or {}), "nodeName": node or "unknown"}}
