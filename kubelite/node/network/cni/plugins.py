"""Runs CNI plug-ins, one at a time for each pod.

A plug-in may outlive a killed process of ours. It then still holds the lock it was started under,
and so do the programs that it has started: whoever continues waits for them first, and cannot undo
what they are about to do.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from kubelite.node.network.cni import results
from kubelite.node.network.cni.config import Choice, Network, choose
from kubelite.node.network.errors import PluginFailed

TIMEOUT = 60.0
"""Seconds that a plug-in has; the kubelet gives the whole of a sandbox twice as many."""
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POLL_SECONDS = 0.01


def read_network(directory: str) -> Choice:
    """The network that a directory of configuration asks for. Raises PluginFailed."""
    try:
        files = {
            entry.name: _read(entry.path) for entry in os.scandir(directory) if entry.is_file()
        }
    except OSError as error:
        raise PluginFailed(
            f"the CNI configuration in {directory} cannot be read: {error.strerror}",
            hint="--cni-conf-dir names the directory, often /etc/cni/net.d",
        ) from None
    return choose(directory, files)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def find(network: Network, kind: str, bin: str) -> str:
    """The program of a plug-in. Raises PluginFailed."""
    for directory in bin.split(":"):
        path = f"{directory}/{kind}"
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise PluginFailed(
        f"CNI plug-in {kind} of network {network.name} ({network.path}) is not in {bin}",
        hint="Debian's package containernetworking-plugins has the usual ones; --cni-bin-dir names "
        "their directory",
    )


@contextmanager
def hold(directory: str, *, exclusive: bool) -> Iterator[None]:
    """Keeps GC and ADD of one configuration apart, in whatever state roots: GC would take for
    garbage what an ADD has made since the attachments were listed. Raises OSError.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


@contextmanager
def pod_lock(path: str, seconds: float = TIMEOUT) -> Iterator[int]:
    """The lock that plug-ins of one pod run under: a descriptor for :func:`run`. One that somebody
    holds for longer than a plug-in may run is no plug-in's any more, and is not waited for.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while not _lock(fd) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        yield fd
    finally:
        os.close(fd)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def run(
    network: Network,
    program: str,
    variables: Mapping[str, str],
    config: Mapping[str, Any],
    *,
    lock: int | None = None,
    timeout: float = TIMEOUT,
) -> bytes:
    """What the plug-in prints. Raises PluginFailed when it fails, or takes longer than ``timeout``
    seconds: then it is killed with all that it has started.
    """
    kind, command = os.path.basename(program), variables["CNI_COMMAND"]
    environment = {"PATH": _SYSTEM_PATH, **os.environ, **variables}
    try:
        process = subprocess.Popen(
            [program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/",
            pass_fds=() if lock is None else (lock,),
            start_new_session=True,
        )
    except OSError as error:
        raise PluginFailed(f"CNI plug-in {program} cannot be run: {error.strerror}") from None
    with process:
        try:
            output, log = process.communicate(msgspec.json.encode(config), timeout)
        except subprocess.TimeoutExpired:
            raise PluginFailed(
                f"CNI plug-in {kind} of network {network.name} has not answered to {command} "
                f"within {timeout:g} s"
            ) from None
        finally:
            if process.returncode is None:  # also where somebody interrupts us
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise results.failure(network, kind, command, output, log)
    return output
