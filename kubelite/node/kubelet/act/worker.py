"""One pod's worker: it observes, decides, acts and reports, and then waits for something to happen.

It works under the pod's lock, in the agent or in a command, and keeps nothing in memory that the
next worker would miss.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from kubelite.core.errors import CoreError, ShimGone
from kubelite.core.protocol import Message, Packet, Process, ProcessState, read_processes
from kubelite.node.kubelet.act.executor import Executor, announcing_failure
from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.kubelet.act.probe_runner import HookResult, ProbeAndHookRunner
from kubelite.node.kubelet.decide import actions, restart_policy, status
from kubelite.node.kubelet.decide.actions import Decision, needs_care
from kubelite.node.runtime.clock import SECOND, boottime
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.observe import exit_of
from kubelite.node.runtime.records import (
    API,
    CREATED,
    CREATING,
    HOOK_BEGUN,
    HOOK_NONE,
    HOOK_OVER,
    RUN,
    ObservedContainer,
)
from kubelite.objects.pod import qos

if TYPE_CHECKING:
    from kubelite.node.kubelet.act.executor import Step
    from kubelite.node.kubelet.act.images import ResolvedImage
    from kubelite.node.kubelet.probe.probing import ProbeReport
    from kubelite.node.kubelet.probe.target import Target
    from kubelite.objects.pod.container import Probe

_MAX_ROUNDS = 10_000
"""A bound for a loop that ends by itself unless a decision is wrong."""
_MEASURE_EVERY = 10 * SECOND
"""How often the disk usage of a pod with storage limits is measured: the kubelet's period."""
_LOST_SHIM_MS = 50
"""Milliseconds until the containers of a shim that has died are looked at again."""


def _ignore(_: object) -> None:
    return


