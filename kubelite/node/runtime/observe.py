"""Observes a pod: its records, what /proc shows of its processes, and what its shim knows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from signal import SIGKILL
from typing import NamedTuple

from kubelite.core.errors import CoreError, ShimSilent
from kubelite.core.protocol import Process, ProcessState
from kubelite.lib.files import names
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.runtime import sandbox as sandboxes
from kubelite.node.runtime.container import cgroup_name
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.processes import is_alive
from kubelite.node.runtime.records import (
    ContainerRecord,
    ExitRecord,
    FinishedAttempt,
    ObservedContainer,
    ObservedPod,
    PodRecord,
    without_process,
)

LOOK_SECONDS = 1
"""How long a look at a pod waits for its shim."""
_MIN_FREE_BYTES = 128 << 10
"""Free bytes below which a disk counts as full; a shim writes at most a quarter at once."""


class _ShimReport(NamedTuple):
    """The shim's processes by id. ``alive`` is False for a shim that has died: then pause is about
    to follow.
    """

    alive: bool
    processes: dict[str, Process]


def observe(home: Home, ledger: Ledger, pod: PodRecord, *, only_looks: bool = False) -> ObservedPod:
    """Reads records and /proc; asks the shim only where a record is unfinished or an exit is not
    recorded. Changes nothing.

    Raises ShimSilent where the shim does not answer; whoever ``only_looks``, and decides nothing,
    gets what there is without it.
    """
    uid = pod.uid
    sandbox = ledger.sandbox(uid)
    up = sandboxes.is_up(home, sandbox)
    latest = _latest(ledger.containers(uid))
    exits, history = _ends(ledger, uid)
    if sandbox is None:
        _add_earlier_boots(home, pod, history, latest)
    alive = {record.id for record in latest.values() if is_alive(record.pid, record.ticks)}
    report = _ShimReport(True, {})
    if up and (
        any(_is_unfinished(record, exits, alive) for record in latest.values())
        or (alive and _is_full(home.logs))
    ):
        report = _look(home, uid) if only_looks else _ask(home, uid)
        exits, history = _ends(ledger, uid)
    finished = {attempt.id: attempt for attempts in history.values() for attempt in attempts}
    containers = (
        _observed_container(
            record, record.id in alive, exits.get(record.id), report.processes.get(record.id)
        )._replace(
            last_exit=finished.get(record.id),
            previous_exit=_previous_exit(history.get(record.name, ()), record),
        )
        for record in latest.values()
    )
    return ObservedPod(pod, sandbox, up and report.alive, tuple(containers), ledger.conditions(uid))


def _ends(
    ledger: Ledger, uid: str
) -> tuple[dict[str, ExitRecord], dict[str, tuple[FinishedAttempt, ...]]]:
    """Recorded exits by id, and the history by container. An exit goes into the history before its
    file is deleted, so the files are read first.
    """
    exits, history = ledger.exits(uid), ledger.history(uid)
    recorded = {attempt.id: _exit(attempt) for attempts in history.values() for attempt in attempts}
    return {**exits, **recorded}, history


def _latest(records: Iterable[ContainerRecord]) -> dict[str, ContainerRecord]:
    latest: dict[str, ContainerRecord] = {}
    for record in records:
        if record.name not in latest or record.attempt >= latest[record.name].attempt:
            latest[record.name] = record
    return latest


def _is_unfinished(record: ContainerRecord, exits: dict[str, ExitRecord], alive: set[str]) -> bool:
    """Whether its start was not answered, or it exited a moment ago and its exit file is not
    written yet.
    """
    return record.id not in exits and (record.pid == 0 or record.id not in alive)


def _is_full(directory: str) -> bool:
    """Whether a shim may have had no space for its last write there."""
    free = os.statvfs(directory)
    return free.f_bavail * free.f_frsize < _MIN_FREE_BYTES or free.f_favail == 0


def _look(home: Home, uid: str) -> _ShimReport:
    try:
        return _ask(home, uid, LOOK_SECONDS)
    except ShimSilent:
        return _ShimReport(True, {})


def _ask(home: Home, uid: str, patience: float | None = None) -> _ShimReport:
    try:
        with sandboxes.connect(home, uid) as shim:
            shim.patience = patience or shim.patience
            return _ShimReport(True, {process.id: process for process in shim.processes()})
    except ShimSilent:
        raise
    except CoreError:
        return _ShimReport(False, {})


def _observed_container(
    record: ContainerRecord, alive: bool, ended: ExitRecord | None, process: Process | None
) -> ObservedContainer:
    if process is None:
        return ObservedContainer(record, ended is None and alive, ended)
    if process.state == ProcessState.STARTING:
        return ObservedContainer(record, False, None)
    record.pid, record.started_at = process.pid, process.started_at
    if process.state == ProcessState.EXITED:
        return ObservedContainer(record, False, ended or exit_of(process), lost=process.lost)
    return ObservedContainer(record, True, None, lost=process.lost)


def exit_of(process: Process) -> ExitRecord:
    """The exit of a process as the shim reports it, for one that it could not write to disk."""
    return ExitRecord(
        id=process.id,
        role=process.role,
        pid=process.pid,
        code=process.code,
        signal=process.signal,
        started_at=process.started_at,
        finished_at=process.finished_at,
    )


# -- attempts of earlier boots ---------------------------------------------------------------------


def _add_earlier_boots(
    home: Home,
    pod: PodRecord,
    history: dict[str, tuple[FinishedAttempt, ...]],
    latest: dict[str, ContainerRecord],
) -> None:
    """Adds the attempts of an earlier boot, whose records were in /run: those in the history, and
    those of which only a log is left. Where records are left, their processes are gone.
    """
    for record in latest.values():
        record.pid = -1
    for attempts in history.values():
        if attempts and attempts[-1].name not in latest:
            latest[attempts[-1].name] = _record(attempts[-1])
    logs = home.pod_logs(pod.namespace, pod.name, pod.uid)
    for name in names(logs):
        newest = max(
            (int(n) for file in names(f"{logs}/{name}") if (n := file.partition(".")[0]).isdigit()),
            default=-1,
        )
        if newest > (latest[name].attempt if name in latest else -1):
            latest[name] = _lost(name, newest)


def _record(finished: FinishedAttempt) -> ContainerRecord:
    record = _lost(finished.name, finished.attempt)
    record.id, record.init, record.sandbox = finished.id, finished.init, finished.sandbox
    record.image, record.image_id = finished.image, finished.image_id
    record.created_at, record.started_at = finished.created_at, finished.started_at
    record.restarts = finished.restarts
    return record


def _lost(name: str, attempt: int) -> ContainerRecord:
    """The record of an attempt started in another boot, whose exit was not recorded. Its pid cannot
    be alive.
    """
    return without_process(f"{name}-{attempt}", name, attempt, restarts=attempt)


def _exit(finished: FinishedAttempt) -> ExitRecord:
    return ExitRecord(
        id=finished.id,
        role=0,
        pid=0,
        code=finished.code,
        signal=finished.signal,
        started_at=finished.started_at,
        finished_at=finished.finished_at,
    )


def _previous_exit(
    attempts: tuple[FinishedAttempt, ...], record: ContainerRecord
) -> FinishedAttempt | None:
    """The last finished attempt before this one that was created."""
    earlier = (a for a in reversed(attempts) if a.attempt < record.attempt and not a.never_created)
    return next(earlier, None)


def note_oom_kills(tree: CgroupTree, ledger: Ledger, observed: ObservedPod) -> None:
    """Records which containers the OOM killer has killed, before their cgroups are removed."""
    from kubelite.node.cgroup.usage import read_oom_kills  # whoever starts a pod needs none

    for container in observed.containers:
        ended = container.exit
        if (
            ended is None
            or container.last_exit is not None
            or ended.signal != SIGKILL
            or container.record.oom_killed
        ):
            continue
        if read_oom_kills(
            tree, observed.pod.uid, cgroup_name(container.record.name, container.record.attempt)
        ):
            container.record.oom_killed = True
            ledger.save_container(observed.pod.uid, container.record)
