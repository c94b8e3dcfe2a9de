"""Parts of a control plane in processes of their own, over HTTPS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from kubelite.client.client import Client
from kubelite.client.http import HttpTransport
from kubelite.client.informers import Informers
from kubelite.client.kubeconfig import ClusterAccess
from kubelite.control.controllers.controller import DEFAULTS, Settings
from kubelite.control.controllers.manager import ControllerManager
from kubelite.control.controllers.registry import Row
from kubelite.control.scheduler.loop.run import run_scheduler
from kubelite.up.account_transport import AccountTransport
from kubelite.up.election import (
    CONTROLLERS_LEASE,
    SCHEDULER_LEASE,
    leader_identity,
    run_elected,
)


async def standalone_scheduler(
    access: ClusterAccess,
    configuration: Mapping[str, Any] | None = None,
    seed: int | None = None,
    *,
    elect: bool = True,
) -> None:
    """Schedules the pods of a cluster until cancelled; with ``elect`` only while holding the Lease
    that kube-scheduler uses too. Raises BadConfiguration, BadKubeconfig, ClientError.
    """
    client = Client(HttpTransport(access), user_agent="kubelite-scheduler")

    async def lead() -> None:
        await run_scheduler(client, configuration=configuration, seed=seed)

    try:
        await run_elected(client, SCHEDULER_LEASE, leader_identity(), lead, elect=elect)
    finally:
        await client.close()


async def standalone_controllers(
    access: ClusterAccess,
    controllers: Sequence[Row],
    *,
    as_accounts: bool = False,
    elect: bool = True,
    settings: Settings = DEFAULTS,
) -> None:
    """Runs controllers until cancelled; with ``elect`` only while holding the Lease that kube-
    controller-manager uses too. They act as the user of ``access``, or with ``as_accounts`` each as
    its own service account. Raises BadKubeconfig, ClientError.
    """
    client = Client(HttpTransport(access), user_agent="kubelite-controllers")

    def client_for(account: str) -> Client:
        has_own = as_accounts and account
        transport = AccountTransport(client, access, account) if has_own else None
        agent = f"kubelite-controllers/{account}"
        return Client(transport or HttpTransport(access), user_agent=agent)

    async def lead() -> None:
        async with Informers(client) as informers:
            manager = ControllerManager(informers, client_for, controllers, settings=settings)
            try:
                await manager.start()
                await asyncio.Event().wait()
            finally:
                await manager.close()

    try:
        await run_elected(client, CONTROLLERS_LEASE, leader_identity(), lead, elect=elect)
    finally:
        await client.close()
