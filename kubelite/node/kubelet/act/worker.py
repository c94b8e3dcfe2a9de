"""One pod's worker: it observes, decides, acts and reports, and between that waits for something to
happen.

It works under the pod's lock, in the agent or in a command, and keeps nothing that the next worker
would miss.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from kubelite.core.errors import CoreError, ShimGone
from kubelite.core.protocol import Message, Packet, Process, ProcessState, read_processes
from kubelite.node.kubelet.act.executor import Executor
from kubelite.node.kubelet.act.pod_state import Scene
from kubelite.node.kubelet.decide import actions, eviction, policy, status
from kubelite.node.kubelet.decide.actions import Decision
from kubelite.node.kubelet.probe.probe_runner import Attention, Hooked
from kubelite.node.runtime.clock import SECOND, boottime
from kubelite.node.runtime.observe import exit_of
from kubelite.node.runtime.records import (
    CREATED,
    CREATING,
    HOOK_BEGUN,
    HOOK_NONE,
    HOOK_OVER,
    RUN,
    Seen,
)
from kubelite.node.runtime.removal import Remover
from kubelite.node.runtime.storage import measure

if TYPE_CHECKING:
    from kubelite.core.plan import Mount
    from kubelite.node.kubelet.act.bringup import Step
    from kubelite.node.kubelet.act.images import FoundImage
    from kubelite.node.kubelet.probe.probing import Said
    from kubelite.node.kubelet.probe.target import Target
    from kubelite.node.runtime.container import Blueprint
    from kubelite.objects.pod.container import Container, Probe

_ROUNDS = 10_000
_WEIGH_EVERY = 10 * SECOND
"""How often the disk use of a pod that has limits of it is measured, as in the kubelet."""
_SOON = 50
"""Milliseconds until what is dying is looked at again."""


def _quiet(_: object) -> None:
    return


class Worker:
    """Looks after the pod of ``scene``. See :class:`Executor` for ``strict`` and ``most``."""

    def __init__(
        self,
        scene: Scene,
        most: int,
        *,
        strict: bool = False,
        found: dict[str, FoundImage] | None = None,
        trace: Callable[[str], None] = _quiet,
        report: Callable[[Step], None] = _quiet,
    ) -> None:
        self.scene = scene
        self.attention = Attention()
        self._trace = trace
        self._executor = Executor(
            scene, self.attention, most, strict=strict, found=found, trace=trace, report=report
        )
        self._most, self._strict = most, strict
        self._asked: dict[int, str] = {}
        self._told = ("", -1)
        self._lost = False
        self._weigh_at = boottime() + _WEIGH_EVERY

    @property
    def warnings(self) -> list[str]:
        """Sentences on what this machine could not give the pod."""
        return self._executor.warnings

    def close(self) -> None:
        """Lets go of everything; the pod runs on."""
        self._executor.close()
        self.attention.close()

    # -- under the lock -------------------------------------------------------------------------------------------------

    def look(self) -> bool:
        """Sees the pod as it is now; False when it is no more."""
        if self.scene.seen.sandbox is not None and not self.scene.seen.up:
            self._leave()
        before = self.scene.pod
        if not self.scene.look():
            return False
        if self.scene.pod is not before:
            self._leave()  # an update: what was prepared from the specification is out of date
        if self._executor.sandbox is not None and self._executor.sandbox.record.pause != _pause(
            self.scene
        ):
            self._leave()
        for each in self.scene.seen.containers:
            self._forget_hooks(each)
        return True

    def _leave(self) -> None:
        self._executor.leave()
        self._asked.clear()

    def _forget_hooks(self, seen: Seen) -> None:
        """A hook that somebody else had begun, who was killed, is run again."""
        record = seen.record
        if record.hooked == HOOK_BEGUN and not self.attention.hooking(record.id, "post_start"):
            record.hooked = HOOK_NONE
        if (
            record.stop is not None
            and record.stop.hook == HOOK_BEGUN
            and not self.attention.hooking(record.id, "pre_stop")
        ):
            record.stop.hook = HOOK_NONE

    def advance(self) -> Decision:
        """Does what there is to do now; returns the decision that there is nothing more. ``strict``
        raises what Executor does.
        """
        self._take_in()
        for _ in range(_ROUNDS):
            decision = actions.decide(
                self.scene.pod, self.scene.seen, self.scene.moment(), self._most
            )
            if self._executor.retry_at > boottime() and decision.actions == (
                actions.MakeSandbox(),
            ):
                decision = Decision(wake=self._executor.retry_at)
            if not decision.actions:
                decision = self._weigh(decision)
            if not decision.actions:
                break
            self._carry_out(decision)
        self._settle(decision)
        return decision

    def _weigh(self, decision: Decision) -> Decision:
        """The decision, or that the pod has to go for the disk it occupies."""
        scene, now = self.scene, boottime()
        if scene.record.goal != RUN or not self.running or not eviction.limited(scene.pod):
            return decision
        if now >= self._weigh_at:
            self._weigh_at = now + _WEIGH_EVERY
            used = measure(
                scene.home, scene.record, [each.record for each in scene.seen.containers]
            )
            if said := eviction.eviction(scene.pod, used):
                scene.event(eviction.REASON, said, warning=True)
                return Decision((actions.Fail(eviction.REASON, said),))
        wake = self._weigh_at if decision.wake is None else min(decision.wake, self._weigh_at)
        return decision._replace(wake=wake)

    def _carry_out(self, decision: Decision) -> None:
        try:
            self._executor.carry_out(decision.actions)
        except ShimGone:
            if self._strict and self.scene.record.stage == CREATING:
                raise
            self._leave()
            self.scene.look()

    def _settle(self, decision: Decision) -> None:
        """The pod is as far as it can be now: that goes on record, where it is news."""
        scene = self.scene
        if scene.record.stage == CREATING and (
            decision.up or decision.waiting or policy.is_over(scene.pod, scene.seen)
        ):
            scene.record.stage = CREATED
            scene.record.up_at = scene.moment().wall
            self._trace("record that the pod is up")
            scene.save()
        self._tell_backoff(decision.waiting)
        changed = status.transitions(scene.pod, scene.seen, scene.moment().wall)
        if changed is not None:
            scene.seen = scene.seen._replace(conditions=changed)
            scene.ledger.save_conditions(scene.uid, changed)
        scene.timeline.flush()

    def _tell_backoff(self, name: str) -> None:
        seen = self.scene.of(name)
        if seen is None or (name, seen.record.attempt) == self._told:
            return
        self._told = (name, seen.record.attempt)
        metadata = self.scene.record
        where = f"{metadata.name}_{metadata.namespace}({metadata.uid})"
        self.scene.event(
            "BackOff",
            f"Back-off restarting failed container {name} in pod {where}",
            name,
            warning=True,
        )

    def restart(self, name: str, grace: int) -> None:
        """Marks one container to be ended, with ``grace`` seconds, and started again; one that has
        ended, to be started.
        """
        seen = self.scene.of(name)
        if seen is not None and seen.running:
            self._executor.mark_stop(name, grace * SECOND, again=True)
        elif seen is not None:
            self._executor.forgive(seen)

    def forgive(self, names: Collection[str]) -> None:
        """Those of them that wait for their back-off are started at once."""
        for name in names:
            seen = self.scene.of(name)
            if seen is not None and seen.past is not None and seen.past.wait and not seen.running:
                self._executor.forgive(seen)

    def visitor(self, container: Container) -> tuple[Blueprint, list[Mount]]:
        """What a container that is not of the pod would be made from, beside it. Raises ShimGone,
        Unstartable and its like.
        """
        return self._executor.visitor(container)

    @property
    def running(self) -> bool:
        """Whether any container runs."""
        return any(each.running for each in self.scene.seen.containers)

    def remove(self) -> None:
        """Removes what is left of a pod whose containers have ended. Raises RuntimeFailure for what
        would not go.
        """
        self._leave()
        Remover(self.scene.home, self.scene.ledger, self._trace).remove(self.scene.record)

    # -- between locks, or while a command holds it -----------------------------------------------------------------------

    def wait(self, decision: Decision) -> None:
        """Until a container ends, a hook or probe has news, somebody nudges, or it is time to look
        again.
        """
        self.attention.probe(self._targets())
        poll = select.poll()
        poll.register(self.attention.wake, select.POLLIN)
        shim = self._watch()
        if self._overheard(shim):
            return
        if shim >= 0:
            poll.register(shim, select.POLLIN)
        left = None if decision.wake is None else max((decision.wake - boottime()) / 1e6, 0) + 1
        if self._lost:
            left = _SOON
        ready = {fd for fd, _ in poll.poll(left)}
        if shim in ready:
            self._hear()

    def _targets(self) -> list[Target]:
        """The containers to probe now."""
        found = []
        for seen in self.scene.seen.containers:
            part = self.scene.part(seen.record.name)
            if (
                part is None
                or not seen.running
                or seen.record.stop is not None
                or self.scene.record.paused
            ):
                continue
            if (
                any(policy.probes(part.container))
                and (target := self._executor.target(seen.record)) is not None
            ):
                found.append(target)
        return found

    def _watch(self) -> int:
        """The descriptor of a connection that tells of every running container's end; -1 without a
        sandbox.
        """
        self._lost = False
        if not self.scene.seen.up:
            return -1
        try:
            shim = self._executor.joined().shim
            asked = set(self._asked.values())
            for each in self.scene.seen.containers:
                if each.running and each.record.id not in asked:
                    self._asked[shim.ask_wait(each.record.id)] = each.record.id
            return shim.fileno()
        except CoreError:
            self._lose()
            return -1

    def _overheard(self, fd: int) -> bool:
        """Whether an end was told while the answer to something else was waited for."""
        if fd < 0:
            return False
        packets = self._executor.joined().shim.take(list(self._asked))
        for packet in packets:
            self._take(packet)
        return bool(packets)

    def _hear(self) -> None:
        shim = self._executor.joined().shim
        try:
            while (got := shim.receive(0)) is not None:
                self._take(got[0])
        except CoreError:
            self._lose()

    def _take(self, packet: Packet) -> None:
        id = self._asked.pop(packet.seq, "")
        if packet.type == Message.EXITED and id:
            self._has_ended(read_processes(packet.body)[0])

    def _has_ended(self, process: Process) -> None:
        seen = self.scene.by_id(process.id)
        if seen is not None and process.state == ProcessState.EXITED:
            self.scene.put(seen._replace(running=False, exit=exit_of(process)))

    def _lose(self) -> None:
        """The shim has gone: pause and containers follow it at once, killed by the kernel, but not
        before one can look.
        """
        self._lost = True
        self._leave()
        self.scene.look()

    # -- what hooks and probes have found -------------------------------------------------------------------------------

    def _take_in(self) -> None:
        for each in self.attention.heard():
            seen = self.scene.by_id(each.id)
            if seen is None or not seen.running:
                continue
            if isinstance(each, Hooked):
                self._hooked(seen, each)
            else:
                self._probed(seen, each)

    def _hooked(self, seen: Seen, hooked: Hooked) -> None:
        record, scene = seen.record, self.scene
        if hooked.kind == "pre_stop":
            if record.stop is not None:
                record.stop.hook = HOOK_OVER
            if hooked.problem:
                scene.event("FailedPreStopHook", hooked.problem, record.name, warning=True)
        else:
            record.hooked = HOOK_OVER
            if hooked.problem:
                scene.event("FailedPostStartHook", hooked.problem, record.name, warning=True)
                self._stop(seen, None, "FailedPostStartHook")
        scene.save_container(record)

    def _probed(self, seen: Seen, said: Said) -> None:
        record, scene = seen.record, self.scene
        if not said.ok:
            scene.event("Unhealthy", said.message, record.name, warning=True)
        if not said.changed:
            return
        if said.kind == "startup":
            record.startup_ok = said.ok
        elif said.kind == "readiness":
            record.ready_ok = said.ok
        scene.save_container(record)
        part = scene.part(record.name)
        if not said.ok and said.kind != "readiness" and part is not None:
            probe = (
                part.container.startup_probe
                if said.kind == "startup"
                else part.container.liveness_probe
            )
            self._stop(
                seen, probe, f"Container {record.name} failed {said.kind} probe, will be restarted"
            )

    def _stop(self, seen: Seen, probe: Probe | None, why: str) -> None:
        own = probe.termination_grace_period_seconds if probe is not None else None
        seconds = policy.grace(self.scene.pod) if own is None else own
        self._executor.mark_stop(seen.record.name, seconds * SECOND, why=why)


def _pause(scene: Scene) -> str:
    return scene.seen.sandbox.pause if scene.seen.sandbox is not None else ""
