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
    """Reads records and /proc; asks the shim only about those of whom neither says whether they run."""
    sandbox = ledger.sandbox(pod.uid)
    up = sandboxes.is_up(home, sandbox)
    exits = ledger.exits(pod.uid)
    latest = {record.name: record for record in ledger.containers(pod.uid)}
    alive = {r.id for r in latest.values() if r.id not in exits and is_alive(r.pid, r.ticks)}
    if up and any(r.id not in alive and r.id not in exits for r in latest.values()):
        known = _ask(home, pod.uid)
        exits = {**ledger.exits(pod.uid), **{p.id: _ended(p) for p in known.values() if p.state == ProcessState.EXITED}}
        for record in latest.values():
            _complete(record, known, alive)
    return Observed(pod, sandbox, up, tuple(_seen(r, exits, alive) for r in latest.values()))


def _ask(home: Home, uid: str) -> dict[str, Process]:
    try:
        with sandboxes.connect(home, uid) as shim:
            return {process.id: process for process in shim.processes()}
    except CoreError:
        return {}


def _ended(process: Process) -> ExitRecord:
    """An exit that the shim knows of, before its file is there."""
    return ExitRecord(
        id=process.id,
        role=process.role,
        pid=process.pid,
        code=process.code,
        signal=process.signal,
        started_at=process.started_at,
        finished_at=process.finished_at,
    )


def _complete(record: ContainerRecord, known: dict[str, Process], alive: set[str]) -> None:
    """What the one who asked for the start was killed before it could write down."""
    process = known.get(record.id)
    if process is not None and process.state == ProcessState.RUNNING:
        alive.add(record.id)
        record.pid, record.started_at = process.pid, process.started_at


def _seen(record: ContainerRecord, exits: dict[str, ExitRecord], alive: set[str]) -> Seen:
    ended = exits.get(record.id)
    return Seen(record, ended is None and record.id in alive, ended)


def note_oom_kills(tree: CgroupTree, ledger: Ledger, seen: Observed) -> None:
    """Writes down which containers the kernel has killed for want of memory, while their cgroups can still be asked."""
    for each in seen.containers:
        ended = each.exit
        if ended is None or ended.signal != SIGKILL or each.record.oom_killed:
            continue
        if read_oom_kills(tree, seen.pod.uid, group(each.record.name, each.record.attempt)):
            each.record.oom_killed = True
            ledger.save_container(seen.pod.uid, each.record)
