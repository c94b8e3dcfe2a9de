"""What goes in and out of containers: exec with and without a terminal, exit codes, logs that lose
nothing.
"""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
import yaml

from tests.e2e.world import SLEEP, World, eventually, kill, pod

LINES = 100_000
FLOOD = (
    f"import sys\nfor n in range({LINES}):\n    print(n)\n"
    "sys.stdout.flush()\nimport time\ntime.sleep(1000)"
)


class Terminal:
    """A person's terminal: a pseudo-terminal with a command on its other side."""

    def __init__(self, world: World, *args: str, rows: int = 40, columns: int = 100) -> None:
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kubelite", *args],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=world.env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.seen = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, text: str, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            ready = select.select([self.master], [], [], max(deadline - time.monotonic(), 0))[0]
            assert ready, f"{text!r} did not come; seen: {self.seen!r}"
            try:
                self.seen += os.read(self.master, 4096).decode(errors="replace")
            except OSError:
                assert text in self.seen, (
                    f"{text!r} did not come before the end; seen: {self.seen!r}"
                )

    def end(self) -> int:
        code = self.process.wait(20)
        os.close(self.master)
        return code


def test_a_terminal_has_a_size_is_resized_and_passes_ctrl_c(world: World) -> None:
    world.up(pod(SLEEP))
    person = Terminal(world, "pod", "exec", "-it", "p", "--", "sh")
    person.type("stty size; tty\n")
    person.expect("40 100")
    person.expect("/dev/pts/0")
    person.resize(25, 61)
    os.killpg(person.process.pid, signal.SIGWINCH)
    person.type("until [ \"$(stty size)\" = '25 61' ]; do sleep 0.1; done; echo re''sized\n")
    person.expect("resized")
    person.type("sleep 4321\n")
    running = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    eventually(lambda: "sleep 4321 " in world.exec("p", running), "the program has the terminal")
    person.type("\x03")  # throws away what was typed before it and not yet read
    person.expect("^C")
    person.type("echo after=$?\n")
    person.expect("after=130")
    person.type("exit 7\n")
    assert person.end() == 7


@pytest.mark.parametrize("redirect", ["1>$0", "1>$0 2>&1"])
def test_a_program_without_output_gets_all_its_input(world: World, redirect: str) -> None:
    """What redirects its output says nothing until it has read its input to the end."""
    world.up(pod(SLEEP))
    process = world.start(
        *("pod", "exec", "-i", "p", "--", "sh", "-c", f"exec {redirect}; cat", "/tmp/kept"),
        stdin=subprocess.PIPE,
    )
    here = "test -e /tmp/kept && echo redirected || true"
    eventually(lambda: world.exec("p", here) == "redirected\n", "it has begun")
    process.communicate(b"a line to keep\n" * 20_000, timeout=60)
    assert process.returncode == 0
    assert world.exec("p", "grep -c keep /tmp/kept") == "20000\n"


def test_a_caller_may_have_left_many_files_open(world: World) -> None:
    """Descriptors above 1023: input, output and both ends of them still pass."""
    world.up(pod(SLEEP))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        process = world.start(
            *("pod", "exec", "-i", "p", "--", "sh", "-c", "cat; exit 4"),
            pass_fds=fds,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    finally:
        for fd in fds:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    text = b"a line that comes back\n" * 20_000
    out, _ = process.communicate(text, timeout=60)
    assert (process.returncode, out) == (4, text)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 42"], 42),
        (["/not/there"], 127),
        (["not-in-the-path"], 127),
        (["/etc/passwd"], 126),
        (["/etc"], 126),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["sh", "-c", "kill -KILL $$"], 137),
    ],
)
def test_exit_codes_of_exec(world: World, command: list[str], code: int) -> None:
    world.up(pod(SLEEP))
    assert world.kl("pod", "exec", "p", "--", *command, check=False).returncode == code


def test_exec_where_kubelite_fails_is_125(world: World) -> None:
    assert world.kl("pod", "exec", "nobody", "--", "true", check=False).returncode == 125
    world.up(pod("exit 0"))
    world.kl("pod", "wait", "p", "--for=exited")
    ended = world.kl("pod", "exec", "p", "--", "true", check=False)
    assert ended.returncode == 125 and "is not running" in ended.stderr
    assert world.kl("pod", "exec", "p", "-c", "nope", "--", "true", check=False).returncode == 125


def test_exec_carries_input_and_both_outputs(world: World) -> None:
    world.up(pod(SLEEP))
    data = os.urandom(1 << 20)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "kubelite",
            "pod",
            "exec",
            "-i",
            "p",
            "--",
            "sh",
            "-c",
            "cat; echo to-stderr >&2",
        ],
        input=data,
        capture_output=True,
        env=world.env,
        timeout=60,
        check=True,
    )
    assert done.stdout == data
    assert done.stderr == b"to-stderr\n"


