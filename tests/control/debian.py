"""Programs out of Debian packages, unpacked where later runs find them again, and etcd as a server
of one test.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

UNPACKED = Path(tempfile.gettempdir()) / f"kubelite-debian-{os.getuid()}"
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "debian"


def debian_binary(package: str, path: str) -> str | None:
    """The program at a path inside a package of the machine's own release; None where apt cannot
    give it.
    """
    folder = UNPACKED / package
    program = folder / path
    for _ in range(2):
        if program.exists():
            return str(program)
        folder.mkdir(parents=True, exist_ok=True)
        for command in (["apt-get", "download", "-q", package], ["sh", "-c", "dpkg -x *.deb ."]):
            if shutil.which(command[0]) is None:
                return None
            subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return str(program) if program.exists() else None


@cache
def trixie_binary(package: str, path: str) -> str | None:
    """The program at a path inside a package of Debian trixie; None where no mirror gives it, or it
    does not run here.
    """
    folder = UNPACKED / f"trixie-{package}"
    if shutil.which("apt-get") is not None:
        subprocess.run(
            [str(SCRIPT), "trixie", str(folder), package],
            capture_output=True,
            check=False,
            timeout=300,
        )
    program = folder / path
    if not program.exists():
        return None
    # Both programs that are taken so know one of these; a C library that is too old ends them
    # before.
    runs = any(
        subprocess.run([str(program), word], capture_output=True).returncode == 0
        for word in ("--version", "help")
    )
    return str(program) if runs else None


def kubectl_of(version: str) -> str:
    """The path of a kubectl: ``old`` is Debian bookworm's 1.20, ``new`` trixie's or the machine's
    own. Skips without one.
    """
    if version == "old":
        found = debian_binary("kubernetes-client", "usr/bin/kubectl")
    else:
        found = trixie_binary("kubectl", "usr/bin/kubectl") or shutil.which("kubectl")
    if found is None:
        pytest.skip(f"no {version} kubectl on this machine")
    return found


@cache
def source_archive(suite: str, package: str) -> Path:
    """The archive that a source package of Debian was made from. Skips without one."""
    folder = UNPACKED / package
    command = [str(SCRIPT), "--source", suite, str(folder), package]
    if shutil.which("apt-get") is not None:
        subprocess.run(command, capture_output=True, check=False, timeout=300)
    for archive in folder.glob("*.orig.tar.*"):
        return archive
    pytest.skip(f"no source package {package} of Debian {suite}")


@cache
def modules_of(*packages: str) -> str:
    """The directory with what packages of Debian trixie have of Python. Skips without them."""
    folder = UNPACKED / f"trixie-{packages[0]}"
    if shutil.which("apt-get") is not None:
        command = [str(SCRIPT), "trixie", str(folder), *packages]
        subprocess.run(command, capture_output=True, check=False, timeout=300)
    if not folder.exists():
        pytest.skip(f"no {' '.join(packages)} of Debian trixie")
    return str(folder / "usr/lib/python3/dist-packages")


@cache
def etcd_program() -> str:
    """The path of an etcd: Debian trixie's, else the machine's own or its release's. Looked up
    once: a server that is started again must not wait for apt. Skips without one.
    """
    program = (
        trixie_binary("etcd-server", "usr/bin/etcd")
        or shutil.which("etcd")
        or debian_binary("etcd-server", "usr/bin/etcd")
    )
    if program is None:
        pytest.skip("no etcd on this machine, and apt has none")
    return program


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class EtcdServer:
    """An etcd that can be killed and started again on its data. ``more`` are options of it."""

    def __init__(self, folder: Path, *more: str, host: str = "127.0.0.1") -> None:
        self._folder = folder
        self._more = more
        self._urls = [f"http://{host}:{port}" for port in free_ports(2)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self._urls[0]

    def start(self) -> None:
        program = etcd_program()
        client, peer = self._urls
        urls = [
            "--listen-client-urls",
            client,
            "--advertise-client-urls",
            client,
            "--listen-peer-urls",
            peer,
        ]
        urls += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        # A member that is alone need not wait long for others before it leads.
        quick = ["--heartbeat-interval", "20", "--election-timeout", "200", "--log-level", "error"]
        command = [program, "--data-dir", str(self._folder / "etcd"), *urls, *quick, *self._more]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 30
        while not self._healthy():
            assert self._process.poll() is None, "etcd has ended"
            assert time.monotonic() < deadline, "etcd is not ready after 30 seconds"
            time.sleep(0.02)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def pause(self) -> None:
        """Stops the process where it is; :meth:`resume` lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def etcd_server(folder: Path, *more: str) -> Iterator[EtcdServer]:
    """An etcd that lives as long as the block."""
    server = EtcdServer(folder, *more)
    server.start()
    try:
        yield server
    finally:
        server.kill()
