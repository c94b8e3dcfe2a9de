"""The sandbox that the containers of a pod share: the shim, pause and the namespaces of pause."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kubelite.core import shim as shims
from kubelite.core.errors import ShimGone
from kubelite.core.plan import Plan, encode
from kubelite.core.protocol import Role
from kubelite.core.shim import Shim
from kubelite.node.runtime.home import Home, boot_id
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.processes import spare_from_oom_kills, start_ticks
from kubelite.node.runtime.records import SandboxRecord


class Starting(NamedTuple):
    """A sandbox whose pause process was requested."""

    shim: Shim
    pidfd: int
    seq: int
    record: SandboxRecord

    def close(self) -> None:
        """Stops waiting; what was started runs on."""
        self.shim.close()
        os.close(self.pidfd)


class Sandbox(NamedTuple):
    """A sandbox that runs. ``netns`` is a descriptor of its network namespace, or -1 where pause
    has the host's.
    """

    shim: Shim
    record: SandboxRecord
    netns: int

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection and the descriptor; the sandbox runs on."""
        self.shim.close()
        if self.netns >= 0:
            os.close(self.netns)


def new_id() -> str:
    """An id for a process of a pod: 64 hexadecimal digits, chosen before anything is started."""
    return os.urandom(32).hex()


def new_record(uid: str, address: str, ipv6: str, host_address: str) -> SandboxRecord:
    """The record of a sandbox that is about to be created."""
    return SandboxRecord(
        uid=uid,
        boot=boot_id(),
        pause=new_id(),
        address=address,
        ipv6=ipv6,
        host_address=host_address,
    )


def open_run(home: Home, uid: str) -> int:
    """A descriptor of the pod's run directory."""
    return os.open(home.pod_run(uid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def begin(
    home: Home,
    ledger: Ledger,
    record: SandboxRecord,
    plan: Plan,
    care: Sequence[str],
    trace: Callable[[str], None],
) -> Starting:
    """Starts the shim, with its care command, and requests pause from it. The record is on disk
    before the shim exists. Raises NativeError, OSError.
    """
    uid = record.uid
    run = home.pod_run(uid)
    make_directory(f"{run}/exits")
    ledger.save_sandbox(record)
    _remove_socket(run)
    trace("launch shim")
    directory, exits = open_run(home, uid), os.open(f"{run}/exits", os.O_RDONLY | os.O_DIRECTORY)
    try:
        pid, pidfd, shim = shims.launch(uid, directory, exits, care)
    finally:
        os.close(directory)
        os.close(exits)
    record.shim_pid = pid
    spare_from_oom_kills(pid)
    trace("start pause")
    seq = shim.ask_start(record.pause, Role.PAUSE, encode(plan))
    return Starting(shim, pidfd, seq, record)


def make_directory(path: str) -> None:
    """Creates a directory that only root may enter, unless an earlier sandbox has."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass


def _remove_socket(run: str) -> None:
    """The socket of a dead shim is in the way of the next one."""
    try:
        os.unlink(f"{run}/shim.sock")
    except FileNotFoundError:
        pass


def finish(starting: Starting) -> Sandbox:
    """Waits until pause runs; :func:`complete` records it. Raises NativeError with the step that
    failed, ShimGone.
    """
    started, fds = starting.shim.started(starting.seq, timeout=30)
    os.close(starting.pidfd)
    record = starting.record
    record.pause_pid, record.pause_ticks = started.pid, started.start_ticks
    record.started_at = started.started_at or time.time_ns()
    return Sandbox(starting.shim, record, fds[0] if fds else -1)


def complete(ledger: Ledger, sandbox: Sandbox) -> None:
    """Records that the sandbox is ready for containers: from now on it counts as up."""
    ledger.save_sandbox(sandbox.record)


def join(home: Home, record: SandboxRecord) -> Sandbox:
    """Connects to a running sandbox. Raises ShimGone."""
    return Sandbox(connect(home, record.uid), record, -1)


def connect(home: Home, uid: str) -> Shim:
    """A connection to the shim of a pod. Raises ShimGone."""
    try:
        directory = open_run(home, uid)
    except FileNotFoundError as error:
        raise ShimGone("the pod has no shim") from error
    try:
        return shims.connect(directory)
    finally:
        os.close(directory)


def is_up(home: Home, record: SandboxRecord | None) -> bool:
    """Whether pause of this sandbox runs."""
    return (
        record is not None
        and not record.gone
        and start_ticks(record.pause_pid) == record.pause_ticks != 0
    )