def test_exec_is_in_the_containers_namespaces_limits_and_identity(world: World) -> None:
    world.up(pod(SLEEP, env=[{"name": "WHO", "value": "me"}], securityContext={"runAsUser": 1234}))
    said = world.exec(
        "p",
        "id -u; echo $WHO; readlink /proc/self/ns/pid "
        "/proc/self/ns/mnt; cut -d: -f3 /proc/self/cgroup | sort -u",
    )
    member = world.inspect("p")["containers"]["c"]["namespaces"]
    assert said.splitlines() == ["1234", "me", member["pid"], member["mnt"], "/"]


def test_logs_keep_partial_lines_streams_and_order(world: World) -> None:
    world.up(
        pod("printf 'no newline'; printf 'a%.0s' $(seq 40000); echo; echo err >&2; printf tail")
    )
    world.kl("pod", "wait", "p", "--for=exited")
    path = Path(world.inspect("p")["containers"]["c"]["log"])
    rows = [row.split(" ", 3) for row in path.read_text().splitlines()]
    said = [(row[2], row[3]) for row in rows if row[1] == "stdout"]
    assert [tag for tag, _ in said] == ["P", "P", "F", "P"]
    assert "".join(text for _, text in said) == "no newline" + "a" * 40000 + "tail"
    assert max(len(text) for _, text in said) == 16384
    assert [row[1:] for row in rows if row[1] == "stderr"] == [["stderr", "F", "err"]]
    assert len(world.logs("p")) == len("no newline") + 40000 + len("\nerr\ntail")


def test_logs_follow_until_the_end(world: World) -> None:
    world.up(pod("for n in 1 2 3 4 5; do echo $n; sleep 0.2; done"))
    followed = world.kl("pod", "logs", "-f", "p").stdout
    assert followed == "1\n2\n3\n4\n5\n"
    assert world.kl("pod", "logs", "p", "--tail", "2").stdout == "4\n5\n"


def test_killing_the_command_while_100000_lines_flow_loses_none_and_doubles_none(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(yaml.safe_dump(pod(command=["python3", "-c", FLOOD])))
    up = world.start("pod", "up", str(path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(
        lambda: world.root.exists() and list(world.root.glob("logs/*/c/0.log")), "the log is there"
    )
    follow = world.start(
        "pod", "logs", "-f", "p", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert follow.stdout is not None
    follow.stdout.read(100)
    for process in (up, follow):
        if process.poll() is None:
            process.kill()
        process.communicate()
    eventually(lambda: world.logs("p").endswith(f"{LINES - 1}\n"), "the last line is there", 60)
    assert [int(line) for line in world.logs("p").split()] == list(range(LINES))


def test_logs_are_rotated_and_none_is_lost_while_the_limit_lasts(world: World) -> None:
    """25 MiB are three files of the five that are kept."""
    script = (
        "import sys\nfor n in range(250_000):\n    sys.stdout.write('%08d' % n + 'x' * 60 + '\\n')"
    )
    world.up(pod(command=["python3", "-c", script]))
    world.kl("pod", "wait", "p", "--for=exited", "--timeout", "60s")
    said = world.logs("p").splitlines()
    assert [int(line[:8]) for line in said] == list(range(250_000))
    live = Path(world.inspect("p")["containers"]["c"]["log"])
    files = sorted(live.parent.iterdir())
    assert len(files) >= 2
    assert all(file.stat().st_size <= (10 << 20) + 65536 for file in files)


def test_a_root_path_of_180_characters(tmp_path: Path) -> None:
    root = tmp_path / "k"
    while len(str(root)) < 180:
        root = root / ("d" * min(50, max(1, 180 - len(str(root)) - 1)))
    root.mkdir(parents=True)
    world = World(root)
    try:
        world.up(
            pod(
                SLEEP,
                spec={"volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}]},
                volumeMounts=[{"name": "m", "mountPath": "/m"}],
            )
        )
        assert world.exec("p", "echo x > /m/x && cat /m/x") == "x\n"
        kill(world.inspect("p")["containers"]["c"]["pid"])
        world.kl("pod", "wait", "p", "--for=exited")
    finally:
        world.kl("pod", "down", "p", "--grace-period", "0")
    assert world.files() == set()


def test_graceful_stop_waits_for_the_program(world: World) -> None:
    world.up(
        pod("trap 'sleep 0.3; echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done")
    )
    eventually(lambda: world.logs("p") == "ready\n", "the trap is set")
    log = Path(world.inspect("p")["containers"]["c"]["log"])
    fd = os.open(log, os.O_RDONLY)
    world.kl("pod", "down", "p", "--grace-period", "20")
    with os.fdopen(fd) as kept:
        assert kept.read().splitlines()[-1].endswith("stdout F bye")


@pytest.mark.parametrize("host_users", [True, False])
def test_a_user_other_than_root_opens_dev_stdout(world: World, host_users: bool) -> None:
    script = "echo out > /dev/stdout; echo err > /dev/stderr"
    spec = {"hostUsers": host_users, "securityContext": {"runAsUser": 1000}}
    world.up(pod(f"{script}; {SLEEP}", spec=spec))
    eventually(lambda: world.logs("p").splitlines() == ["out", "err"], "both lines are logged")
    assert world.exec("p", script) == "out\n"
