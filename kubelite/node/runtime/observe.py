"""What is really there of a pod, as plain data: the half of every decision that has to look."""

from __future__ import annotations

import os
from collections.abc import Iterable
from signal import SIGKILL
from typing import NamedTuple

from kubelite.core.errors import CoreError
from kubelite.core.protocol import Process, ProcessState
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.cgroup.usage import read_oom_kills
from kubelite.node.runtime import sandbox as sandboxes
from kubelite.node.runtime.container import group
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.processes import is_alive
from kubelite.node.runtime.records import (
    ContainerRecord,
    ExitRecord,
    Observed,
    PastRecord,
    PodRecord,
    Seen,
)

_ROOM = 128 << 10
"""Bytes; a shim writes at most a quarter of that at once."""


class _Known(NamedTuple):
    """What the shim says of its processes, by id. ``here`` is False when it has gone: then pause is
    about to follow.
    """

    here: bool
    processes: dict[str, Process]


def observe(home: Home, ledger: Ledger, pod: PodRecord) -> Observed:
    """Reads records and /proc; asks the shim only where a record was left unfinished or a process
    ended unseen.
    """
    uid = pod.uid
    sandbox = ledger.sandbox(uid)
    up = sandboxes.is_up(home, sandbox)
    latest = _latest(ledger.containers(uid))
    exits, history = _ends(ledger, uid)
    if sandbox is None:
        _remember(home, pod, history, latest)
    alive = {record.id for record in latest.values() if is_alive(record.pid, record.ticks)}
    known = _Known(True, {})
    if up and (
        any(_is_open(record, exits, alive) for record in latest.values())
        or (alive and _is_full(home.logs))
    ):
        known = _ask(home, uid)
        exits, history = _ends(ledger, uid)
    past = {each.id: each for attempts in history.values() for each in attempts}
    seen = (
        _seen(
            record, record.id in alive, exits.get(record.id), known.processes.get(record.id)
        )._replace(past=past.get(record.id), before=_before(history.get(record.name, ()), record))
        for record in latest.values()
    )
    return Observed(pod, sandbox, up and known.here, tuple(seen), ledger.conditions(uid))


def _ends(
    ledger: Ledger, uid: str
) -> tuple[dict[str, ExitRecord], dict[str, tuple[PastRecord, ...]]]:
    """Every end on record by id, and the notes by container: an exit is noted before its file goes,
    so files are read first.
    """
    exits, history = ledger.exits(uid), ledger.history(uid)
    noted = {each.id: _exit(each) for attempts in history.values() for each in attempts}
    return {**exits, **noted}, history


def _latest(records: Iterable[ContainerRecord]) -> dict[str, ContainerRecord]:
    found: dict[str, ContainerRecord] = {}
    for record in records:
        if record.name not in found or record.attempt >= found[record.name].attempt:
            found[record.name] = record
    return found


def _is_open(record: ContainerRecord, exits: dict[str, ExitRecord], alive: set[str]) -> bool:
    """Started by somebody who was killed before the answer came, or ended a moment ago with its
    exit not on disk yet.
    """
    return record.id not in exits and (record.pid == 0 or record.id not in alive)


def _is_full(directory: str) -> bool:
    """Whether a shim may have had no room for what it last wrote there."""
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize < _ROOM or room.f_favail == 0


def _ask(home: Home, uid: str) -> _Known:
    try:
        with sandboxes.connect(home, uid) as shim:
            return _Known(True, {process.id: process for process in shim.processes()})
    except CoreError:
        return _Known(False, {})


def _seen(
    record: ContainerRecord, alive: bool, ended: ExitRecord | None, process: Process | None
) -> Seen:
    if process is None:
        return Seen(record, ended is None and alive, ended)
    if process.state == ProcessState.STARTING:
        return Seen(record, False, None)
    record.pid, record.started_at = process.pid, process.started_at
    if process.state == ProcessState.EXITED:
        return Seen(record, False, ended or exit_of(process), lost=process.lost)
    return Seen(record, True, None, lost=process.lost)


def exit_of(process: Process) -> ExitRecord:
    """An exit that the shim could not write down, as on a full disk."""
    return ExitRecord(
        id=process.id,
        role=process.role,
        pid=process.pid,
        code=process.code,
        signal=process.signal,
        started_at=process.started_at,
        finished_at=process.finished_at,
    )


# -- what another boot has left ---------------------------------------------------------------------------------------------


def _remember(
    home: Home,
    pod: PodRecord,
    history: dict[str, tuple[PastRecord, ...]],
    latest: dict[str, ContainerRecord],
) -> None:
    """Adds the attempts of an earlier boot, whose records went with it: those noted, and those of
    which only the log tells.

    Of records that are still there the processes are gone.
    """
    for record in latest.values():
        record.pid = -1
    for attempts in history.values():
        if attempts and attempts[-1].name not in latest:
            latest[attempts[-1].name] = _record(attempts[-1])
    logs = home.pod_logs(pod.namespace, pod.name, pod.uid)
    for name in _names(logs):
        newest = max(
            (
                int(n)
                for file in _names(f"{logs}/{name}")
                if (n := file.partition(".")[0]).isdigit()
            ),
            default=-1,
        )
        if newest > (latest[name].attempt if name in latest else -1):
            latest[name] = _lost(name, newest)


def _record(past: PastRecord) -> ContainerRecord:
    record = _lost(past.name, past.attempt)
    record.id, record.init, record.sandbox = past.id, past.init, past.sandbox
    record.image, record.image_id = past.image, past.image_id
    record.created_at, record.started_at = past.created_at, past.started_at
    return record


def _lost(name: str, attempt: int) -> ContainerRecord:
    """An attempt that was begun in another boot; how it ended nobody has seen. Its pid is none that
    can be alive.
    """
    return ContainerRecord(
        id=f"{name}-{attempt}", name=name, init=False, attempt=attempt, image="", image_id="", created_at=0, env=(), cwd="/",
        uid=0, gid=0, groups=(), caps=(), no_new_privs=False, tty=False, stdin=False, oom_score_adj=0, pid=-1,
    )  # fmt: skip


def _exit(past: PastRecord) -> ExitRecord:
    return ExitRecord(
        id=past.id,
        role=0,
        pid=0,
        code=past.code,
        signal=past.signal,
        started_at=past.started_at,
        finished_at=past.finished_at,
    )


def _before(attempts: tuple[PastRecord, ...], record: ContainerRecord) -> PastRecord | None:
    """The note on the last attempt before this one."""
    return next((each for each in reversed(attempts) if each.attempt < record.attempt), None)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def note_oom_kills(tree: CgroupTree, ledger: Ledger, seen: Observed) -> None:
    """Writes down which containers the kernel has killed for want of memory, while their cgroups
    can still be asked.
    """
    for each in seen.containers:
        ended = each.exit
        if (
            ended is None
            or each.past is not None
            or ended.signal != SIGKILL
            or each.record.oom_killed
        ):
            continue
        if read_oom_kills(tree, seen.pod.uid, group(each.record.name, each.record.attempt)):
            each.record.oom_killed = True
            ledger.save_container(seen.pod.uid, each.record)
