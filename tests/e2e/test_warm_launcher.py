"""The installed command with a warm process and without one: the same to the last byte, whatever
ends in between.
"""

from __future__ import annotations

import fcntl
import os
import pty
import shlex
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.launcher import TREE, Answer, Launcher, children, without_times
from tests.e2e.world import SLEEP, TIMEOUT, World, alive, eventually, pod, world

__all__ = ["world"]


@pytest.fixture
def launcher(tmp_path: Path, world: World) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path / "bin", world)
    yield launcher
    launcher.stop_warm()


@pytest.fixture
def running(launcher: Launcher, world: World) -> Iterator[Launcher]:
    """A pod ``p`` runs, and a warm process."""
    world.up(pod(SLEEP))
    launcher.start_warm()
    yield launcher
    world.down("p")


LINES = [
    "pod ls -o name",
    "pod ls -o json",
    "pod ls -n other",
    "pod ls --no-such-option",
    "pod logs p",
    "pod logs nobody",
    "pod exec p -- sh -c 'echo out; echo err >&2; exit 7'",
    "pod exec p -- no-such-program",
    "pod check missing.yaml",
    "pod check pod.yaml",
    "pod events p -o json",
    "pod top p -o json --no-such",
    "image ls",
    "explain nothing",
    "version --no-such",
    "--version",
    "pods -o name",
]


def test_every_command_answers_the_same_to_the_last_byte(running: Launcher, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: Bad}\n")
    for line in LINES:
        words = shlex.split(line)
        warm = running.run(*words, cwd=tmp_path)
        cold = running.run(*words, cwd=tmp_path, env=running.cold)
        assert warm == cold, line


CHANGES = [
    "pod up q.yaml",
    "pod up q.yaml",
    "pod update q c --env A=1",
    "pod wait q",
    "pod logs q",
    "pod exec q -- sh -c 'echo changed > /tmp/a; cat /tmp/a; exit 9'",
    "pod cp q:/tmp/a copied",
    "pod cp copied q:/tmp/b",
    "pod cp q:/tmp/missing nothing",
    "pod pause q",
    "pod unpause q",
    "pod restart q",
    "pod kill q --signal TERM",
    "pod wait q --for=exited",
    "pod start q",
    "pod stop q",
    "pod prune",
    "pod down q",
    "pod up -",
    "pod run --rm -i host -- sh -c 'cat; echo err >&2; exit 5'",
    "pod run --rm host -- no-such-program",
    "image tag nothing other",
    "pod up missing.yaml",
]


