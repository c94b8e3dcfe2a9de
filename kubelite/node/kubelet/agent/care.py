"""The command that a shim runs when its pod needs somebody: ``python -m
kubelite.node.kubelet.agent.care ROOT UID``.

Pause has died unexpectedly: it removes the sandbox's kernel objects; the pod's record, exits, logs
and volumes stay, to show what happened. Or whoever looked after the pod was killed. In both cases a
pod that still needs care gets an agent.
"""

from __future__ import annotations

import sys
from contextlib import closing

from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.decide.actions import needs_care
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.pod_lock import hold_pod
from kubelite.node.runtime.records import API
from kubelite.node.runtime.removal import Remover
from kubelite.node.runtime.sandbox import is_up


def main(root: str, uid: str) -> None:
    """Waits for the pod's lock first: a command that holds it may be about to do the same."""
    home = Home(root)
    home.check()
    with hold_pod(home, uid) as lock:
        ledger = Ledger(home)
        record = ledger.pod(uid) if lock is not None else None
        if record is None:
            return
        if not is_up(home, ledger.sandbox(uid)):  # one that is up is a later one
            with closing(Remover(home, ledger)) as remover:
                remover.clear_sandbox(uid)
        state = PodState(home, ledger, record)
        # The pods of a cluster are left to its node's process.
        needs_agent = (
            record.origin != API and state.refresh() and needs_care(state.pod, state.observed)
        )
    if needs_agent:
        agent_control.ensure_agent(home, uid)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
