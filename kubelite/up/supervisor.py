"""The processes of a cluster on one machine, and who watches over them.

``kubelite up`` starts one supervisor in the background. It keeps two children running, the server
and the node agent: one that dies is started again, with a growing delay while it keeps dying. State
lies in ``<root>/cluster/<name>/``: the supervisor's record, the children's logs, the kubeconfig.
The server is started first, then the node; they are stopped in reverse. Killing anything at any
moment is safe: pods run on, and `kubelite up` finds what is there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from kubelite.lib.files import RecordError, read_record, write_record
from kubelite.node.dns.sockets import Sockets, open_sockets
from kubelite.node.runtime.processes import start_ticks
from kubelite.up import kept_sockets

FIRST_DELAY, MAX_DELAY, STEADY_SECONDS = 0.2, 10.0, 30.0
MAX_LOG_BYTES = 4 << 20
STOP_SECONDS = 15.0
RECORD = "supervisor.json"
NODE = "node"
"""The child that is handed the name server's sockets."""


class ChildRecord(msgspec.Struct, kw_only=True):
    """One child: what it is called, its command line, and its process."""

    name: str
    command: list[str]
    pid: int = 0
    ticks: int = 0
    restarts: int = 0


class ClusterRecord(msgspec.Struct, kw_only=True):
    """The supervisor of a cluster and its children. A pid and its start time name a process."""

    version: int = 1
    pid: int
    ticks: int
    port: int
    children: list[ChildRecord]


class Directory(NamedTuple):
    """Where a cluster keeps its files."""

    path: str

    @property
    def record(self) -> str:
        """The supervisor's record."""
        return f"{self.path}/{RECORD}"

    @property
    def kubeconfig(self) -> str:
        """The administrator's kubeconfig."""
        return f"{self.path}/kubeconfig"

    @property
    def boot(self) -> str:
        """How many milliseconds the start took, as a decimal number."""
        return f"{self.path}/boot"

    def log(self, name: str) -> str:
        """The log of a child."""
        return f"{self.path}/{name}.log"


def read_cluster(directory: Directory) -> ClusterRecord | None:
    """The record of a cluster whose supervisor runs, else None."""
    try:
        record = read_record(directory.record, ClusterRecord)
    except (FileNotFoundError, RecordError):
        return None
    return record if is_alive(record.pid, record.ticks) else None


def is_alive(pid: int, ticks: int) -> bool:
    """Whether exactly this process runs."""
    return pid > 0 and start_ticks(pid) == ticks


def start_supervisor(
    directory: Directory, port: int, commands: Mapping[str, Sequence[str]]
) -> None:
    """Starts the supervisor in the background, in a session of its own. Raises OSError."""
    os.makedirs(directory.path, 0o700, exist_ok=True)
    plan = msgspec.json.encode({"port": port, "commands": commands}).decode()
    with open(directory.log("supervisor"), "ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "kubelite.up.supervisor", directory.path, plan],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def stop_cluster(directory: Directory) -> bool:
    """Ends supervisor and children and waits for it; pods run on. False where none ran.

    Raises TimeoutError when they do not end.
    """
    record = read_cluster(directory)
    if record is None:
        return False
    os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while is_alive(record.pid, record.ticks):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the supervisor (pid {record.pid}) does not end")
        time.sleep(0.01)
    return True


class Supervisor:
    """Keeps the children of a cluster running until SIGTERM."""

    def __init__(self, directory: Directory, port: int, commands: dict[str, list[str]]) -> None:
        self._directory = directory
        self._children = [ChildRecord(name=name, command=c) for name, c in commands.items()]
        pid = os.getpid()
        self._record = ClusterRecord(
            pid=pid, ticks=start_ticks(pid) or 0, port=port, children=self._children
        )
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._due: dict[str, float] = {}
        self._delay: dict[str, float] = {}
        self._began: dict[str, float] = {}
        self._sockets = _name_server_sockets()

    def run(self) -> None:
        """Returns after SIGTERM or SIGINT, when all children have ended."""
        signals = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        for child in self._children:
            self._start(child)
        while True:
            received = signal.sigtimedwait(signals, self._wait_seconds())
            if received is not None and received.si_signo != signal.SIGCHLD:
                break
            self._reap()
            for child in self._children:
                if 0 < self._due.get(child.name, 0) <= time.monotonic():
                    self._start(child)
        self._end()

    def _wait_seconds(self) -> float:
        due = [moment for moment in self._due.values() if moment > 0]
        return max(min(due) - time.monotonic(), 0) if due else 3600.0

    def _start(self, child: ChildRecord) -> None:
        self._due[child.name] = 0
        path = self._directory.log(child.name)
        # A thread of the node for each pod: an arena each would hold more than they use.
        environment, kept = {**os.environ, "MALLOC_ARENA_MAX": "1"}, []
        if child.name == NODE and self._sockets is not None:
            environment |= kept_sockets.environment(self._sockets)
            kept = [part.fileno() for part in self._sockets]
        _rotate(path)
        with open(path, "ab") as log:
            process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=kept,
                preexec_fn=_unblock_signals,
            )
        self._processes[child.name] = process
        self._began[child.name] = time.monotonic()
        child.pid, child.ticks = process.pid, start_ticks(process.pid) or 0
        self._save()

    def _reap(self) -> None:
        for child in self._children:
            process = self._processes.get(child.name)
            if process is None or process.poll() is None:
                continue
            del self._processes[child.name]
            lived = time.monotonic() - self._began[child.name]
            delay = self._delay.get(child.name, FIRST_DELAY) if lived < STEADY_SECONDS else 0
            delay = max(delay, FIRST_DELAY)
            self._delay[child.name] = min(delay * 2, MAX_DELAY)
            self._due[child.name] = time.monotonic() + delay
            child.pid = child.ticks = 0
            child.restarts += 1
            text = f"{child.name} ended with {process.returncode}, next start in {delay:.1f} s"
            print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text, flush=True)
            self._save()

    def _end(self) -> None:
        """The node agent first: what it still has to say needs a server that listens."""
        for child in reversed(self._children):
            process = self._processes.get(child.name)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(STOP_SECONDS / 2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        os.unlink(self._directory.record)

    def _save(self) -> None:
        write_record(self._directory.record, self._record, durable=False)


def _name_server_sockets() -> Sockets | None:
    """Kept here, so that no question is lost while the node is started again; a node that gets none
    opens its own.
    """
    try:
        return open_sockets("127.0.0.1", 0)
    except OSError as error:
        print(f"the node opens its name server's sockets itself: {error}", flush=True)
        return None


def _unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def _rotate(path: str) -> None:
    """Keeps one older log beside a log that has grown too long."""
    try:
        if os.path.getsize(path) > MAX_LOG_BYTES:
            os.rename(path, f"{path}.1")
    except FileNotFoundError:
        return


if __name__ == "__main__":
    settings = msgspec.json.decode(sys.argv[2])
    Supervisor(Directory(sys.argv[1]), settings["port"], settings["commands"]).run()