def test_every_change_answers_the_same_to_the_last_byte(running: Launcher, tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text(yaml.safe_dump(pod(SLEEP, name="q")))

    def story(env: dict[str, str]) -> list[tuple[str, Answer]]:
        return [
            (line, without_times(running.run(*shlex.split(line), cwd=tmp_path, env=env)))
            for line in CHANGES
        ]

    assert running.warm is not None
    place = Path(f"/proc/{running.warm.pid}")
    waiting_child(running)
    descriptors = len(os.listdir(place / "fd"))
    assert story(running.env) == story(running.cold)
    assert running.answering() == running.warm.pid
    eventually(
        lambda: not running.children() and len(os.listdir(place / "fd")) <= descriptors,
        "the warm process holds what it held",
    )


def test_a_command_runs_below_the_warm_process(running: Launcher) -> None:
    process = running.start("pod", "exec", "-i", "p", "--", "cat", stdin=-1, stdout=-1)
    eventually(running.children, "a child of the warm process")
    out, _ = process.communicate(b"through\n", timeout=TIMEOUT)
    assert (process.returncode, out) == (0, b"through\n")
    eventually(lambda: not running.children(), "its end")


def test_directory_mask_variables_and_closed_streams_are_the_callers(
    running: Launcher, tmp_path: Path
) -> None:
    script = f"umask 027; cd {tmp_path}; ulimit -n 99; exec {running.path} pod logs -f p"
    process = subprocess.Popen(["sh", "-c", script], env=running.env)
    (child,) = eventually(running.children, "the command")
    place = Path(f"/proc/{child}")
    eventually(lambda: (place / "cwd").readlink() == tmp_path, "its directory")
    assert "Umask:\t0027" in (place / "status").read_text()
    limit = next(line for line in (place / "limits").read_text().splitlines() if "files" in line)
    assert limit.split()[3:5] == ["99", "99"]
    assert os.sched_getscheduler(child) == os.sched_getscheduler(0)
    process.terminate()
    process.wait(TIMEOUT)
    env = {**running.env, "COLUMNS": "40"}
    cold = {**running.cold, "COLUMNS": "40"}
    assert running.run("pod", "--help", env=env) == running.run("pod", "--help", env=cold)
    for closed in ("<&-", ">&-", "2>&-"):
        command = ["sh", "-c", f"exec {running.path} pod ls -o name {closed}"]
        codes = {
            subprocess.run(command, env=env, capture_output=True, timeout=TIMEOUT).returncode
            for env in (running.env, running.cold)
        }
        assert len(codes) == 1, closed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_as_it_ends_python(
    running: Launcher, number: signal.Signals
) -> None:
    ends = []
    for env in (running.env, running.cold):
        process = running.start("pod", "events", "-f", "p", env=env, stdout=-1, stderr=-1)
        assert process.stdout is not None
        assert process.stdout.read(1)  # what has begun to answer has its handlers
        process.send_signal(number)
        ends.append((process.communicate(timeout=TIMEOUT)[1], process.returncode))
    assert ends[0] == ends[1]
    assert ends[0][1] == 128 + signal.SIGINT  # of what follows, whatever ended it


def test_the_command_dies_with_its_launcher(running: Launcher) -> None:
    process = running.start("pod", "logs", "-f", "p")
    (child,) = eventually(running.children, "the command")
    process.kill()
    process.wait()
    eventually(lambda: not alive(child), "the end of the command")


def test_a_command_runs_in_the_child_that_waited_for_it(running: Launcher) -> None:
    waiting = waiting_child(running)
    process = started(running, "cat")
    assert running.children() == [waiting]
    process.communicate(b"", timeout=TIMEOUT)
    assert waiting_child(running) != waiting


def test_the_child_that_waits_may_die(running: Launcher) -> None:
    waiting = waiting_child(running)
    os.kill(waiting, signal.SIGKILL)
    for _ in range(2):
        assert running.run("pod", "ls", "-o", "name")[:2] == (0, b"pod/p\n")
    assert waiting_child(running) != waiting


def test_the_child_that_waits_ends_with_the_warm_process(running: Launcher) -> None:
    waiting = waiting_child(running)
    assert running.warm is not None
    running.warm.kill()
    running.warm.wait()
    eventually(lambda: not alive(waiting), "its end")


def waiting_child(running: Launcher) -> int:
    """The child of the warm process that has no command yet, once no other one runs."""
    assert running.warm is not None
    warm = running.warm.pid

    def only() -> list[int]:
        return [] if running.children() else children(warm)

    (child,) = eventually(only, "a child that waits")
    return int(child)


def test_a_killed_command_is_told_as_its_signal(running: Launcher) -> None:
    process = started(running, "cat")
    (child,) = running.children()
    os.kill(child, signal.SIGKILL)
    assert process.wait(TIMEOUT) == -signal.SIGKILL


def test_the_warm_process_may_die_while_a_command_runs(running: Launcher) -> None:
    process = started(running, "cat; exit 3")
    assert running.warm is not None
    running.warm.kill()
    running.warm.wait()
    process.communicate(b"", timeout=TIMEOUT)
    assert process.returncode == 3
    assert running.run("pod", "ls", "-o", "name")[:2] == (0, b"pod/p\n")


def started(running: Launcher, script: str) -> subprocess.Popen[bytes]:
    """A script in the container that has begun, by way of the warm process."""
    words = ("pod", "exec", "-i", "p", "--", "sh", "-c", f"echo begun; {script}")
    process = running.start(*words, stdin=-1, stdout=-1)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    assert running.children()
    return process


def test_a_stopped_warm_process_is_not_waited_for_and_nothing_runs_twice(
    running: Launcher, tmp_path: Path
) -> None:
    assert running.warm is not None
    running.warm.send_signal(signal.SIGSTOP)
    word = ("pod", "exec", "p", "--", "sh", "-c", "echo once >> /tmp/lines; cat /tmp/lines")
    assert running.run(*word)[:2] == (0, b"once\n")
    running.warm.send_signal(signal.SIGCONT)
    eventually(lambda: not running.children(), "the end of what was given up")
    assert running.run("pod", "exec", "p", "--", "cat", "/tmp/lines")[:2] == (0, b"once\n")


def test_code_that_has_changed_is_not_run_from_memory(running: Launcher) -> None:
    os.utime(TREE / "kubelite" / "cli" / "warm" / "__init__.py")
    eventually(lambda: has_ended_for(running, str(running.path)), "its end", 60)


def test_a_caller_in_other_namespaces_gets_a_process_of_its_own(running: Launcher) -> None:
    command = ("unshare", "--uts", str(running.path))
    eventually(lambda: has_ended_for(running, *command), "its end", 60)


def has_ended_for(running: Launcher, *command: str) -> bool:
    """Whether the warm process gives up for a caller, who is answered all the same."""
    assert running.warm is not None
    words = [*command, "pod", "ls", "-o", "name"]
    done = subprocess.run(words, env=running.env, capture_output=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout) == (0, b"pod/p\n")
    return running.warm.poll() is not None


def test_a_terminal_has_its_size_and_its_answers(running: Launcher) -> None:
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    process = running.start(
        *("pod", "exec", "-it", "p", "--", "sh", "-c", "stty size; read answer"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    eventually(running.children, "the command")
    os.write(reader, b"goes on\n")
    process.wait(TIMEOUT)
    os.close(terminal)
    assert b"33 77" in os.read(reader, 1000)
    os.close(reader)


def test_the_first_command_starts_a_warm_process_that_ends_by_itself(
    launcher: Launcher, world: World
) -> None:
    env = {**launcher.env, "KUBELITE_WARM_SECONDS": "1"}
    assert launcher.run("pod", "ls", env=env)[0] == 0
    eventually(launcher.socket.is_socket, "a warm process")
    eventually(lambda: not launcher.socket.exists(), "its end")
