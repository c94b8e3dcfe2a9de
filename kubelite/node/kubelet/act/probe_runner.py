"""Runs the hooks and probes of one pod in threads beside its worker, and wakes the worker for their
results.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from kubelite.node.kubelet.probe.probing import Prober, ProbeReport
    from kubelite.node.kubelet.probe.target import Target
    from kubelite.node.runtime.records import ContainerRecord


class HookResult(NamedTuple):
    """A hook (post_start or pre_stop) of attempt ``id`` is over; ``problem`` is "" on success."""

    id: str
    kind: str
    problem: str


def began(record: ContainerRecord) -> float:
    """When the process of an attempt was started, in seconds of CLOCK_BOOTTIME: the wall time on
    record says nothing once somebody has set the clock.
    """
    return record.ticks / os.sysconf("SC_CLK_TCK")


class ProbeAndHookRunner:
    """The hooks and probes of one pod. ``wake`` becomes readable when :meth:`drain_results` has
    something, or after :meth:`notify`.
    """

    def __init__(self) -> None:
        self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._results: deque[ProbeReport | HookResult] = deque()
        self._hooks: set[tuple[str, str]] = set()
        self._probers: dict[str, Prober] = {}

    def notify(self) -> None:
        """Wakes the worker: another process has changed its pod."""
        os.eventfd_write(self.wake, 1)

    def drain_results(self) -> list[ProbeReport | HookResult]:
        """The results since the last call."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.wake)
        results = []
        while self._results:
            result = self._results.popleft()
            if isinstance(result, HookResult):
                self._hooks.discard((result.id, result.kind))
            results.append(result)
        return results

    def _add(self, result: ProbeReport | HookResult) -> None:
        self._results.append(result)
        self.notify()

    # -- hooks -------------------------------------------------------------------------------------

    def is_hook_running(self, id: str, kind: str) -> bool:
        """Whether this hook was started here and its result was not drained yet."""
        return (id, kind) in self._hooks

    def start_hook(self, target: Target, kind: str, seconds: float) -> None:
        """Starts a hook of the container, which runs for at most ``seconds``."""
        import threading  # few pods have hooks

        self._hooks.add((target.record.id, kind))
        threading.Thread(target=self._run_hook, args=(target, kind, seconds), daemon=True).start()

    def _run_hook(self, target: Target, kind: str, seconds: float) -> None:
        from kubelite.node.kubelet.probe.hooks import run_hook

        lifecycle = target.container.lifecycle
        handler = getattr(lifecycle, kind) if lifecycle is not None else None
        problem = run_hook(handler, target, seconds) if handler is not None else ""
        self._add(HookResult(target.record.id, kind, problem))

    # -- probes ------------------------------------------------------------------------------------

    def probe(self, targets: Collection[Target]) -> None:
        """Probes exactly these attempts from now on."""
        by_id = {target.record.id: target for target in targets}
        for id in self._probers.keys() - by_id.keys():
            self._probers.pop(id).stop()
        for id, target in by_id.items():
            if id not in self._probers:
                self._probers[id] = self._start_prober(target)

    def _start_prober(self, target: Target) -> Prober:
        from kubelite.node.kubelet.probe.probing import Prober

        record = target.record
        prober = Prober(
            target, started=record.startup_ok, started_at=began(record), report=self._add
        )
        prober.start()
        return prober

    def close(self) -> None:
        """Ends the probes; running hooks end with the process."""
        self.probe(())
        os.close(self.wake)
