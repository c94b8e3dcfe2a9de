"""The Leases by which parts of a control plane agree on who acts: those of Kubernetes' own
parts.
"""

from __future__ import annotations

import os
import socket
import uuid

LEASE_NAMESPACE = "kube-system"
SCHEDULER_LEASE = "kube-scheduler"
CONTROLLERS_LEASE = "kube-controller-manager"


def leader_identity() -> str:
    """A name for this candidate that no other has."""
    return f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4()}"
