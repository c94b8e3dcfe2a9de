"""Probes, carried out by the node: one probe once, and all probes of a running attempt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from kubelite.node.kubelet.decide import probes
from kubelite.node.kubelet.decide.probes import LIVENESS, READINESS, STARTUP, ProbeResult
from kubelite.node.kubelet.probe.target import Target
from kubelite.objects.pod.container import ExecAction, HTTPGetAction, Probe, TCPSocketAction
from kubelite.objects.pod.expand import expand

if TYPE_CHECKING:
    from kubelite.node.runtime.exec.command import CommandResult

_TRIES = 3
_AGENT = "kube-probe/1.36"


class ProbeReport(NamedTuple):
    """A result of a probe of attempt ``id``. ``ok`` is the verdict after thresholds, ``changed``
    says that it is new; ``event`` and ``message`` are the event for this result, "" for none.
    """

    id: str
    kind: str
    ok: bool
    changed: bool
    event: str
    message: str


# -- one probe -------------------------------------------------------------------------------------


def run_probe(probe: Probe, target: Target) -> ProbeResult:
    """Probes once, with up to two retries where the probe could not be carried out; takes hardly
    longer than timeoutSeconds. Never raises.
    """
    result = ProbeResult(False, "the probe has no handler", known=False)
    for _ in range(_TRIES):
        try:
            result = _probe_once(probe, target, probes.timeout(probe))
        except Exception as error:  # noqa: BLE001 - any error means unknown, not unhealthy
            result = ProbeResult(False, str(error), known=False)
        if result.known:
            break
    return result


def _probe_once(probe: Probe, target: Target, seconds: float) -> ProbeResult:
    if probe.exec is not None:
        return _execute(probe.exec, target, seconds)
    if probe.http_get is not None:
        return _get(probe.http_get, target, seconds)
    if probe.tcp_socket is not None:
        return _connect(probe.tcp_socket, target, seconds)
    if probe.grpc is not None:
        from kubelite.node.kubelet.probe import grpc_probe

        service = probe.grpc.service or ""
        return grpc_probe.probe(
            target.netns_pid, target.pod_ip, probe.grpc.port, service, seconds, _AGENT
        )
    return ProbeResult(False, "Missing probe handler", known=False)


def execute(action: ExecAction, target: Target, seconds: float) -> tuple[CommandResult, list[str]]:
    """Runs the command of a probe or hook in the container; returns the outcome and the command
    with ``$(VAR)`` expanded.
    """
    from kubelite.node.cgroup.detect import read_world
    from kubelite.node.cgroup.tree import CgroupTree
    from kubelite.node.runtime.exec.command import run

    declared = {variable.name for variable in target.container.env}
    env = {
        name: value
        for name, _, value in (pair.partition("=") for pair in target.record.env)
        if name in declared
    }
    words = [expand(word, env) for word in action.command]
    with CgroupTree(read_world(), target.home.cgroup) as tree:
        return run(target.home, tree, target.uid, target.record, words, seconds), words


def port_of(port: int | str, target: Target) -> int:
    """The number of a port of the container. Raises ValueError for an unknown name."""
    number = probes.port_number(port, target.container.ports)
    if number is None:
        raise ValueError(f'container "{target.container.name}" has no port named "{port}"')
    return number


def _execute(action: ExecAction, target: Target, seconds: float) -> ProbeResult:
    outcome, words = execute(action, target, seconds)
    if outcome.code is None:
        return ProbeResult(
            False, f'command timed out: "{" ".join(words)}" timed out after {seconds:g}s'
        )
    return ProbeResult(outcome.code == 0, outcome.output.decode("utf-8", "replace"))


def _get(action: HTTPGetAction, target: Target, seconds: float) -> ProbeResult:
    from kubelite.node.kubelet.probe import http_probe
    from kubelite.node.kubelet.probe.tcp_connect import Deadline, Unreachable

    port = port_of(action.port, target)
    try:
        reply = http_probe.get(
            target.netns_pid, action, target.pod_ip, port, Deadline(seconds), _AGENT
        )
    except Unreachable as error:
        return ProbeResult(False, str(error))
    if reply.other_host:
        return ProbeResult(True, "Probe terminated redirects", warning=True)
    if 200 <= reply.status < 400:
        return ProbeResult(True, "")
    return ProbeResult(False, f"HTTP probe failed with statuscode: {reply.status}")


def _connect(action: TCPSocketAction, target: Target, seconds: float) -> ProbeResult:
    from kubelite.node.kubelet.probe.tcp_connect import Deadline, Unreachable, dial, host_port

    host, port = action.host or target.pod_ip, port_of(action.port, target)
    try:
        dial(target.netns_pid, host, port, Deadline(seconds)).close()
    except Unreachable as error:
        return ProbeResult(False, str(error))
    except TimeoutError:
        return ProbeResult(False, f"dial tcp {host_port(host, port)}: i/o timeout")
    return ProbeResult(True, "")


# -- all probes of an attempt ----------------------------------------------------------------------


class Prober:
    """The probes of one running attempt: a daemon thread each, until :meth:`stop` or the verdict
    that ends it.

    ``started``: the startup probe has succeeded. ``started_at``: seconds of CLOCK_BOOTTIME at the
    container's start. ``report`` is called from the probes' threads for every changed verdict and
    every result that has an event, never after :meth:`stop` has returned.
    """

    def __init__(
        self,
        target: Target,
        started: bool,
        started_at: float,
        report: Callable[[ProbeReport], None],
    ) -> None:
        self._target = target
        self._started_at = started_at
        self._report = report
        self._probes = probes.of(target.container)
        self._startup_pending = STARTUP in self._probes and not started
        self._ready = target.record.ready_ok
        self._changed = threading.Condition()
        self._stopped = False

    def start(self) -> None:
        """Starts the startup probe if that is undecided, else the others."""
        for kind in (STARTUP,) if self._startup_pending else (LIVENESS, READINESS):
            if kind in self._probes:
                name = f"{kind} of {self._target.container.name}"
                threading.Thread(
                    target=self._run, args=(kind, self._probes[kind]), name=name, daemon=True
                ).start()

    def stop(self) -> None:
        """Ends the probes; returns at once."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run(self, kind: str, probe: Probe) -> None:
        state = probes.initial_state(kind, ready=self._ready)
        due = probes.first_due(probe, self._started_at, _now())
        while not probes.is_settled(kind, state) and self._wait(due):
            probed_at = _now()
            result = run_probe(probe, self._target)
            following = probes.judge(probe, state, result)
            self._take(kind, result, following, changed=following.verdict != state.verdict)
            state, due = following, probes.next_due(probe, probed_at, _now())

    def _wait(self, due: float) -> bool:
        """Until ``due``; False when the probes have ended."""
        with self._changed:
            while not self._stopped and (left := due - _now()) > 0:
                self._changed.wait(left)
            return not self._stopped

    def _take(self, kind: str, result: ProbeResult, state: probes.State, *, changed: bool) -> None:
        with self._changed:
            if self._stopped:
                return
            event, message = probes.event(kind, result)
            if changed or event:
                id, verdict = self._target.record.id, bool(state.verdict)
                self._report(ProbeReport(id, kind, verdict, changed, event, message))
            if kind == STARTUP and state.verdict:
                self._startup_pending = False
                self.start()


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