class Worker:
    """Looks after the pod of ``state``. See :class:`Executor` for the parameters."""

    def __init__(
        self,
        state: PodState,
        node_max_backoff: int,
        *,
        strict: bool = False,
        resolved: dict[str, ResolvedImage] | None = None,
        trace: Callable[[str], None] = _ignore,
        report: Callable[[Step], None] = _ignore,
    ) -> None:
        self.state = state
        self.runner = ProbeAndHookRunner()
        self._trace = trace
        self.executor = Executor(
            state,
            self.runner,
            node_max_backoff,
            strict=strict,
            resolved=resolved,
            trace=trace,
            report=report,
        )
        self._node_max_backoff = node_max_backoff
        self._strict = strict
        self._watched: dict[int, str] = {}
        """Container ids by the number of the question that is answered when they exit."""
        self._reported_backoff = ("", -1)
        self._shim_lost = False
        self._said_care: bool | None = None
        self._measure_at = boottime() + _MEASURE_EVERY

    def close(self) -> None:
        """Closes all descriptors and ends the probes; the pod runs on."""
        self.executor.close()
        self.runner.close()

    # -- under the lock ----------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Observes the pod as it is now; False when it is gone."""
        state = self.state
        if state.observed.sandbox is not None and not state.observed.up:
            self._leave_sandbox()
        specification = state.pod
        if not state.refresh():
            return False
        joined = self.executor.sandbox
        if state.pod is not specification:
            self._leave_sandbox()  # an update: what was prepared from the old one is out of date
        elif joined is not None and joined.record.pause != state.sandbox_id:
            self._leave_sandbox()
        for observed in state.observed.containers:
            self._reset_interrupted_hooks(observed)
        return True

    def _leave_sandbox(self) -> None:
        self.executor.leave_sandbox()
        self._watched.clear()
        self._said_care = None

    def _reset_interrupted_hooks(self, observed: ObservedContainer) -> None:
        """A hook that a killed process had begun runs again."""
        record = observed.record
        is_running = self.runner.is_hook_running
        if record.post_start_hook == HOOK_BEGUN and not is_running(record.id, "post_start"):
            record.post_start_hook = HOOK_NONE
        stop = record.stop
        if stop is not None and stop.hook == HOOK_BEGUN and not is_running(record.id, "pre_stop"):
            stop.hook = HOOK_NONE

    def advance(self) -> Decision:
        """Does everything that can be done now; returns the decision that nothing is left to do.
        Raises what the Executor does where that is strict.
        """
        self._take_results()
        for _ in range(_MAX_ROUNDS):
            decision = self._decide()
            if not decision.actions:
                break
            self._carry_out(decision)
        self._save_progress(decision)
        self._say_care()
        return decision

    def _decide(self) -> Decision:
        state = self.state
        decision = actions.decide(state.pod, state.observed, state.now(), self._node_max_backoff)
        creates_sandbox = decision.actions == (actions.CreateSandbox(),)
        if creates_sandbox and self.executor.waits():
            return Decision(wake=self.executor.retry_at)
        return decision if decision.actions else self._check_disk_usage(decision)

    def _check_disk_usage(self, decision: Decision) -> Decision:
        """``decision``, or the failure of a pod that exceeds a storage limit."""
        state, now = self.state, boottime()
        if state.record.goal != RUN or not self.any_running or not qos.has_storage_limit(state.pod):
            return decision
        if now >= self._measure_at:
            from kubelite.node.kubelet.decide import local_storage_limits  # few pods have a limit
            from kubelite.node.runtime.storage import measure

            self._measure_at = now + _MEASURE_EVERY
            used = measure(
                state.home,
                state.record,
                [container.record for container in state.observed.containers],
            )
            message = local_storage_limits.eviction_message(state.pod, used)
            if message:
                state.event(local_storage_limits.REASON, message, warning=True)
                return Decision((actions.FailPod(local_storage_limits.REASON, message),))
        wake = self._measure_at if decision.wake is None else min(decision.wake, self._measure_at)
        return decision._replace(wake=wake)

    def _carry_out(self, decision: Decision) -> None:
        try:
            self.executor.carry_out(decision.actions)
        except ShimGone:
            if self._strict and self.state.record.stage == CREATING:
                raise
            self._leave_sandbox()
            self.state.refresh()

    def _save_progress(self, decision: Decision) -> None:
        """Persists stage and conditions if they changed."""
        state = self.state
        is_up = (
            decision.up
            or bool(decision.waiting)
            or restart_policy.is_finished(state.pod, state.observed)
        )
        if state.record.stage == CREATING and is_up:
            state.record.stage = CREATED
            state.record.up_at = state.now().wall
            self._trace("record that the pod is up")
            state.save()
        self._report_backoff(decision.waiting)
        changed = status.transitions(state.pod, state.observed, state.now().wall)
        if changed is not None:
            state.observed = state.observed._replace(conditions=changed)
            state.ledger.save_conditions(state.uid, changed)
        state.timeline.flush()

    def _say_care(self) -> None:
        """Tells the shim whether to call for an agent when this process is gone. The pods of a
        cluster are left to its node's process.
        """
        state = self.state
        needed = state.record.origin != API and needs_care(state.pod, state.observed)
        if not state.observed.up or needed == self._said_care:
            return
        with contextlib.suppress(ShimGone):  # the next look finds out
            self.executor.joined().shim.say_care(needed)
            self._said_care = needed

    def _report_backoff(self, name: str) -> None:
        """One event for each attempt whose successor has to wait."""
        observed = self.state.container(name)
        if observed is None or (name, observed.record.attempt) == self._reported_backoff:
            return
        self._reported_backoff = (name, observed.record.attempt)
        record = self.state.record
        pod = f"{record.name}_{record.namespace}({record.uid})"
        message = f"Back-off restarting failed container {name} in pod {pod}"
        self.state.event("BackOff", message, name, warning=True)

    def restart(self, name: str, grace: int) -> None:
        """Marks one container to be stopped, with ``grace`` seconds, and restarted; one that has
        exited, to be restarted.
        """
        observed = self.state.container(name)
        if observed is not None and observed.running:
            self.executor.mark_stop(name, grace * SECOND, restart=True)
        elif observed is not None:
            self.executor.force_restart(observed)

    def end_backoff(self, names: Collection[str]) -> None:
        """Those of the containers that wait for their back-off restart at once."""
        for name in names:
            observed = self.state.container(name)
            if observed is None or observed.running or observed.last_exit is None:
                continue
            if observed.last_exit.backoff:
                self.executor.force_restart(observed)

    @property
    def any_running(self) -> bool:
        """Whether any container runs."""
        return any(container.running for container in self.state.observed.containers)

    def remove(self) -> None:
        """Removes what is left of a pod whose containers have exited. Raises RuntimeFailure for
        what cannot be removed.
        """
        from kubelite.node.runtime.removal import remove_pod

        self._leave_sandbox()
        try:
            with announcing_failure(self.state):
                remove_pod(self.state.home, self.state.ledger, self.state.record, self._trace)
        except RuntimeFailure:
            self.state.refresh()  # whoever waits to try again waits for no shim
            raise

    # -- between locks, or while a command holds it ------------------------------------------------

    def wait(self, decision: Decision) -> None:
        """Until a container exits, a hook or probe has a result, somebody notifies, or ``decision``
        is due.
        """
        self.runner.probe(self._probe_targets())
        poll = select.poll()
        poll.register(self.runner.wake, select.POLLIN)
        shim = self._watch_exits()
        if self._take_buffered_exits(shim):
            return
        if shim >= 0:
            poll.register(shim, select.POLLIN)
        milliseconds = None
        if decision.wake is not None:
            milliseconds = max((decision.wake - boottime()) / 1e6, 0) + 1
        if self._shim_lost:
            milliseconds = _LOST_SHIM_MS
        ready = {fd for fd, _ in poll.poll(milliseconds)}
        if shim in ready:
            self._read_exits()

    def _probe_targets(self) -> list[Target]:
        """The attempts to probe now."""
        if self.state.record.paused:
            return []
        targets = []
        for observed in self.state.observed.containers:
            declared = self.state.declared(observed.record.name)
            if declared is None or not observed.running or observed.record.stop is not None:
                continue
            target = None
            if any(restart_policy.probes(declared.container)):
                target = self.executor.target(observed.record)
            if target is not None:
                targets.append(target)
        return targets

    def _watch_exits(self) -> int:
        """The descriptor of a connection that reports the exit of every running container; -1
        without a sandbox.
        """
        self._shim_lost = False
        if not self.state.observed.up:
            return -1
        try:
            shim = self.executor.joined().shim
            watched = set(self._watched.values())
            for observed in self.state.observed.containers:
                if observed.running and observed.record.id not in watched:
                    self._watched[shim.ask_wait(observed.record.id)] = observed.record.id
            return shim.fileno()
        except CoreError:
            self._lose_shim()
            return -1

    def _take_buffered_exits(self, shim: int) -> bool:
        """Exits that arrived while the answer to something else was awaited: no descriptor becomes
        readable for them any more.
        """
        if shim < 0:
            return False
        packets = self.executor.joined().shim.take(list(self._watched))
        for packet in packets:
            self._take_exit(packet)
        return bool(packets)

    def _read_exits(self) -> None:
        shim = self.executor.joined().shim
        try:
            while (received := shim.receive(0)) is not None:
                self._take_exit(received[0])
        except CoreError:
            self._lose_shim()

    def _take_exit(self, packet: Packet) -> None:
        id = self._watched.pop(packet.seq, "")
        if packet.type == Message.EXITED and id:
            self._put_exit(read_processes(packet.body)[0])

    def _put_exit(self, process: Process) -> None:
        observed = self.state.by_id(process.id)
        if observed is not None and process.state == ProcessState.EXITED:
            self.state.put(observed._replace(running=False, exit=exit_of(process)))

    def _lose_shim(self) -> None:
        """The shim has died. The kernel kills pause and containers after it, but they may still be
        seen for a moment.
        """
        self._shim_lost = True
        self._leave_sandbox()
        self.state.refresh()

    # -- results of hooks and probes ---------------------------------------------------------------

    def _take_results(self) -> None:
        for result in self.runner.drain_results():
            observed = self.state.by_id(result.id)
            if observed is None or not observed.running:
                continue
            if isinstance(result, HookResult):
                self._hook_finished(observed, result)
            else:
                self._probe_reported(observed, result)

    def _hook_finished(self, observed: ObservedContainer, result: HookResult) -> None:
        record, state = observed.record, self.state
        if result.kind == "pre_stop":
            if record.stop is not None:
                record.stop.hook = HOOK_OVER
            if result.problem:
                state.event("FailedPreStopHook", result.problem, record.name, warning=True)
        else:
            record.post_start_hook = HOOK_OVER
            if result.problem:
                state.event("FailedPostStartHook", result.problem, record.name, warning=True)
                self._stop(observed, None, "FailedPostStartHook")
        state.save_container(record)

    def _probe_reported(self, observed: ObservedContainer, report: ProbeReport) -> None:
        record, state = observed.record, self.state
        if report.event:
            state.event(report.event, report.message, record.name, warning=True)
        if not report.changed:
            return
        if report.kind == "startup":
            record.startup_ok = report.ok
        elif report.kind == "readiness":
            record.ready_ok = report.ok
        state.save_container(record)
        declared = state.declared(record.name)
        if report.ok or report.kind == "readiness" or declared is None:
            return
        container = declared.container
        probe = container.startup_probe if report.kind == "startup" else container.liveness_probe
        message = f"Container {record.name} failed {report.kind} probe, will be restarted"
        self._stop(observed, probe, message)

    def _stop(self, observed: ObservedContainer, probe: Probe | None, reason: str) -> None:
        own = probe.termination_grace_period_seconds if probe is not None else None
        seconds = restart_policy.grace(self.state.pod) if own is None else own
        self.executor.mark_stop(observed.record.name, seconds * SECOND, reason=reason)
