"""The node agent: one process per state root, with one worker for each pod that needs care. It is
idle in between.

It knows nothing that is not on record: an agent that starts adopts every pod as it finds it, which
is also how it recovers from being killed. It ends by itself when no pod needs it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable

from kubelite.core import inotify
from kubelite.lib.files import FileLock, names, unlink_missing, write_record
from kubelite.node.kubelet.act import config_file, pod_names
from kubelite.node.kubelet.act.cluster_view import ClusterView
from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.kubelet.act.worker import Worker
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.kubelet.decide.actions import Decision, needs_care
from kubelite.node.runtime.clock import boottime
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import UNFINISHED, Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.pod_lock import hold_pod
from kubelite.node.runtime.processes import spare_from_oom_kills, start_ticks
from kubelite.node.runtime.records import REMOVING, PodRecord
from kubelite.node.runtime.removal import close_home

LINGER_MS = 2000
"""Milliseconds without a pod after which the agent ends."""
_MAX_LOG_BYTES = 1 << 20
_STACK_BYTES = 512 << 10


class Agent:
    """The agent of ``home``. ``trace`` is called with each act of a worker just before it is done;
    ``stays``: it does not end by itself, and takes the place of one that would.
    """

    def __init__(
        self,
        home: Home,
        *,
        trace: Callable[[str], None] | None = None,
        stays: bool = False,
        cluster: ClusterView | None = None,
    ) -> None:
        self._home = home
        self._cluster = cluster
        self._stays = stays
        self._ledger = Ledger(home)
        self._max_backoff = config_file.read(home).max_backoff
        self._trace = trace or _ignore
        self._workers: dict[str, PodWorker] = {}

    def run(self, timeout: float = 5.0) -> None:
        """Returns when no pod needs the agent any more, or its lock's file has been deleted: with
        the state root, or by somebody who lets another agent begin. Raises TimeoutError where
        another agent runs after ``timeout`` seconds, RuntimeFailure for a state root that is not
        safe.
        """
        self._home.make()
        acquire = agent_control.take_over if self._stays else agent_control.acquire_agent_lock
        lock = acquire(self._home, timeout)
        spare_from_oom_kills(os.getpid())
        try:
            self._register()
            inbox, new_pods = self._open_inbox(), self._watch_new_pods()
            lock_file = self._watch_lock_file()
            self._adopt_pods()
            self._check_networks()
            while lock.is_current() and self._serve(inbox, new_pods, lock_file):
                pass
        finally:
            lock.release()

    def _check_networks(self) -> None:
        node = self._cluster.node.cni if self._cluster is not None else None
        directories = node or config_file.read(self._home).cni
        uids = names(self._home.pods)
        if directories or any(os.path.lexists(self._home.attachment(uid)) for uid in uids):
            from kubelite.node.kubelet.agent import network_check

            network_check.start(self._home, directories, self._cluster, log)

    def _watch_new_pods(self) -> inotify.Watch | None:
        """Reports every pod whose record appears: the command that creates it may be killed before
        it can notify the agent. None where this user may have no more watches; then such a pod is
        found by the next agent."""
        try:
            return inotify.Watch(self._home.pods, inotify.MOVED_IN)
        except OSError as error:
            log(f"new pods are only noticed when a command notifies the agent: {error}")
            return None

    def _watch_lock_file(self) -> inotify.Watch | None:
        """Reports that the lock's file may have been deleted; None where it cannot be watched."""
        try:
            return inotify.Watch(f"{self._home.run}/{agent_control.LOCK}", inotify.UNLINKED)
        except OSError as error:
            log(f"a state root that is deleted is only noticed at the next event: {error}")
            return None

    def _register(self) -> None:
        record = agent_control.AgentRecord(
            pid=os.getpid(),
            ticks=start_ticks(os.getpid()) or 0,
            started_at=time.time_ns(),
            stays=self._stays,
        )
        try:
            write_record(f"{self._home.run}/{agent_control.RECORD}", record, durable=False)
        except OSError as error:  # a full disk: the pods need the agent all the same
            log(f"the agent cannot be registered: {error}")

    def _open_inbox(self) -> socket.socket:
        inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        run = os.open(self._home.run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            unlink_missing(f"{self._home.run}/{agent_control.SOCKET}")
            inbox.bind(f"/proc/self/fd/{run}/{agent_control.SOCKET}")
            os.chmod(agent_control.SOCKET, 0o600, dir_fd=run)
        finally:
            os.close(run)
        return inbox

    def _serve(
        self,
        inbox: socket.socket,
        new_pods: inotify.Watch | None,
        lock_file: inotify.Watch | None,
    ) -> bool:
        """Handles what has arrived; False once no pod needs the agent and no notification can have
        been missed.

        The order at the end is what makes that sure: the socket's name goes first, so that a
        command which finds none starts another agent; then all pods are looked at once more, and
        what was sent before the name went is read.
        """
        is_idle = not self._workers and not self._stays
        poll = select.poll()
        poll.register(inbox, select.POLLIN)
        for watch in (new_pods, lock_file):
            if watch is not None:
                poll.register(watch, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(LINGER_MS if is_idle else None)}
        if new_pods is not None and new_pods.fileno() in ready:
            self._pods_appeared(change.name for change in new_pods.read())
        if lock_file is not None and lock_file.fileno() in ready:
            lock_file.read()
        if inbox.fileno() in ready:
            self._notified(inbox.recv(256).decode("ascii", "replace"))
        if ready:
            return True
        unlink_missing(f"{self._home.run}/{agent_control.SOCKET}")
        self._adopt_pods()
        inbox.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._notified(inbox.recv(256).decode("ascii", "replace"))
        inbox.setblocking(True)
        if self._workers:
            self._reopen_inbox(inbox)
            return True
        unlink_missing(f"{self._home.run}/{agent_control.RECORD}")
        return False

    def _reopen_inbox(self, inbox: socket.socket) -> None:
        """A pod turned up just when the agent was about to end: it is reachable again."""
        new = self._open_inbox()
        os.dup2(new.fileno(), inbox.fileno(), inheritable=False)
        new.close()

    def _adopt_pods(self) -> None:
        """Starts workers for all pods that need one. A pod locked by a running command notifies us
        later.
        """
        for record in self._ledger.pods():
            if self._needs_care(record):
                self._start_worker(record)

    def _notified(self, message: str) -> None:
        """``message`` is the uid of a pod that has changed; after a minus sign, of one whose worker
        has ended.
        """
        uid = message.removeprefix("-")
        if message.startswith("-"):
            ended = self._workers.pop(uid, None)
            if ended is None or not ended.notified:
                return
        elif (worker := self._workers.get(uid)) is not None:
            worker.notify()
            return
        record = self._ledger.pod(uid)
        if record is not None:
            self._start_worker(record)

    def _pods_appeared(self, uids: Iterable[str]) -> None:
        """New records. Their workers wait for the lock of the command that creates the pod."""
        for uid in uids:
            record = self._ledger.pod(uid) if not uid.startswith(UNFINISHED) else None
            if record is not None:
                self._start_worker(record)

    def _start_worker(self, record: PodRecord) -> None:
        if record.uid in self._workers:
            return
        worker = PodWorker(self._home, record, self._max_backoff, self._trace, self._cluster)
        self._workers[record.uid] = worker
        worker.start()

    def _needs_care(self, record: PodRecord) -> bool:
        if self._cluster is not None:
            return True  # its present state has to be reported at least once
        state = PodState(self._home, self._ledger, record)
        return state.refresh() and needs_care(state.pod, state.observed)


class PodWorker:
    """A thread that looks after one pod until the pod needs no care any more."""

    def __init__(
        self,
        home: Home,
        record: PodRecord,
        node_max_backoff: int,
        trace: Callable[[str], None],
        cluster: ClusterView | None = None,
    ) -> None:
        self._home = home
        self._record = record
        self._cluster = cluster
        self._uid = record.uid
        self._ledger = Ledger(home)
        self._name = f"{record.namespace}/{record.name}"
        state = PodState(home, self._ledger, record, cluster=cluster)
        self._worker = Worker(state, node_max_backoff, trace=trace)
        self.finished = False
        self.notified = False
        self._failures = 0
        """How often in a row a part of the pod could not be removed."""
        self._lock = threading.Lock()

    def start(self) -> None:
        """Starts the thread."""
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def notify(self) -> None:
        """Wakes the worker; remembered if it is just finishing."""
        with self._lock:
            self.notified = True
            if not self.finished:
                self._worker.runner.notify()

    def _run(self) -> None:
        try:
            while self._take_turn():
                pass
        finally:
            with self._lock:
                self.finished = True
                self._worker.close()
            agent_control.notify(self._home, f"-{self._uid}")

    def _take_turn(self) -> bool:
        """Does what there is to do, then waits; False when the pod needs no care any more."""
        try:
            decision = self._advance()
            self._failures = 0
        except RuntimeFailure as error:
            log(f"pod {self._name}: {error}")
            decision = Decision(wake=boottime() + restart_policy.mount_retry(self._failures))
            self._failures += 1
        except Exception:  # noqa: BLE001 - one broken pod must not stop the others; it is retried
            log(f"pod {self._name}: {traceback.format_exc()}")
            decision = Decision(wake=boottime() + restart_policy.RETRY)
        if decision is None:
            return False
        self._worker.wait(decision)
        return True

    def _advance(self) -> Decision | None:
        """One round under the pod's lock; None when the pod needs no care any more."""
        with hold_pod(self._home, self._uid) as lock:
            self.notified = False
            worker = self._worker
            if lock is None or not worker.refresh():
                self._close_behind()
                return None
            if worker.state.cluster is not None:
                worker.executor.refresh_contents()
            decision = worker.advance()
            state = worker.state
            if self._cluster is not None:
                self._cluster.pod_changed(state.pod, state.observed)
            if state.record.stage == REMOVING and not worker.any_running:
                worker.remove()
                lock.remove()
                self._close_behind()
                return None
            return decision if self._has_work(state) else None

    def _has_work(self, state: PodState) -> bool:
        """A pod has none while nothing in it can be restarted or probed; but a cluster is told how
        its pods end, to the last container.
        """
        if self._cluster is not None:
            is_finished = restart_policy.is_finished(state.pod, state.observed)
            return not is_finished or self._worker.any_running
        return needs_care(state.pod, state.observed)

    def _close_behind(self) -> None:
        """After the last pod the cgroup of all pods goes too: the command that removed the pod may
        have been killed before it came to that.
        """
        if self._cluster is not None:
            self._cluster.pod_removed(self._record)
        with FileLock(self._home.lock):
            pod_names.sweep(self._home)
        if not self._home.has_pods():
            close_home(self._home)


def _ignore(_: str) -> None:
    return


def log(text: str) -> None:
    """Writes a line to the log, which is stderr; one that is too long is truncated first."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        if os.fstat(2).st_size > _MAX_LOG_BYTES:
            os.ftruncate(2, 0)
        os.write(2, f"{stamp} {text.rstrip()}\n".encode(errors="replace"))
    except OSError:
        return


def main(root: str) -> int:
    """What commands start in the background."""
    os.chdir("/")
    threading.stack_size(_STACK_BYTES)
    home = Home(root)
    if not home.has_pods():
        return 0  # the last one has gone meanwhile, and maybe the state root with it
    try:
        Agent(home).run()
    except TimeoutError:
        return 0
    except RuntimeFailure as error:
        log(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
