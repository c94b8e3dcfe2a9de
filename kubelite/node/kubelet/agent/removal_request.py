"""Asks for the removal of a pod that nobody waits for: the agent carries it out."""

from __future__ import annotations

from kubelite.node.runtime.clock import SECOND, boottime
from kubelite.node.runtime.home import Home, boot_id
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.pod_lock import hold_pod
from kubelite.node.runtime.records import REMOVING, PodStop
from kubelite.node.runtime.removal import mark_removing


def request_removal(home: Home, uid: str, grace: int) -> bool:
    """Puts on record that a pod is to go, with ``grace`` seconds for its containers; a removal that
    is under way becomes shorter, never longer. False when there is no such pod. The caller notifies
    the agent. Raises OSError.
    """
    ledger = Ledger(home)
    if ledger.pod(uid) is None:
        return False
    with hold_pod(home, uid) as lock:
        record = ledger.pod(uid) if lock is not None else None
        if record is None:
            return False
        if record.stage != REMOVING or grace * SECOND < record.removal_grace:
            mark_removing(record, grace * SECOND)
            record.stop = PodStop(since=boottime(), boot=boot_id(), grace=grace * SECOND)
            ledger.save_pod(record)
    return True
