"""Removes pods, from records alone: after a stop, after a failed start, after any process was
killed at any point.

Every step can be repeated and none relies on the one before. The pod's record goes last, so that
what is left of an interrupted removal is found again. Nothing here needs disk space.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from signal import SIGKILL

from kubelite.core.errors import CoreError, NativeError
from kubelite.core.protocol import ProcessState, Role
from kubelite.core.shim import Shim
from kubelite.lib.files import names
from kubelite.node.cgroup import control
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.network.pod import PodNetwork
from kubelite.node.runtime import sandbox as sandboxes
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.observe import note_oom_kills, observe
from kubelite.node.runtime.processes import find_shims, kill_and_wait, start_ticks
from kubelite.node.runtime.records import REMOVING, PodRecord
from kubelite.node.volume.csi import paths
from kubelite.node.volume.errors import VolumeError
from kubelite.node.volume.removal import Left, remove_tree

SHUTDOWN_SECONDS = 10
CLOSE_SECONDS = 1


def _ignore(_: str) -> None:
    return


def mark_removing(pod: PodRecord, grace: int) -> None:
    """From now on the pod is being removed, with ``grace`` nanoseconds for its containers; the
    caller saves the record.
    """
    pod.stage = REMOVING
    pod.removal_at = time.time_ns()
    pod.removal_grace = grace


def remove_pod(
    home: Home, ledger: Ledger, pod: PodRecord, trace: Callable[[str], None] = _ignore
) -> None:
    """See :meth:`Remover.remove`."""
    with closing(Remover(home, ledger, trace)) as remover:
        remover.remove(pod)


def close_home(home: Home) -> None:
    """Once no pod is left, removes the cgroup of all pods, as soon as the kernel has let go of
    those that were below it.
    """
    with CgroupTree(read_world(), home.cgroup) as tree:
        deadline = time.monotonic() + CLOSE_SECONDS
        while not tree.remove_parent() and time.monotonic() < deadline and not home.has_pods():
            time.sleep(0.005)


class Remover:
    """Removes pods of one state root. The caller holds the pod's lock, and closes the remover."""

    def __init__(self, home: Home, ledger: Ledger, trace: Callable[[str], None] = _ignore) -> None:
        self._home = home
        self._ledger = ledger
        self._trace = trace
        self._tree = CgroupTree(read_world(), home.cgroup)

    def close(self) -> None:
        """Closes the descriptors."""
        self._tree.close()

    def remove(self, pod: PodRecord) -> None:
        """Kills what runs of the pod and removes everything of it. Raises RuntimeFailure for what
        cannot be removed.
        """
        self._trace("mark as removing")
        if pod.stage != REMOVING:
            mark_removing(pod, 0)
            self._ledger.save_pod(pod)
        self._kill(pod.uid)
        self._end_sandbox(pod.uid)
        self._unpublish(pod.uid)
        self._trace("remove files")
        self._remove_tree(self._home.pod_logs(pod.namespace, pod.name, pod.uid))
        self._remove_unfinished(pod)
        self._remove_files(pod.uid)

    def clear_sandbox(self, uid: str) -> None:
        """Removes the kernel objects of a dead sandbox; records, exits, logs and volumes stay."""
        pod, record = self._ledger.pod(uid), self._ledger.sandbox(uid)
        if pod is None or record is None or record.gone:
            return
        note_oom_kills(self._tree, self._ledger, observe(self._home, self._ledger, pod))
        self._end_sandbox(uid)
        record.gone = True
        self._ledger.save_sandbox(record)

    def remove_unrecorded(self, uid: str) -> None:
        """The same as :meth:`remove` for a pod whose record cannot be read. Raises RuntimeFailure
        for what cannot be removed.
        """
        self._kill(uid)
        self._end_sandbox(uid)
        self._unpublish(uid)
        for name in names(self._home.logs):
            if name.endswith(f"_{uid}"):
                self._remove_tree(f"{self._home.logs}/{name}")
        self._remove_files(uid)

    # -- processes ---------------------------------------------------------------------------------

    def _kill(self, uid: str) -> None:
        """SIGKILL to all containers at once. Where there is a grace period the pod's worker has
        stopped them before.
        """
        with contextlib.suppress(CoreError, OSError), sandboxes.connect(self._home, uid) as shim:
            running = [
                p.id
                for p in shim.processes()
                if p.role == Role.CONTAINER and p.state == ProcessState.RUNNING
            ]
            self._trace("kill containers")
            _signal(shim, running, SIGKILL)
            _wait(shim, running, SHUTDOWN_SECONDS)

    def _end_sandbox(self, uid: str) -> None:
        self._disconnect(uid)
        self._trace("end shim")
        self._end_shim(uid)
        self._trace("kill cgroup")
        control.kill(self._tree, uid)
        if not control.wait_empty(self._tree, uid):
            raise RuntimeFailure(
                f"processes of pod {uid} do not end", hint="`kubelite pod down` tries again"
            )
        self._trace("remove network")
        PodNetwork(self._home.run, self._home.key, self._home.lock).remove(uid)
        self._trace("remove cgroups")
        self._tree.remove_pod(uid)

    def _disconnect(self, uid: str) -> None:
        """Before pause ends, which holds the network namespace: some plug-ins look into it for what
        they have to undo on the host.
        """
        path = self._home.attachment(uid)
        if not os.path.lexists(path):
            return
        from kubelite.node.network.cni.attachments import Connection  # most pods have none

        connection = Connection(path, trace=self._trace)
        on_record = connection.read()
        if on_record is not None:
            pid, ticks = on_record.holder
            connection.delete(on_record.netns if start_ticks(pid) == ticks else "")

    def _end_shim(self, uid: str) -> None:
        """Asks the shim to exit; kills it where it does not."""
        with (
            contextlib.suppress(CoreError, TimeoutError, OSError),
            sandboxes.connect(self._home, uid) as shim,
        ):
            shim.shutdown()
        for pid in self._shims(uid):
            kill_and_wait(pid, start_ticks(pid) or 0)

    def _shims(self, uid: str) -> Sequence[int]:
        """The shim of the record, while it is one. All processes are looked through only where the
        record may be incomplete.
        """
        record = self._ledger.sandbox(uid)
        if record is not None and record.shim_pid and record.pause_pid:
            return [record.shim_pid] if _serves(record.shim_pid, uid) else ()
        has_run = os.path.isdir(self._home.pod_run(uid))
        if record is None and not has_run and self._ledger.pod(uid) is not None:
            return ()  # it has had no sandbox since the machine was started
        return find_shims(uid)

    # -- files -------------------------------------------------------------------------------------

    def _unpublish(self, uid: str) -> None:
        """What CSI drivers have published for the pod: its mounts have to go before its files."""
        if not names(paths.records(self._home.root)):
            return
        from kubelite.node.volume.csi import publishing  # few pods have one

        self._trace("unpublish volumes of drivers")
        try:
            publishing.unpublish_all(self._home.root, uid)
        except VolumeError as error:
            raise RuntimeFailure(error.message, hint=error.hint) from error

    def _remove_unfinished(self, pod: PodRecord) -> None:
        """What a killed command left of a claim's directory that it was making."""
        paths = [place.path for place in pod.claimed.values() if place.kind == "provisioned"]
        if paths:
            from kubelite.node.volume import local  # most pods have no claim

            for path in paths:
                local.remove_unfinished(path)

    def _remove_files(self, uid: str) -> None:
        """The pod's record last, and in one step: a directory without its record would belong to no
        pod.
        """
        self._remove_tree(self._home.pod_run(uid))
        base = self._home.pod(uid)
        for name in names(base):
            if name != "pod.json":
                self._remove_tree(f"{base}/{name}")
        self._trace("remove record")
        renamed = self._home.unfinished_pod(uid)
        with contextlib.suppress(FileNotFoundError):
            os.rename(base, renamed)
        self._remove_tree(renamed)

    def _remove_tree(self, path: str) -> None:
        left: list[Left] = remove_tree(path)
        if left:
            raise RuntimeFailure(
                f"{left[0]}" + (f", and {len(left) - 1} more" if len(left) > 1 else ""),
                hint="`kubelite pod down` tries again",
            )


def remove_attempt(base: str, logs: str, name: str, attempt: int) -> None:
    """Removes what only an attempt needed that a later one has followed, and the logs of those
    before it. ``base`` and ``logs`` are the pod's directories. What cannot be removed now goes with
    the pod."""
    remove_tree(f"{base}/root/{name}/{attempt}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{base}/messages/{name}-{attempt}")
    for file in names(f"{logs}/{name}"):
        number = file.partition(".")[0]
        if number.isdigit() and int(number) < attempt:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{logs}/{name}/{file}")


def _serves(pid: int, uid: str) -> bool:
    """Whether this is the pod's shim, or the care command that it has become; never this
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


def _wait(shim: Shim, ids: Sequence[str], seconds: float) -> None:
    """Until these processes have exited, but not longer than ``seconds``."""
    deadline = time.monotonic() + seconds
    questions = [shim.ask_wait(id) for id in ids]
    for seq in questions:
        with contextlib.suppress(TimeoutError, NativeError):
            shim.exited(seq, max(deadline - time.monotonic(), 0))
