"""Programs out of Debian packages, unpacked where later runs find them again, and etcd as a server of one test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def debian_binary(package: str, path: str) -> str | None:
    """The program at a path inside a package; None where apt cannot give it."""
    folder = Path(tempfile.gettempdir()) / f"kubelite-debian-{os.getuid()}" / package
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


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start_etcd(folder: Path, ports: list[int]) -> subprocess.Popen[bytes]:
    """etcd with its data in a folder; started again on the same folder it goes on."""
    program = shutil.which("etcd") or debian_binary("etcd-server", "usr/bin/etcd")
    if program is None:
        pytest.skip("no etcd on this machine, and apt has none")
    client, peer = (f"http://127.0.0.1:{port}" for port in ports)
    urls = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
    urls += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
    command = [program, "--data-dir", str(folder / "etcd"), *urls, "--log-level", "error"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"{client}/health", timeout=1) as answer:
                if answer.status == 200:
                    return server
        except OSError:
            assert server.poll() is None, "etcd has ended"
            assert time.monotonic() < deadline, "etcd is not ready after 20 seconds"
            time.sleep(0.05)


@contextmanager
def etcd_server(folder: Path) -> Iterator[str]:
    """The URL of an etcd that lives as long as the block."""
    ports = free_ports(2)
    server = start_etcd(folder, ports)
    try:
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        server.kill()
        server.wait()
