"""Attacks over time: pids that come round again, streams without end, text that steers a
terminal.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from kubelite.cli.common import diagnostic as words
from kubelite.core import protocol
from kubelite.node.runtime.exec import command
from tests.attack.arena import SLEEP, TREE, Arena, pod

GROWTH = 1 << 20
"""Bytes by which a process may grow and still be called flat."""
QUEUE_MOST = 8 << 20
"""What 4 MiB of answers, which a shim keeps for one connection before it closes it, take at most.
"""


def resident(pid: int) -> int:
    """Bytes of anonymous memory that a process holds."""
    return int(re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) << 10  # type: ignore[index]


def shim_of(arena: Arena) -> int:
    return int(arena.pods.queries.inspect("default", "p")["sandbox"]["shim"])


def run(arena: Arena, *args: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The command line on the arena's home."""
    env = {**os.environ, "KUBELITE_ROOT": str(arena.root), "PYTHONPATH": str(TREE), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "kubelite", *args],
        env=env,
        capture_output=True,
        timeout=60,
        **options,
    )


# -- pids that come round again --------------------------------------------------------------------

REUSE = """
import os, signal, sys, time
from pathlib import Path
from kubelite.node.runtime import removal
from tests.attack.arena import Arena, pod
arena = Arena(Path(sys.argv[1]) / "k", Path())
arena.home.make()
arena.up(pod())
seen = arena.pods.queries.inspect("default", "p")
shim, container = seen["sandbox"]["shim"], seen["containers"]["c"]["pid"]
if sys.argv[2] == "careless":
    removal._serves = lambda pid, uid: os.path.exists(f"/proc/{pid}")
os.kill(shim, signal.SIGKILL)
deadline = time.monotonic() + 20
while any(os.path.exists(f"/proc/{pid}") for pid in (shim, container)):
    os.waitpid(-1, os.WNOHANG)
    assert time.monotonic() < deadline
    time.sleep(0.01)
strangers = {}
for pid in sorted((shim, container)):
    while True:
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(pid - 1))
        made = os.fork()
        if made == 0:
            signal.pause()
        if made == pid:
            break
        os.kill(made, signal.SIGKILL)
        os.waitpid(made, 0)
        assert time.monotonic() < deadline
    strangers[pid] = made
arena.down()
dead = [pid for pid in strangers if os.waitpid(pid, os.WNOHANG) != (0, 0)]
print("strangers", len(strangers), "killed", len(dead))
for pid in set(strangers) - set(dead):
    os.kill(pid, signal.SIGKILL)
"""


