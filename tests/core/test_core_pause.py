"""Pause: how small it is, what it reaps, and when it leaves."""

from __future__ import annotations

import os
import platform
import re
import signal
from pathlib import Path

import pytest

import kubelite
from kubelite.core.plan import Flag, Namespace
from kubelite.node.runtime.processes import start_ticks
from tests.core.shimworld import PAUSE, SHARED, World, until

PROGRAM = Path(kubelite.__file__).parent / "bin" / "kubelite-pause"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_pause_is_smaller_than_a_kilobyte() -> None:
    size = PROGRAM.stat().st_size
    print(f"pause on {platform.machine()}: {size} bytes")
    assert size < 1024
    assert PROGRAM.read_bytes()[:4] == b"\x7fELF"
    assert os.access(PROGRAM, os.X_OK)


def resident(pid: int) -> int:
    """Kilobytes of memory that are a process' alone or its share, from the kernel's sum over its
    mappings.
    """
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Rss: +(\d+) kB$", text, re.M)[1])  # type: ignore[index]


@needs_root
def test_pause_has_at_most_four_pages_resident(tmp_path: Path) -> None:
    with World(str(tmp_path)) as world:
        pid = world.pause().pid
        until(lambda: Path(f"/proc/{pid}/comm").read_text() == "pause\n")  # its second system call
        pages = resident(pid) * 1024 // os.sysconf("SC_PAGE_SIZE")
        print(f"pause: {pages} pages resident")
        assert 1 <= pages <= 4


@needs_root
def test_pause_holds_no_capability_no_file_and_an_empty_root(tmp_path: Path) -> None:
    with World(str(tmp_path)) as world:
        pid = world.pause().pid
        status = Path(f"/proc/{pid}/status").read_text()
        assert re.findall(r"^Cap(?:Eff|Prm|Inh|Bnd|Amb):\t(\w+)$", status, re.M) == ["0" * 16] * 5
        assert "NoNewPrivs:\t1" in status
        assert os.listdir(f"/proc/{pid}/root/") == []
        assert os.listdir(f"/proc/{pid}/fd") == []


@needs_root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_pause_leaves_when_it_is_told_to_and_ignores_the_rest(
    tmp_path: Path, number: signal.Signals
) -> None:
    with World(str(tmp_path)) as world:
        pid = world.pause(PAUSE._replace(new_ns=PAUSE.new_ns | Namespace.PID)).pid
        for other in (signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE):
            os.kill(pid, other)
        seq = world.shim.ask_wait(world.pause_id)
        assert start_ticks(pid)
        os.kill(pid, number)
        exit = world.shim.exited(seq, 10)
        assert (exit.code, exit.signal) == (0, 0)


@needs_root
def test_pause_reaps_the_orphans_of_a_shared_process_namespace(tmp_path: Path) -> None:
    with World(str(tmp_path)) as world:
        pause = world.pause(PAUSE._replace(new_ns=PAUSE.new_ns | Namespace.PID))
        script = "for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.0$i & ); done; echo started; sleep 1000"
        plan = world.plan(
            "sh", "-c", script, new_ns=Namespace.MOUNT, join_ns=SHARED | Namespace.PID
        )
        id = world.start(plan)
        until(lambda: len(world.log()) == 1)
        members = Path(f"/proc/{pause.pid}/task/{pause.pid}/children")
        until(lambda: members.read_text() == "")
        container = next(p.pid for p in world.shim.processes() if p.id == id)
        inside = Path(f"/proc/{container}/status").read_text()
        assert int(re.search(r"^NSpid:.*\t(\d+)$", inside, re.M)[1]) > 1  # type: ignore[index]
        assert start_ticks(pause.pid) == pause.start_ticks


@needs_root
def test_a_pod_without_namespaces_of_its_own_has_a_pause_too(tmp_path: Path) -> None:
    with World(str(tmp_path)) as world:
        plan = PAUSE._replace(new_ns=Namespace.MOUNT, hostname="", flags=Flag.CAPS)
        pid = world.pause(plan).pid
        assert os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
