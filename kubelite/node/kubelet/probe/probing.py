"""Asking containers how they are, from the node: one probe once, and all probes of a running
attempt.
"""

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
    from kubelite.node.runtime.exec.command import Ran

_TRIES = 3
_AGENT = "kube-probe/1.36"


class Said(NamedTuple):
    """What a probe of container ``id`` has found: the verdict after thresholds, and whether it
    ``changed`` just now; else one more result was bad. ``message`` of a bad one is the text of the
    event Unhealthy."""

    id: str
    kind: str
    ok: bool
    changed: bool
    message: str


# -- one probe ----------------------------------------------------------------------------------------------------------


def run_probe(probe: Probe, target: Target) -> ProbeResult:
    """Asks once, and up to twice more where it could not be asked; takes hardly longer than
    timeoutSeconds. Never raises.
    """
    result = ProbeResult(False, "the probe has no handler", known=False)
    for _ in range(_TRIES):
        try:
            result = _ask(probe, target, probes.timeout(probe))
        except Exception as error:  # noqa: BLE001 - whatever it is, it says nothing about the container
            result = ProbeResult(False, str(error), known=False)
        if result.known:
            break
    return result


def _ask(probe: Probe, target: Target, seconds: float) -> ProbeResult:
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


def execute(action: ExecAction, target: Target, seconds: float) -> tuple[Ran, list[str]]:
    """Runs a command of a probe or hook in the container; also gives its words, with ``$(VAR)``
    filled in.
    """
    from kubelite.node.cgroup.detect import read_world
    from kubelite.node.cgroup.tree import CgroupTree
    from kubelite.node.runtime.exec.command import run

    declared = {each.name for each in target.container.env}
    env = {
        name: value
        for name, _, value in (pair.partition("=") for pair in target.record.env)
        if name in declared
    }
    words = [expand(word, env) for word in action.command]
    with CgroupTree(read_world(), target.home.cgroup) as tree:
        return run(target.home, tree, target.uid, target.record, words, seconds), words


def port_of(port: int | str, target: Target) -> int:
    """The number of a port of the container. Raises ValueError for a name that it has not."""
    found = probes.port_number(port, target.container.ports)
    if found is None:
        raise ValueError(f'container "{target.container.name}" has no port named "{port}"')
    return found


def _execute(action: ExecAction, target: Target, seconds: float) -> ProbeResult:
    ran, words = execute(action, target, seconds)
    if ran.code is None:
        return ProbeResult(
            False, f'command timed out: "{" ".join(words)}" timed out after {seconds:g}s'
        )
    return ProbeResult(ran.code == 0, ran.output.decode("utf-8", "replace"))


def _get(action: HTTPGetAction, target: Target, seconds: float) -> ProbeResult:
    from kubelite.node.kubelet.probe import http_probe
    from kubelite.node.kubelet.probe.reach import Deadline, Unreached

    port = port_of(action.port, target)
    try:
        reply = http_probe.get(
            target.netns_pid, action, target.pod_ip, port, Deadline(seconds), _AGENT
        )
    except Unreached as error:
        return ProbeResult(False, str(error))
    if reply.elsewhere:
        return ProbeResult(True, "Probe terminated redirects")
    if 200 <= reply.status < 400:
        return ProbeResult(True, "")
    return ProbeResult(False, f"HTTP probe failed with statuscode: {reply.status}")


def _connect(action: TCPSocketAction, target: Target, seconds: float) -> ProbeResult:
    from kubelite.node.kubelet.probe.reach import Deadline, Unreached, dial, place

    host, port = action.host or target.pod_ip, port_of(action.port, target)
    try:
        dial(target.netns_pid, host, port, Deadline(seconds)).close()
    except Unreached as error:
        return ProbeResult(False, str(error))
    except TimeoutError:
        return ProbeResult(False, f"dial tcp {place(host, port)}: i/o timeout")
    return ProbeResult(True, "")


# -- all probes of an attempt -------------------------------------------------------------------------------------------


class Prober:
    """The probes of one running attempt: a daemon thread for each, until :meth:`stop` or the
    verdict that ends it.

    ``started``: startup is behind the container. ``started_at``: seconds of CLOCK_BOOTTIME at its
    start. ``tell`` is called from the probes' threads, for every change of a verdict and every bad
    result, never after :meth:`stop` has returned.
    """

    def __init__(
        self, target: Target, started: bool, started_at: float, tell: Callable[[Said], None]
    ) -> None:
        self._target, self._started_at, self._tell = target, started_at, tell
        self._probes = probes.of(target.container)
        self._pending = STARTUP in self._probes and not started
        self._ready = target.record.ready_ok
        self._news = threading.Condition()
        self._stopped = False

    def start(self) -> None:
        """Begins to ask: about startup first, if that is to be known."""
        for kind in (STARTUP,) if self._pending else (LIVENESS, READINESS):
            if kind in self._probes:
                name = f"{kind} of {self._target.container.name}"
                threading.Thread(
                    target=self._run, args=(kind, self._probes[kind]), name=name, daemon=True
                ).start()

    def stop(self) -> None:
        """Ends them; returns at once."""
        with self._news:
            self._stopped = True
            self._news.notify_all()

    def _run(self, kind: str, probe: Probe) -> None:
        state = probes.begin(kind, ready=self._ready)
        due = probes.first_due(probe, self._started_at, _now())
        while not probes.is_settled(kind, state) and self._wait(due):
            asked_at = _now()
            result = run_probe(probe, self._target)
            after = probes.judge(probe, state, result)
            self._report(kind, result, after, changed=after.verdict != state.verdict)
            state, due = after, probes.next_due(probe, asked_at, _now())

    def _wait(self, due: float) -> bool:
        """Until it is time; False when there is no more to ask."""
        with self._news:
            while not self._stopped and (left := due - _now()) > 0:
                self._news.wait(left)
            return not self._stopped

    def _report(
        self, kind: str, result: ProbeResult, after: probes.State, *, changed: bool
    ) -> None:
        with self._news:
            if self._stopped:
                return
            if changed or not result.ok:
                message = result.message if result.ok else probes.told(kind, result)
                self._tell(
                    Said(self._target.record.id, kind, bool(after.verdict), changed, message)
                )
            if kind == STARTUP and after.verdict:
                self._pending = False
                self.start()


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
