"""Taking pods apart, from records alone: after a stop, after a failed start, after anybody was
killed at any point.

Every step can be repeated and none trusts that the one before was reached. The pod's record goes
last, so that what is left half-way is found again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from signal import SIGKILL

from kubelite.core.errors import CoreError, NativeError
from kubelite.core.protocol import ProcessState, Role
from kubelite.core.shim import Shim
from kubelite.node.cgroup import control
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.network.pod import PodNetwork
from kubelite.node.runtime import sandbox as sandboxes
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.observe import note_oom_kills, observe
from kubelite.node.runtime.processes import end, find_shims, start_ticks
from kubelite.node.runtime.records import REMOVING, PodRecord
from kubelite.node.volume.removal import Left, remove_tree

SHUTDOWN_SECONDS = 10
CLOSE_SECONDS = 1


def _quiet(_: str) -> None:
    return


def mark(pod: PodRecord, grace: int) -> None:
    """From now on the pod is to go, with ``grace`` nanoseconds for its containers; the caller saves
    the record.
    """
    pod.stage, pod.removal_at, pod.removal_grace = REMOVING, time.time_ns(), grace


class Remover:
    """Removes pods of one home. The caller holds the pod's lock."""

    def __init__(self, home: Home, ledger: Ledger, trace: Callable[[str], None] = _quiet) -> None:
        self._home = home
        self._ledger = ledger
        self._trace = trace
        self._tree = CgroupTree(read_world(), home.cgroup)

    def remove(self, pod: PodRecord) -> None:
        """Kills what runs of the pod and removes everything of it. Raises RuntimeFailure for what
        would not go.
        """
        self._trace("mark as removing")
        if pod.stage != REMOVING:
            mark(pod, 0)
            self._ledger.save_pod(pod)
        self._kill(pod.uid)
        self._end_sandbox(pod.uid)
        self._trace("remove files")
        self._remove_files(pod)

    def clear_sandbox(self, uid: str) -> None:
        """Gives the kernel objects of a dead sandbox back; records, exits, logs and volumes stay."""
        pod, record = self._ledger.pod(uid), self._ledger.sandbox(uid)
        if pod is None or record is None or record.gone:
            return
        note_oom_kills(self._tree, self._ledger, observe(self._home, self._ledger, pod))
        self._end_sandbox(uid)
        record.gone = True
        self._ledger.save_sandbox(record)

    def remove_unrecorded(self, uid: str) -> None:
        """The same as :meth:`remove` for a pod whose record cannot be read; its logs stay, since
        nobody knows their name.
        """
        self._kill(uid)
        self._end_sandbox(uid)
        self._remove_tree(self._home.pod_run(uid))
        self._remove_tree(self._home.pod(uid))

    def close_home(self) -> None:
        """Once no pod is left: the group of all pods goes too, as soon as the kernel has let go of
        those that were below it.
        """
        deadline = time.monotonic() + CLOSE_SECONDS
        while (
            not self._tree.remove_parent()
            and time.monotonic() < deadline
            and not self._home.has_pods()
        ):
            time.sleep(0.005)

    # -- processes ------------------------------------------------------------------------------------------------------

    def _kill(self, uid: str) -> None:
        """SIGKILL to all containers at once; with grace they are ended by the pod's worker before
        it comes to this.
        """
        with contextlib.suppress(CoreError), sandboxes.connect(self._home, uid) as shim:
            running = [
                p.id
                for p in shim.processes()
                if p.role == Role.CONTAINER and p.state == ProcessState.RUNNING
            ]
            self._trace("kill containers")
            _signal(shim, running, SIGKILL)
            _wait(shim, running, SHUTDOWN_SECONDS)

    def _end_sandbox(self, uid: str) -> None:
        self._trace("end shim")
        self._end_shim(uid)
        self._trace("kill cgroup")
        control.kill(self._tree, uid)
        if not control.wait_empty(self._tree, uid):
            raise RuntimeFailure(
                f"processes of pod {uid} will not end", hint="`kubelite pod down` tries again"
            )
        self._trace("remove network")
        PodNetwork(self._home.run, self._home.key, self._home.lock).remove(uid)
        self._trace("remove cgroups")
        self._tree.remove_pod(uid)

    def _end_shim(self, uid: str) -> None:
        """Asks the shim to leave; kills it, and whatever serves this pod, where it does not."""
        try:
            with sandboxes.connect(self._home, uid) as shim:
                shim.shutdown()
        except (CoreError, TimeoutError):
            pass
        for pid in self._shims(uid):
            end(pid, start_ticks(pid) or 0)

    def _shims(self, uid: str) -> Sequence[int]:
        """The shim of the record, while it is one; all processes are looked through only where the
        record may be incomplete.
        """
        record = self._ledger.sandbox(uid)
        if record is None and not os.path.isdir(self._home.pod_run(uid)):
            return ()
        if record is not None and record.shim_pid and record.pause_pid:
            return [record.shim_pid] if _serves(record.shim_pid, uid) else ()
        return find_shims(uid)

    # -- files ----------------------------------------------------------------------------------------------------------

    def _remove_files(self, pod: PodRecord) -> None:
        home = self._home
        self._remove_tree(home.pod_run(pod.uid))
        self._remove_tree(home.pod_logs(pod.namespace, pod.name, pod.uid))
        base = home.pod(pod.uid)
        for name in _names(base):
            if name != "pod.json":
                self._remove_tree(f"{base}/{name}")
        self._trace("remove record")
        gone = home.unfinished_pod(pod.uid)
        with contextlib.suppress(FileNotFoundError):
            os.rename(base, gone)  # in one step: a directory without its record would be nobody's
        self._remove_tree(gone)

    def _remove_tree(self, path: str) -> None:
        left: list[Left] = remove_tree(path)
        if left:
            raise RuntimeFailure(
                f"{left[0]}" + (f", and {len(left) - 1} more" if len(left) > 1 else ""),
                hint="`kubelite pod down` tries again",
            )


def remove_attempt(base: str, logs: str, name: str, attempt: int) -> None:
    """Removes what only an attempt needed that a later one has followed, and the logs of those
    before it. ``base`` and ``logs`` are the pod's directories. What will not go now goes with the
    pod."""
    remove_tree(f"{base}/root/{name}/{attempt}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{base}/messages/{name}-{attempt}")
    for file in _names(f"{logs}/{name}"):
        number = file.partition(".")[0]
        if number.isdigit() and int(number) < attempt:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{logs}/{name}/{file}")


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _serves(pid: int, uid: str) -> bool:
    """Whether this is the pod's shim, or the clean-up command that it has become; never this
    process.
    """
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return pid != os.getpid() and uid.encode() in file.read(1 << 16).split(b"\0")
    except OSError:
        return False


def _signal(shim: Shim, ids: Sequence[str], number: int) -> None:
    for id in ids:
        with contextlib.suppress(NativeError):
            shim.signal(id, number)


def _wait(shim: Shim, ids: Sequence[str], seconds: float) -> list[str]:
    """Those that have not ended when the time is over."""
    deadline = time.monotonic() + seconds
    asked = {id: shim.ask_wait(id) for id in ids}
    left = []
    for id, seq in asked.items():
        try:
            shim.exited(seq, max(deadline - time.monotonic(), 0))
        except TimeoutError:
            left.append(id)
        except NativeError:
            continue
    return left
