"""A snapshot of the host sees what kubelite could leave, and only what concerns the root that is
asked for.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kubelite.core import native
from kubelite.node.cgroup.detect import read_world
from kubelite.node.network import nftables
from kubelite.testing.host import difference, snapshot
from kubelite.testing.netns import NetworkNamespace

if os.geteuid() != 0:
    pytest.skip("mounts, cgroups and interfaces need root", allow_module_level=True)


def key_of(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:8]


@contextmanager
def interface(root: Path) -> Iterator[None]:
    native.net_bridge(f"kl-{key_of(root)}", 0xC0000201, 24)
    yield
    native.net_delete(f"kl-{key_of(root)}")


@contextmanager
def table(root: Path) -> Iterator[None]:
    nftables.run(f"create table ip kubelite-{key_of(root)}")
    yield
    nftables.run(f"delete table ip kubelite-{key_of(root)}")


@contextmanager
def cgroup(root: Path) -> Iterator[None]:
    group = f"{read_world().in_use[0].mount_point}/kubelite-{key_of(root)}"
    os.makedirs(f"{group}/pod")
    yield
    os.rmdir(f"{group}/pod")
    os.rmdir(group)


@contextmanager
def mount(root: Path) -> Iterator[None]:
    (root / "m").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", root / "m"], check=True)
    yield
    subprocess.run(["umount", root / "m"], check=True)


@contextmanager
def shim(root: Path) -> Iterator[None]:
    """A process that looks like a shim, and a child of it."""
    script = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); print('x', flush=True);"
        "sys.stdin.read(); child.kill(); child.wait()"
    )
    command = ["kubelite-shim", "-c", script, str(root), "uid"]
    with subprocess.Popen(
        command, executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"x\n"
        yield
        process.communicate()


@contextmanager
def pause(root: Path) -> Iterator[None]:
    """A process that looks like a pause whose shim has been killed, in the cgroup of its pod."""
    program = os.memfd_create("kubelite-pause")
    with os.fdopen(program, "wb", closefd=False) as file:
        file.write(Path("/bin/sleep").resolve().read_bytes())
    with cgroup(root):
        group = f"{read_world().in_use[0].mount_point}/kubelite-{key_of(root)}/pod"
        command = ["pause", "60"]
        with subprocess.Popen(
            command, executable=f"/proc/self/fd/{program}", pass_fds=[program]
        ) as process:
            Path(group, "cgroup.procs").write_text(str(process.pid))
            yield
            process.kill()
    os.close(program)


LEFT = {interface: 2, table: 1, cgroup: 2, mount: 1, shim: 2, pause: 3}


@pytest.fixture(autouse=True)
def host() -> Iterator[None]:
    with NetworkNamespace() as space, space.inside():
        yield


@pytest.mark.parametrize("leave", LEFT, ids=lambda leave: leave.__name__)
def test_what_is_left_is_seen_by_its_root_and_not_by_another(leave: object, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    before, before_theirs = snapshot(ours), snapshot(theirs)
    with ExitStack() as stack:
        stack.enter_context(leave(ours))  # type: ignore[operator]
        found = difference(before, snapshot(ours))
        assert len(found) == LEFT[leave] and all(line.startswith("left: ") for line in found), found  # type: ignore[index]
        assert difference(before_theirs, snapshot(theirs)) == []
        everything = snapshot()
        assert all(line.removeprefix("left: ") in everything for line in found)
    assert difference(before, snapshot(ours)) == []


def test_what_is_gone_or_changed_is_seen(tmp_path: Path) -> None:
    # A new namespace takes the value of the machine, which may forward.
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    native.net_bridge("up0", 0xC0000201, 24)
    before = snapshot(tmp_path)
    native.net_delete("up0")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    found = difference(before, snapshot(tmp_path))
    assert "gone: interface up0" in found
    assert "left: ip_forward 1" in found and "gone: ip_forward 0" in found


def test_a_namespace_has_a_loopback_that_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(2)
        with socket.create_connection(server.getsockname(), 2), server.accept()[0]:
            pass
