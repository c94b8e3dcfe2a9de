"""Taking note of ended containers: why they ended, what they said last; durable before the shim may
forget it.
"""

from __future__ import annotations

import contextlib
import os
from signal import SIGKILL

from kubelite.node.cgroup import control
from kubelite.node.cgroup.errors import CgroupError
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.cgroup.usage import read_oom_kills
from kubelite.node.kubelet.decide import policy
from kubelite.node.kubelet.decide.actions import Moment
from kubelite.node.runtime import logs
from kubelite.node.runtime.container import group, message_file
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import ContainerRecord, PastRecord, PodRecord, Seen
from kubelite.objects.pod.container import Container

KEPT = 2
"""Attempts of a container that are remembered: the last, and the one that lastState tells of while
that is not over.
"""
MESSAGE_BYTES = 4096
LOG_BYTES, LOG_LINES = 2048, 80
"""How much of the log stands in for a message (Kubernetes: FallbackToLogsOnError)."""
UNSEEN = "the container ended while nobody was left to record how"


class Harvest:
    """Takes note of ends in one pod. The caller holds its lock."""

    def __init__(self, home: Home, ledger: Ledger, tree: CgroupTree, pod: PodRecord) -> None:
        self._home, self._ledger, self._tree, self._pod = home, ledger, tree, pod

    def take(
        self, seen: Seen, container: Container | None, init: bool, at: Moment, most: int
    ) -> PastRecord:
        """Notes an end, gives the container's cgroup back, and returns the note. ``most`` is the
        longest back-off.

        An init container that ended well is not worth an fsync: after a power loss it has to run
        again anyway.
        """
        reason, code, message = self._why(seen, container)
        past = _note(seen, init, at, most)
        past.reason, past.code, past.message = reason, code, message
        self.keep(seen, past, durable=not (init and code == 0))
        self._give_back(seen.record)
        return past

    def keep(self, seen: Seen, past: PastRecord, *, durable: bool) -> None:
        """Adds a note to the container's history."""
        earlier = tuple(each for each in (seen.before,) if each is not None)
        self._ledger.save_history(
            self._pod.uid, past.name, (*earlier, past)[-KEPT:], durable=durable
        )

    def _why(self, seen: Seen, container: Container | None) -> tuple[str, int, str]:
        """Reason, exit code and message, in the kubelet's words."""
        if seen.exit is None:
            return "ContainerStatusUnknown", policy.LOST, UNSEEN
        code = seen.exit.code
        if self._is_oom_kill(seen):
            return "OOMKilled", code, self._message(seen.record, container, code)
        return (
            ("Completed" if code == 0 else "Error"),
            code,
            self._message(seen.record, container, code),
        )

    def _is_oom_kill(self, seen: Seen) -> bool:
        if seen.record.oom_killed:
            return True
        if seen.exit is None or seen.exit.signal != SIGKILL:
            return False
        return bool(
            read_oom_kills(self._tree, self._pod.uid, group(seen.record.name, seen.record.attempt))
        )

    def _give_back(self, record: ContainerRecord) -> None:
        """What the container left running goes too: with a pid namespace of its own the kernel has
        seen to it already.
        """
        uid, name = self._pod.uid, group(record.name, record.attempt)
        with contextlib.suppress(CgroupError, FileNotFoundError):
            if control.populated(self._tree, uid, name):
                control.kill(self._tree, uid, name)
                control.wait_empty(self._tree, uid, name)
            self._tree.remove_container(uid, name)

    # -- last words -----------------------------------------------------------------------------------------------------

    def _message(self, record: ContainerRecord, container: Container | None, code: int) -> str:
        """terminationMessagePath, or with FallbackToLogsOnError the end of the log where that is
        empty.
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
        lines = logs.read(directory, record.attempt, tail=LOG_LINES, since=None, more=None)
        return b"".join(line.text for line in lines)[-LOG_BYTES:].decode("utf-8", "replace")


def _read(path: str) -> str:
    """At most the first 4096 bytes of a message file; a container may have put anything in its
    place.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, MESSAGE_BYTES).decode("utf-8", "replace")
    finally:
        os.close(fd)


def _note(seen: Seen, init: bool, at: Moment, most: int) -> PastRecord:
    record, ended = seen.record, seen.exit
    started = ended.started_at if ended is not None else record.started_at
    finished = ended.finished_at if ended is not None else at.wall
    wait = policy.waits(record.backoff, max(finished - started, 0), most)
    again = record.stop is not None and record.stop.again
    return PastRecord(
        id=record.id,
        name=record.name,
        init=init,
        attempt=record.attempt,
        sandbox=record.sandbox,
        image=record.image,
        image_id=record.image_id,
        code=policy.LOST,
        signal=ended.signal if ended is not None else 0,
        reason="",
        message="",
        created_at=record.created_at,
        started_at=started,
        finished_at=finished,
        boot=at.boot,
        until=0 if again else at.now + max(wait - max(at.wall - finished, 0), 0),
        wait=0 if again else wait,
        again=again,
    )
