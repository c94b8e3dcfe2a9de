"""The Leases by which parts of a control plane agree on who acts: those of Kubernetes' own
parts.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Awaitable, Callable

from kubelite.client.client import Client
from kubelite.client.leader import LeaderElector

LEASE_NAMESPACE = "kube-system"
SCHEDULER_LEASE = "kube-scheduler"
CONTROLLERS_LEASE = "kube-controller-manager"


def leader_identity() -> str:
    """A name for this candidate that no other has."""
    return f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4()}"


async def run_elected(
    client: Client,
    lease: str,
    identity: str,
    work: Callable[[], Awaitable[None]],
    *,
    elect: bool,
) -> None:
    """Runs ``work``, with ``elect`` only while ``identity`` holds the Lease."""
    if elect:
        await LeaderElector(client, LEASE_NAMESPACE, lease, identity).run(work)
    else:
        await work()
