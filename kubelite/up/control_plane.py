"""What runs beside an API server in its process: scheduler and controllers, speaking only through
the API.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from kubelite.client.client import Client
from kubelite.client.informers import Informers
from kubelite.client.local import LocalTransport
from kubelite.client.transport import Application, Identity
from kubelite.control.controllers.controller import DEFAULTS, Settings
from kubelite.control.controllers.loop import Clock
from kubelite.control.controllers.manager import ControllerManager
from kubelite.control.controllers.registry import Row
from kubelite.control.scheduler.loop.run import USER as SCHEDULER_USER
from kubelite.control.scheduler.loop.run import run_scheduler
from kubelite.up.election import (
    CONTROLLERS_LEASE,
    SCHEDULER_LEASE,
    leader_identity,
    run_elected,
)

RESTART_SECONDS = 1.0
MANAGER = Identity("system:kube-controller-manager")
SCHEDULER = Identity(SCHEDULER_USER)

_log = logging.getLogger("kubelite.up")


def account_identity(account: str) -> Identity:
    """The user of a service account in kube-system; of "" the controllers' own."""
    if not account:
        return MANAGER
    groups = ("system:serviceaccounts", "system:serviceaccounts:kube-system")
    return Identity(f"system:serviceaccount:kube-system:{account}", groups)


class ControlPlane:
    """The controllers of an API server in this process, and the scheduler if asked for. They share
    informers: one watch and one copy of each object for all.

    With ``elect`` each of the two acts only while it holds its Lease, as it must where several
    servers share a store.
    """

    def __init__(
        self,
        application: Application,
        controllers: Sequence[Row],
        clock: Clock | None = None,
        *,
        scheduler: bool = False,
        elect: bool = False,
        settings: Settings = DEFAULTS,
    ) -> None:
        self._application = application
        self._informers = Informers(self._client(MANAGER))
        self._tasks: list[asyncio.Task[None]] = []
        self._has_scheduler = scheduler
        self._elects = elect
        self._identity = leader_identity()
        self.controllers = ControllerManager(
            self._informers,
            lambda account: self._client(account_identity(account)),
            controllers,
            clock,
            settings,
        )

    def _client(self, identity: Identity) -> Client:
        return Client(LocalTransport(self._application, identity))

    async def start(self) -> None:
        """Starts what there is; returns when every controller has its first view, or with ``elect``
        at once.
        """
        if self._has_scheduler:
            self._keep("scheduler", SCHEDULER_LEASE, SCHEDULER, self._schedule)
        if self._elects:
            self._keep("controllers", CONTROLLERS_LEASE, MANAGER, self._control)
        else:
            await self.controllers.start()

    def _keep(
        self, name: str, lease: str, identity: Identity, work: Callable[[], Awaitable[None]]
    ) -> None:
        """Runs a part until the end; a fault of it must not leave the cluster without it."""

        client = self._client(identity)

        async def keep() -> None:
            while True:
                try:
                    await run_elected(client, lease, self._identity, work, elect=self._elects)
                except Exception:  # noqa: BLE001  # the log has it, and it starts again
                    _log.exception("the %s failed and starts again", name)
                await asyncio.sleep(RESTART_SECONDS)

        self._tasks.append(asyncio.create_task(keep(), name=name))

    async def _schedule(self) -> None:
        await run_scheduler(self._client(SCHEDULER), self._informers)

    async def _control(self) -> None:
        try:
            await self.controllers.start()
            await asyncio.Event().wait()
        finally:
            await self.controllers.close()

    async def close(self) -> None:
        """Ends everything that was started."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        await self.controllers.close()
        await self._informers.close()
