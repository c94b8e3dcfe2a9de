"""What is really there of a pod, as plain data: the half of every decision that has to look."""

from __future__ import annotations

from signal import SIGKILL

from kubelite.core.errors import CoreError
from kubelite.core.protocol import Process, ProcessState
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.cgroup.usage import read_oom_kills
from kubelite.node.runtime import sandbox as sandboxes
from kubelite.node.runtime.container import group
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.processes import is_alive
from kubelite.node.runtime.records import ContainerRecord, ExitRecord, Observed, PodRecord, Seen


def observe(home: Home, ledger: Ledger, pod: PodRecord) -> Observed:
    """Reads records and /proc; asks the shim only where a record was left unfinished."""
    sandbox = ledger.sandbox(pod.uid)
    up = sandboxes.is_up(home, sandbox)
    exits = ledger.exits(pod.uid)
    latest = {record.name: record for record in ledger.containers(pod.uid)}
    known = _ask(home, pod.uid) if up and any(_unfinished(r, exits) for r in latest.values()) else {}
    return Observed(pod, sandbox, up, tuple(_seen(r, exits, known) for r in latest.values()))


def _unfinished(record: ContainerRecord, exits: dict[str, ExitRecord]) -> bool:
    """Started by somebody who was killed before the answer came."""
    return record.pid == 0 and record.id not in exits


def _ask(home: Home, uid: str) -> dict[str, Process]:
    try:
        with sandboxes.connect(home, uid) as shim:
            return {process.id: process for process in shim.processes()}
    except CoreError:
        return {}


def _seen(record: ContainerRecord, exits: dict[str, ExitRecord], known: dict[str, Process]) -> Seen:
    process = known.get(record.id)
    if process is not None:
        record.pid, record.started_at = process.pid, process.started_at
        return Seen(record, process.state == ProcessState.RUNNING, exits.get(record.id))
    ended = exits.get(record.id)
    return Seen(record, ended is None and is_alive(record.pid, record.ticks), ended)


def note_oom_kills(tree: CgroupTree, ledger: Ledger, seen: Observed) -> None:
    """Writes down which containers the kernel has killed for want of memory, while their cgroups can still be asked."""
    for each in seen.containers:
        ended = each.exit
        if ended is None or ended.signal != SIGKILL or each.record.oom_killed:
            continue
        if read_oom_kills(tree, seen.pod.uid, group(each.record)):
            each.record.oom_killed = True
            ledger.save_container(seen.pod.uid, each.record)
