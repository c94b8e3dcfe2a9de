"""What goes on beside a pod's worker: hooks and probes, in threads of their own, whose findings it
is woken for.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from kubelite.node.runtime.clock import SECOND

if TYPE_CHECKING:
    from collections.abc import Collection

    from kubelite.node.kubelet.probe.probing import Prober, Said
    from kubelite.node.kubelet.probe.target import Target


class Hooked(NamedTuple):
    """A hook (post_start or pre_stop) of container ``id`` is over; ``problem`` is "" when it went
    well.
    """

    id: str
    kind: str
    problem: str


class Attention:
    """The hooks and probes of one pod. ``wake`` becomes readable when there is something in
    :meth:`heard`.
    """

    def __init__(self) -> None:
        self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._found: deque[Said | Hooked] = deque()
        self._hooks: set[tuple[str, str]] = set()
        self._probers: dict[str, Prober] = {}

    def nudge(self) -> None:
        """Wakes the worker: something of its pod was changed by somebody else."""
        os.eventfd_write(self.wake, 1)

    def heard(self) -> list[Said | Hooked]:
        """What was found since the last call."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.wake)
        found = []
        while self._found:
            each = self._found.popleft()
            if isinstance(each, Hooked):
                self._hooks.discard((each.id, each.kind))
            found.append(each)
        return found

    def _tell(self, found: Said | Hooked) -> None:
        self._found.append(found)
        self.nudge()

    # -- hooks ----------------------------------------------------------------------------------------------------------

    def hooking(self, id: str, kind: str) -> bool:
        """Whether this hook was begun here and nobody has been told of its end yet."""
        return (id, kind) in self._hooks

    def hook(self, target: Target, kind: str, seconds: float) -> None:
        """Runs a hook of the container, at most so long."""
        self._hooks.add((target.record.id, kind))
        threading.Thread(target=self._run_hook, args=(target, kind, seconds), daemon=True).start()

    def _run_hook(self, target: Target, kind: str, seconds: float) -> None:
        from kubelite.node.kubelet.probe.hooks import run_hook

        lifecycle = target.container.lifecycle
        handler = getattr(lifecycle, kind) if lifecycle is not None else None
        problem = run_hook(handler, target, seconds) if handler is not None else ""
        self._tell(Hooked(target.record.id, kind, problem))

    # -- probes ---------------------------------------------------------------------------------------------------------

    def probe(self, targets: Collection[Target]) -> None:
        """Probes exactly these containers from now on."""
        wanted = {target.record.id: target for target in targets}
        for id in self._probers.keys() - wanted.keys():
            self._probers.pop(id).stop()
        for id, target in wanted.items():
            if id not in self._probers:
                self._probers[id] = self._prober(target)

    def _prober(self, target: Target) -> Prober:
        import time

        from kubelite.node.kubelet.probe.probing import Prober

        record = target.record
        ago = max(time.time_ns() - record.started_at, 0) / SECOND
        started_at = time.clock_gettime(time.CLOCK_BOOTTIME) - ago
        prober = Prober(target, started=record.startup_ok, started_at=started_at, tell=self._tell)
        prober.start()
        return prober

    def close(self) -> None:
        """Ends the probes; hooks under way end with the process."""
        self.probe(())
        os.close(self.wake)
