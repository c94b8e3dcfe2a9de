"""Parts of a control plane in processes of their own, over HTTPS."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from typing import Any

from kubelite.client.client import Client
from kubelite.client.http import HttpTransport
from kubelite.client.kubeconfig import ClusterAccess
from kubelite.client.leader import LeaderElector
from kubelite.control.scheduler.loop.run import run_scheduler

LEASE_NAMESPACE, SCHEDULER_LEASE = "kube-system", "kube-scheduler"


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
        if elect:
            identity = f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4()}"
            await LeaderElector(client, LEASE_NAMESPACE, SCHEDULER_LEASE, identity).run(lead)
        else:
            await lead()
    finally:
        await client.close()
