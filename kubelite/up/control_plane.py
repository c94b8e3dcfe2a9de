"""What runs beside an API server in its process: scheduler and controllers, speaking only through
the API.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from kubelite.client.client import Client
from kubelite.client.informers import Informers
from kubelite.client.local import LocalTransport
from kubelite.client.transport import Application, Identity
from kubelite.control.controllers.loop import Clock
from kubelite.control.controllers.manager import ControllerManager
from kubelite.control.controllers.registry import Row
from kubelite.control.scheduler.loop.run import USER as SCHEDULER_USER
from kubelite.control.scheduler.loop.run import run_scheduler

RESTART_SECONDS = 1.0
MANAGER = Identity("system:kube-controller-manager")
SCHEDULER = Identity(SCHEDULER_USER)

_log = logging.getLogger("kubelite.up")


def account_identity(account: str) -> Identity:
    """The user of a service account in kube-system."""
    groups = ("system:serviceaccounts", "system:serviceaccounts:kube-system")
    return Identity(f"system:serviceaccount:kube-system:{account}", groups)


class ControlPlane:
    """The controllers of an API server in this process, and the scheduler if asked for. They share
    informers: one watch and one copy of each object for all.
    """

    def __init__(
        self,
        application: Application,
        controllers: Sequence[Row],
        clock: Clock | None = None,
        *,
        scheduler: bool = False,
    ) -> None:
        self._application = application
        self._informers = Informers(self._client(MANAGER))
        self._scheduler: asyncio.Task[None] | None = None
        self._has_scheduler = scheduler
        self.controllers = ControllerManager(
            self._informers,
            lambda account: self._client(account_identity(account)),
            controllers,
            clock,
        )

    def _client(self, identity: Identity) -> Client:
        return Client(LocalTransport(self._application, identity))

    async def start(self) -> None:
        """Starts what there is; returns when every controller has its first view."""
        if self._has_scheduler:
            self._scheduler = asyncio.create_task(self._schedule(), name="scheduler")
        await self.controllers.start()

    async def _schedule(self) -> None:
        """Runs the scheduler; a fault of it must not leave the cluster without one."""
        while True:
            try:
                await run_scheduler(self._client(SCHEDULER), self._informers)
            except Exception:  # noqa: BLE001  # the log has it, and it starts again
                _log.exception("the scheduler failed and starts again")
            await asyncio.sleep(RESTART_SECONDS)

    async def close(self) -> None:
        """Ends everything that was started."""
        if self._scheduler is not None:
            self._scheduler.cancel()
            await asyncio.wait([self._scheduler])
            self._scheduler = None
        await self.controllers.close()
        await self._informers.close()