@pytest.mark.parametrize(("how", "killed"), [("careful", "0"), ("careless", "1")])
def test_a_stranger_with_the_pid_of_the_dead_is_left_alone(
    tmp_path: Path, how: str, killed: str
) -> None:
    """The shim and the container die; two programs that have nothing to do with them are given
    their pids; the pod is taken down.
    """
    space = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount"]
    done = subprocess.run(
        [*space, sys.executable, "-c", REUSE, str(tmp_path), how],
        cwd=TREE,
        env={**os.environ, "PYTHONPATH": str(TREE)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.stdout.split() == ["strangers", "2", "killed", killed], done.stderr


# -- streams without end (CVE-2022-31030, CVE-2022-1708, CVE-2022-23471, CVE-2025-64329) -----------


def test_what_an_exec_says_without_end_stays_nowhere(arena: Arena) -> None:
    arena.up(pod())
    shim = shim_of(arena)
    before = resident(shim)
    with arena.pods.exec("default", "p", "c", ["yes"]) as session:
        time.sleep(1)  # nobody reads: the program has to wait
        idle = resident(shim)
        said = 0
        while said < 32 << 20:
            got = session.read()
            assert not isinstance(got, int)
            said += len(got[1])
        assert max(idle, resident(shim)) - before < GROWTH


def test_what_a_probe_says_without_end_is_cut(arena: Arena) -> None:
    from kubelite.node.cgroup.detect import read_world
    from kubelite.node.cgroup.tree import CgroupTree
    from kubelite.node.runtime.ledger import Ledger

    arena.up(pod())
    ledger = Ledger(arena.home)
    record = ledger.find("default", "p")
    assert record is not None
    (container,) = ledger.containers(record.uid)
    with CgroupTree(read_world(), arena.home.cgroup) as tree:
        ran = command.run(arena.home, tree, record.uid, container, ["yes"], 1)
    assert ran.code is None
    assert len(ran.output) == command.MAX_OUTPUT


def test_ten_thousand_sizes_of_a_terminal_leave_nothing(arena: Arena) -> None:
    arena.up(pod())
    shim = shim_of(arena)
    with arena.pods.exec("default", "p", "c", ["sleep", "60"], tty=True) as session:
        before = resident(shim)
        for turn in range(10_000):
            session.resize(20 + turn % 50, 80)
        assert int(arena.exec("echo 1")) == 1  # all of them have been read by now
        assert resident(shim) - before < GROWTH


def test_a_thousand_attached_readers_leave_nothing(arena: Arena) -> None:
    arena.up(pod("while :; do echo word; sleep 0.01; done", stdin=True))
    shim = shim_of(arena)
    before, files = resident(shim), len(os.listdir(f"/proc/{shim}/fd"))
    for turn in range(1_000):
        session = arena.pods.attach("default", "p", "c", stdin=bool(turn % 2))
        if turn % 10 == 0:
            session.read()
        session.close()
    deadline = time.monotonic() + 10
    while len(os.listdir(f"/proc/{shim}/fd")) > files and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(os.listdir(f"/proc/{shim}/fd")) <= files
    assert resident(shim) - before < GROWTH


def test_a_caller_that_asks_without_reading_is_not_waited_for(arena: Arena) -> None:
    """Questions by the thousand whose answers nobody takes: the shim closes on it, and serves
    others meanwhile.
    """
    arena.up(pod())
    shim = shim_of(arena)
    before = resident(shim)
    directory = os.open(
        f"{arena.home.run}/pods/{arena.pods.queries.get('default', 'p').metadata.uid}", os.O_PATH
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as greedy:
        greedy.connect(f"/proc/self/fd/{directory}/shim.sock")
        greedy.settimeout(2)
        try:
            for turn in range(60_000):
                greedy.send(protocol.pack(protocol.Message.STATE, turn + 1, b""))
        except OSError:
            pass
        assert arena.exec("echo served") == "served\n"
        assert resident(shim) - before < QUEUE_MOST + GROWTH
    os.close(directory)


# -- terminals -------------------------------------------------------------------------------------

EVIL = r"\033]0;owned\007\033[2J"
HIDDEN = r"\302\2332J\342\200\256\342\200\213"  # C1, bidirectional and of no width


def test_control_codes_reach_the_screen_only_through_logs(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = f"printf '{EVIL}{HIDDEN}' > /dev/termination-log"
    arena.up(pod(f"printf '{EVIL}said'; {last}; exit 3"))
    arena.pods.queries.wait("default", "p", "exited", 20)
    assert b"\x1b]0;owned\x07\x1b[2Jsaid" in run(arena, "pod", "logs", "p").stdout, (
        "a log is what was said, byte by byte"
    )
    seen = b""
    for args in (
        ["pod", "inspect", "p"],
        ["pod", "ls"],
        ["pod", "ls", "-o", "wide"],
        ["pod", "events", "p"],
        ["pod", "wait", "p"],
    ):
        done = run(arena, *args)
        seen += done.stdout + done.stderr
        text = (done.stdout + done.stderr).decode()
        assert text.replace("\n", "").isprintable(), (args, text)
    assert b"owned" in seen, "the message is shown"
    done = run(arena, "pod", "exec", "p\x1b]0;x\x07\u202e", "true")
    assert done.returncode != 0
    assert done.stderr.decode().replace("\n", "").isprintable()
    assert words.cell("\x1b]0;x\x07\n") == "\\x1b]0;x\\x07\\n"


TYPE = """
import fcntl, sys
for name in ("/proc/self/fd/0", "/proc/self/fd/1", "/dev/tty", "/dev/console",
             "/dev/pts/0", "/dev/pts/1"):
    try:
        with open(name, "rb", buffering=0) as file:
            for each in b"touch /tmp/typed\\n":
                fcntl.ioctl(file, 0x5412, bytes([each]))
            fcntl.ioctl(file, 0x541C, b"\\x03")
            print("typed into", name)
    except OSError:
        pass
"""
BESIDE = """
import fcntl, os, sys
os.setsid()
fcntl.ioctl(0, 0x540E, 0)
os.system(sys.argv[1])
"""


def waiting(terminal: int) -> int:
    """Bytes of input that a terminal holds."""
    return int.from_bytes(fcntl.ioctl(terminal, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


@pytest.mark.parametrize("tty", [False, True])
def test_nothing_is_typed_into_the_terminal_of_whoever_calls(arena: Arena, tty: bool) -> None:
    """TIOCSTI: the caller has a terminal of its own, and a program inside tries every one that it
    can name.
    """
    if Path("/proc/sys/dev/tty/legacy_tiocsti").read_text().strip() != "1":
        pytest.skip("this kernel knows no TIOCSTI")
    master, slave = pty.openpty()
    settings = termios.tcgetattr(slave)
    settings[3] &= ~termios.ECHO & ~termios.ICANON
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    env = {**os.environ, "KUBELITE_ROOT": str(arena.root), "PYTHONPATH": str(TREE)}
    typed = []
    arena.up(pod())
    inside = [
        "-m",
        "kubelite",
        "pod",
        "exec",
        *(["-t"] if tty else []),
        "p",
        "--",
        "python3",
        "-c",
        TYPE,
    ]
    for args in (["-c", TYPE], inside):
        line = shlex.join([sys.executable, *args]) + " < /dev/null > /dev/null 2>&1" * (not tty)
        done = subprocess.run(
            [sys.executable, "-c", BESIDE, line],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            timeout=60,
        )
        assert done.returncode == 0
        typed.append(waiting(slave))
        termios.tcflush(slave, termios.TCIFLUSH)
    os.close(master)
    os.close(slave)
    assert typed[0] > 0, "a program beside the caller can do it"
    assert typed[1] == 0


def test_a_shim_has_no_terminal_to_give_away(arena: Arena) -> None:
    arena.up(pod())
    for pid in (shim_of(arena), arena.pid()):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        assert fields[4] == "0", "tty_nr"
        assert fields[3] != str(os.getsid(0)), "session"


def test_values_of_the_environment_are_written_nowhere_but_in_the_record(arena: Arena) -> None:
    env = [{"name": "PASSWORD", "value": "kubelite-swordfish"}]
    done = run(arena, "pod", "up", "-", input=json.dumps(pod(SLEEP, env=env)).encode())
    assert done.returncode == 0, done.stderr
    arena.exec("true")
    said = done.stdout + done.stderr + run(arena, "pod", "events", "p").stdout
    assert b"swordfish" not in said
    logs = [path for path in arena.root.rglob("*.log") if path.is_file()]
    assert logs
    assert not any(b"swordfish" in path.read_bytes() for path in logs)
    with_it = [path for path in arena.root.rglob("*.json") if b"swordfish" in path.read_bytes()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in with_it)
