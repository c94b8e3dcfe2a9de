"""Records the exits of containers: reason, exit code and last message, durably before the shim may
forget them.
"""

from __future__ import annotations

import contextlib
import os
import stat
from signal import SIGKILL

from kubelite.node.cgroup import control
from kubelite.node.cgroup.errors import CgroupError
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.cgroup.usage import read_oom_kills
from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.kubelet.decide.actions import TimePoint
from kubelite.node.runtime import log_reader
from kubelite.node.runtime.container import cgroup_name, message_file
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import FULL_DISK, Ledger
from kubelite.node.runtime.records import (
    ContainerRecord,
    FinishedAttempt,
    ObservedContainer,
    PodRecord,
)
from kubelite.objects.pod.container import Container

KEPT_ATTEMPTS = 2
"""Finished attempts that are remembered of a container: the last one, and the one that lastState
shows while that is running."""
MESSAGE_BYTES = 4096
LOG_BYTES, LOG_LINES = 2048, 80
"""The part of the log that stands in for a termination message (FallbackToLogsOnError)."""


class ExitRecorder:
    """Describes and records exits in one pod. Recording needs the pod's lock."""

    def __init__(self, home: Home, ledger: Ledger, tree: CgroupTree, pod: PodRecord) -> None:
        self._home = home
        self._ledger = ledger
        self._tree = tree
        self._pod = pod

    def record(
        self,
        observed: ObservedContainer,
        container: Container | None,
        init: bool,
        clock: TimePoint,
        max_backoff: int,
    ) -> tuple[FinishedAttempt, bool]:
        """Records an exit and removes the container's cgroup; ``max_backoff`` is in nanoseconds.
        Also returns what :meth:`append` does.

        An init container that exited with 0 is not worth an fsync: after a power loss it has to run
        again anyway.
        """
        finished = self.describe(observed, container, init, clock, max_backoff)
        is_written = self.append(observed, finished, durable=not (init and finished.code == 0))
        self._remove_cgroup(observed.record)
        return finished, is_written

    def describe(
        self,
        observed: ObservedContainer,
        container: Container | None,
        init: bool,
        clock: TimePoint,
        max_backoff: int,
    ) -> FinishedAttempt:
        """The record of an exit, not written anywhere."""
        finished = _finished(observed, init, clock, max_backoff)
        finished.reason, finished.code, finished.message = self._outcome(observed, container)
        return finished

    def append(
        self, observed: ObservedContainer, finished: FinishedAttempt, *, durable: bool
    ) -> bool:
        """Writes the container's history with ``finished`` as its last attempt. False where the
        disk is full: the pod goes on, and the exit is recorded once there is room.
        """
        earlier = () if observed.previous_exit is None else (observed.previous_exit,)
        attempts = (*earlier, finished)[-KEPT_ATTEMPTS:]
        try:
            self._ledger.save_history(self._pod.uid, finished.name, attempts, durable=durable)
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            return False
        return True

    def _outcome(
        self, observed: ObservedContainer, container: Container | None
    ) -> tuple[str, int, str]:
        """Reason, exit code and message, in the kubelet's words."""
        if observed.exit is None:
            return (
                "ContainerStatusUnknown",
                restart_policy.UNKNOWN_EXIT_CODE,
                restart_policy.UNKNOWN_EXIT_MESSAGE,
            )
        code = observed.exit.code
        reason = "Completed" if code == 0 else "Error"
        if self._is_oom_killed(observed):
            reason = "OOMKilled"
        return reason, code, self._message(observed.record, container, code)

    def _is_oom_killed(self, observed: ObservedContainer) -> bool:
        if observed.record.oom_killed:
            return True
        if observed.exit is None or observed.exit.signal != SIGKILL:
            return False
        name = cgroup_name(observed.record.name, observed.record.attempt)
        return bool(read_oom_kills(self._tree, self._pod.uid, name))

    def _remove_cgroup(self, record: ContainerRecord) -> None:
        """Kills what the container left running, and removes its cgroup. With a pid namespace of
        its own the kernel has killed it already.
        """
        uid, name = self._pod.uid, cgroup_name(record.name, record.attempt)
        with contextlib.suppress(CgroupError, FileNotFoundError):
            if control.populated(self._tree, uid, name):
                control.kill(self._tree, uid, name)
                control.wait_empty(self._tree, uid, name)
            self._tree.remove_container(uid, name)

    # -- termination messages ----------------------------------------------------------------------

    def _message(self, record: ContainerRecord, container: Container | None, code: int) -> str:
        """The contents of terminationMessagePath, or with FallbackToLogsOnError the end of the log
        where that is empty.
        """
        text = _read(message_file(self._home.pod(self._pod.uid), record.name, record.attempt))
        wants_log = (
            container is not None
            and container.termination_message_policy == "FallbackToLogsOnError"
        )
        if text or code == 0 or not wants_log:
            return text
        return self._log_end(record)

    def _log_end(self, record: ContainerRecord) -> str:
        pod = self._pod
        directory = f"{self._home.pod_logs(pod.namespace, pod.name, pod.uid)}/{record.name}"
        lines = log_reader.read(directory, record.attempt, tail=LOG_LINES, since=None, more=None)
        return b"".join(line.text for line in lines)[-LOG_BYTES:].decode("utf-8", "replace")


def _read(path: str) -> str:
    """The first 4096 bytes of a message file, "" for anything but a regular file: a container may
    have put a link or a pipe in its place.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.read(fd, MESSAGE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)


def _finished(
    observed: ObservedContainer, init: bool, clock: TimePoint, max_backoff: int
) -> FinishedAttempt:
    """An attempt that ended, without its outcome."""
    record, exit = observed.record, observed.exit
    started = exit.started_at if exit is not None else record.started_at
    finished = exit.finished_at if exit is not None else clock.wall
    force_restart = record.stop is not None and record.stop.restart
    backoff, not_before = 0, 0
    if not force_restart:
        ran = max(finished - started, 0) if started else 0
        backoff = restart_policy.backoff_after(record.backoff, ran, max_backoff)
        # The back-off counts from the exit, which may have been noticed late.
        not_before = clock.now + max(backoff - max(clock.wall - finished, 0), 0)
    return FinishedAttempt(
        id=record.id,
        name=record.name,
        init=init,
        attempt=record.attempt,
        sandbox=record.sandbox,
        image=record.image,
        image_id=record.image_id,
        code=restart_policy.UNKNOWN_EXIT_CODE,
        signal=exit.signal if exit is not None else 0,
        reason="",
        message="",
        created_at=record.created_at,
        started_at=started,
        finished_at=finished,
        boot=clock.boot,
        not_before=not_before,
        backoff=backoff,
        force_restart=force_restart,
        restarts=record.restarts,
    )
