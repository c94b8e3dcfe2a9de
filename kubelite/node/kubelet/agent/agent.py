"""The node agent: one per home, a worker for each pod that has to be looked after, nothing at all
to do in between.

It knows nothing that is not on record: started anew it adopts every pod as it is, which is also how
it recovers from being killed. It ends by itself when no pod needs it.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable

from kubelite.core import inotify
from kubelite.lib.files import FileLock, write_record
from kubelite.node.kubelet.act import claims
from kubelite.node.kubelet.act.node_config import longest_backoff
from kubelite.node.kubelet.act.pod_state import Scene
from kubelite.node.kubelet.act.worker import Worker
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.decide.actions import Decision, needs_care
from kubelite.node.runtime.clock import SECOND, boottime
from kubelite.node.runtime.home import UNFINISHED, Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.processes import start_ticks
from kubelite.node.runtime.records import REMOVING, PodRecord
from kubelite.node.runtime.removal import Remover

LINGER = 2.0
"""Seconds without a pod after which the agent ends."""
RETRY = 10 * SECOND
_LOG_BYTES = 1 << 20
_STACK_BYTES = 512 << 10


class Agent:
    """The agent of ``home``. ``trace`` is told each act of a worker just before it is done;
    ``stays``: it does not end by itself."""

    def __init__(
        self, home: Home, *, trace: Callable[[str], None] | None = None, stays: bool = False
    ) -> None:
        self._home, self._stays = home, stays
        self._ledger = Ledger(home)
        self._most = longest_backoff(home)
        self._trace = trace or _quiet
        self._workers: dict[str, PodWorker] = {}

    def run(self, timeout: float = 5.0) -> None:
        """Returns when no pod needs it any more. Raises TimeoutError where another agent serves
        this home.
        """
        self._home.make()
        alone = agent_control.sole(self._home, timeout)
        try:
            self._register()
            inbox, claimed = self._open_inbox(), self._watch_claims()
            self._adopt()
            while self._serve(inbox, claimed):
                pass
        finally:
            alone.release()

    def _watch_claims(self) -> inotify.Watch | None:
        """Tells of every pod whose record appears: whoever made it may be killed before it can
        call. Without a watch, where this user has no more of them, such a pod is adopted by the
        next agent."""
        try:
            return inotify.Watch(self._home.pods, inotify.MOVED_IN)
        except OSError as error:
            say(f"new pods are seen only when somebody calls: {error}")
            return None

    def _register(self) -> None:
        record = agent_control.AgentRecord(
            pid=os.getpid(), ticks=start_ticks(os.getpid()) or 0, started_at=time.time_ns()
        )
        write_record(f"{self._home.run}/{agent_control.RECORD}", record, durable=False)

    def _open_inbox(self) -> socket.socket:
        inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        run = os.open(self._home.run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _unlink(f"{self._home.run}/{agent_control.SOCKET}")
            inbox.bind(f"/proc/self/fd/{run}/{agent_control.SOCKET}")
            os.chmod(agent_control.SOCKET, 0o600, dir_fd=run)
        finally:
            os.close(run)
        return inbox

    def _serve(self, inbox: socket.socket, claimed: inotify.Watch | None) -> bool:
        """One message, or the end: False once no pod needs the agent and nobody can have called
        meanwhile.
        """
        idle = not self._workers and not self._stays
        sources: list[socket.socket | inotify.Watch] = (
            [inbox] if claimed is None else [inbox, claimed]
        )
        heard = select.select(sources, [], [], LINGER if idle else None)[0]
        if claimed is not None and claimed in heard:
            self._appeared(name for _, name in claimed.read())
        if inbox in heard:
            self._called(inbox.recv(256).decode("ascii", "replace"))
        if heard:
            return True
        _unlink(f"{self._home.run}/{agent_control.SOCKET}")
        self._adopt()
        while select.select([inbox], [], [], 0)[0]:
            self._called(inbox.recv(256).decode("ascii", "replace"))
        if self._workers:
            self._rebind(inbox)
            return True
        _unlink(f"{self._home.run}/{agent_control.RECORD}")
        return False

    def _rebind(self, inbox: socket.socket) -> None:
        """Takes its place again: a pod turned up just when it was about to leave."""
        again = self._open_inbox()
        os.dup2(again.fileno(), inbox.fileno(), inheritable=False)
        again.close()

    def _adopt(self) -> None:
        """Every pod that needs somebody. One that somebody works on at this moment, who may yet be
        killed, will be called.
        """
        for record in self._ledger.pods():
            if self._needs_care(record):
                self._look_after(record)

    def _called(self, uid: str) -> None:
        """A pod has changed, or (after a minus sign) its worker is done."""
        if uid.startswith("-"):
            worker = self._workers.pop(uid[1:], None)
            if worker is None or not worker.missed:
                return
        elif (worker := self._workers.get(uid)) is not None:
            worker.nudge()
            return
        record = self._ledger.pod(uid.removeprefix("-"))
        if record is not None:
            self._look_after(record)

    def _appeared(self, uids: Iterable[str]) -> None:
        """Pods that were asked for; their workers wait for the lock of whoever makes them."""
        for uid in uids:
            record = self._ledger.pod(uid) if not uid.startswith(UNFINISHED) else None
            if record is not None:
                self._look_after(record)

    def _look_after(self, record: PodRecord) -> None:
        if record.uid in self._workers:
            return
        worker = PodWorker(self._home, record, self._most, self._trace)
        self._workers[record.uid] = worker
        worker.start()

    def _needs_care(self, record: PodRecord) -> bool:
        scene = Scene(self._home, self._ledger, record)
        return scene.look() and needs_care(scene.pod, scene.seen)


class PodWorker:
    """A thread that looks after one pod until that needs it no more."""

    def __init__(
        self, home: Home, record: PodRecord, most: int, trace: Callable[[str], None]
    ) -> None:
        self._home, self._uid = home, record.uid
        self._ledger = Ledger(home)
        self._name = f"{record.namespace}/{record.name}"
        self._worker = Worker(Scene(home, self._ledger, record), most, trace=trace)
        self.done = self.missed = False
        self._lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def nudge(self) -> None:
        """Something of the pod has changed; heard too late it is still known to have been said."""
        with self._lock:
            self.missed = True
            if not self.done:
                self._worker.attention.nudge()

    def _run(self) -> None:
        try:
            while not self._over():
                pass
        finally:
            with self._lock:
                self.done = True
                self._worker.close()
            agent_control.nudge(self._home, f"-{self._uid}")

    def _over(self) -> bool:
        """One round: under the lock whatever there is to do, then a wait. True when the pod needs
        nobody any more.
        """
        try:
            decision = self._turn()
        except Exception:  # noqa: BLE001 - whatever is wrong with one pod, the others go on and this one is tried again
            say(f"pod {self._name}: {traceback.format_exc()}")
            decision = Decision(wake=boottime() + RETRY)
        if decision is None:
            return True
        self._worker.wait(decision)
        return False

    def _turn(self) -> Decision | None:
        with FileLock(self._home.pod_lock(self._uid)) as lock:
            self.missed = False
            worker = self._worker
            if not worker.look():
                self._close_behind(lock)
                return None
            decision = worker.advance()
            scene = worker.scene
            if scene.record.stage == REMOVING and not worker.running:
                worker.remove()
                self._close_behind(lock)
                return None
            return decision if needs_care(scene.pod, scene.seen) else None

    def _close_behind(self, lock: FileLock) -> None:
        """After the last pod the group of all pods goes too; who removed it may have been killed
        before that.
        """
        lock.remove()
        with FileLock(self._home.lock):
            claims.sweep(self._home)
        if not self._home.has_pods():
            Remover(self._home, self._ledger).close_home()


def _quiet(_: str) -> None:
    return


def say(text: str) -> None:
    """A line of the log, which is stderr. The file is cut when it has grown too long."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        if os.fstat(2).st_size > _LOG_BYTES:
            os.ftruncate(2, 0)
        os.write(2, f"{stamp} {text.rstrip()}\n".encode(errors="replace"))
    except OSError:
        return


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def main(root: str) -> int:
    """What ``pod up`` starts in the background."""
    os.chdir("/")
    threading.stack_size(_STACK_BYTES)
    try:
        Agent(Home(root)).run()
    except TimeoutError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
