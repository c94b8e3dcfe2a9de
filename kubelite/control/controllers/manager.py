"""All controllers of a process: they share informers, and each acts as its own user."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from kubelite.client.client import Client
from kubelite.client.events import EventRecorder
from kubelite.client.informers import Informers
from kubelite.control.controllers.controller import DEFAULTS, Controller, Settings
from kubelite.control.controllers.executor import Executor
from kubelite.control.controllers.live_view import LiveView
from kubelite.control.controllers.loop import Clock, ControllerLoop, SystemClock
from kubelite.control.controllers.registry import Row

ClientFor = Callable[[str], Client]
"""Gives the client of a service account in kube-system, named without its namespace; of "" that of
the user that runs the controllers.
"""

_log = logging.getLogger("kubelite.controllers")


class ControllerManager:
    """Starts controllers and ends them, any number of times. ``informers`` belong to the caller."""

    def __init__(
        self,
        informers: Informers,
        client_for: ClientFor,
        rows: Sequence[Row],
        clock: Clock | None = None,
        settings: Settings = DEFAULTS,
    ) -> None:
        self._settings = settings
        self._view = LiveView(informers)
        self._client_for = client_for
        self._rows = rows
        self._clock = clock or SystemClock()
        self._clients: dict[str, Client] = {}
        self._recorders: list[EventRecorder] = []
        self.loops: list[ControllerLoop] = []

    async def start(self) -> None:
        """Starts every controller whose resources are all served."""
        served = await self._client("generic-garbage-collector").served()
        for row in self._rows:
            controller = row.load(self._settings)
            missing = [str(resource) for resource in controller.watches if resource not in served]
            if missing and not controller.needs_all:
                watches = {k: v for k, v in controller.watches.items() if k in served}
                controller = controller._replace(watches=watches)
            elif missing:
                _log.warning("%s is not started: no %s", row.name, ", ".join(missing))
                continue
            self.loops.append(self._loop(controller))
        await asyncio.gather(*(loop.start() for loop in self.loops))

    def _loop(self, controller: Controller) -> ControllerLoop:
        client = self._client(controller.account)
        recorder = EventRecorder(client, controller.component)
        self._recorders.append(recorder)
        return ControllerLoop(controller, self._view, Executor(client, recorder), self._clock)

    def _client(self, account: str) -> Client:
        if account not in self._clients:
            self._clients[account] = self._client_for(account)
        return self._clients[account]

    @property
    def is_idle(self) -> bool:
        """Whether no controller has anything to do now."""
        return all(loop.is_idle for loop in self.loops)

    async def close(self) -> None:
        """Ends all controllers; what they are just doing may end."""
        await asyncio.gather(*(loop.close() for loop in self.loops))
        await asyncio.gather(*(recorder.close() for recorder in self._recorders))
        await asyncio.gather(*(client.close() for client in self._clients.values()))
        self.loops.clear()
        self._recorders.clear()
        self._clients.clear()
