"""The one door to C: what is refused before it, and how a failure behind it arrives."""

from __future__ import annotations

import errno
import mmap
import os
import resource
import select
import subprocess
import sys
import threading
from array import array
from pathlib import Path

import pytest

from kubelite.core import native
from kubelite.core.errors import NativeError
from kubelite.core.plan import Plan, encode


def launch(*argv: str, fds: tuple[int, ...] = (), env: tuple[str, ...] = ()) -> tuple[int, int]:
    program = os.open(os.path.realpath("/bin/sh"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return native.shim_launch(program, argv, env, fds)
    finally:
        os.close(program)


def output_of(script: str, *fds: int, env: tuple[str, ...] = ()) -> bytes:
    """What a launched shell writes to descriptor 3."""
    read, write = os.pipe()
    _, pidfd = launch("sh", "-c", script, fds=(write, *fds), env=env)
    os.close(write)
    with open(read, "rb") as file:
        text = file.read()
    select.select([pidfd], [], [], 10)
    os.close(pidfd)
    return text


def test_errors_carry_step_object_and_errno() -> None:
    with pytest.raises(NativeError) as caught:
        native.plan_check(b"no plan at all, but long enough for its head" * 20, 0)
    assert caught.value.step == "decode launch plan"
    assert caught.value.code == "EPROTO"
    assert (
        str(caught.value)
        == f"{caught.value.step} {caught.value.object}: {os.strerror(errno.EPROTO)}"
    )
    assert caught.value.object.startswith("version ")
    native.plan_check(encode(Plan()), 0)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_names_that_c_would_misread_are_refused_before(name: str) -> None:
    with pytest.raises(ValueError):
        native.net_delete(name)
    with pytest.raises(ValueError):
        launch("sh", name)


def test_the_launched_program_is_detached_from_its_launcher() -> None:
    words = output_of(
        "read pid name state parent group session rest < "
        "/proc/self/stat; echo $pid $parent $session $(pwd) >&3"
    )
    pid, parent, session, where = words.decode().split()
    assert int(parent) != os.getpid()
    assert session == pid
    assert where == "/"


def test_descriptors_arrive_in_order_and_nothing_else_does() -> None:
    spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
    for fd in spare:
        os.set_inheritable(fd, True)
    one, other = os.open("/dev/zero", os.O_RDONLY), os.open("/dev/full", os.O_WRONLY)
    script = "list=$(for f in /proc/$$/fd/*; do echo ${f##*/}=$(readlink $f); done); echo $list >&3"
    listing = output_of(script, other, one)
    for fd in (*spare, one, other):
        os.close(fd)
    found = dict(word.split("=") for word in listing.decode().split())
    assert {found.pop(str(fd)) for fd in range(3)} == {"/dev/null"}
    assert found.pop("3").startswith("pipe:")
    assert (found.pop("4"), found.pop("5")) == ("/dev/full", "/dev/zero")
    # The shell's own end of the pipe that it reads the list from.
    assert [target.partition(":")[0] for target in found.values()] == ["pipe"]


def test_signals_are_at_their_defaults() -> None:
    """Python itself ignores SIGPIPE and SIGXFSZ."""
    status = output_of("cat /proc/self/status >&3").decode()
    for line in status.splitlines():
        if line.startswith(("SigBlk", "SigIgn")):
            assert int(line.split()[1], 16) == 0, line


def test_the_environment_is_what_was_given() -> None:
    assert output_of("echo $KL >&3", env=("KL=given",)) == b"given\n"


def test_threads_launch_at_once_and_other_threads_go_on() -> None:
    texts: list[bytes] = []
    threads = [
        threading.Thread(target=lambda n=n: texts.append(output_of(f"echo {n} >&3")))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(int(text) for text in texts) == list(range(12))


def own_children() -> list[str]:
    """The pids of this process' children, zombies included."""
    return sorted(pid for task in os.listdir("/proc/self/task") for pid in _children(task))


def _children(task: str) -> list[str]:
    with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
        return file.read().split()


def test_a_failed_launch_leaves_no_child_and_no_descriptor() -> None:
    before, children = sorted(os.listdir("/proc/self/fd")), own_children()
    fd = os.open("/etc/passwd", os.O_RDONLY)
    with pytest.raises(NativeError):
        native.shim_launch(fd, ["x"], [], [])
    with pytest.raises(NativeError) as caught:
        native.shim_launch(fd, ["x"], [], [999])
    assert (caught.value.step, caught.value.errno) == ("place descriptor", errno.EBADF)
    os.close(fd)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert own_children() == children


def test_the_caller_gets_no_sigchld_from_a_launch() -> None:
    program = (
        "import os, select, signal\nfrom kubelite.core import native\nseen = []\n"
        "signal.signal(signal.SIGCHLD, lambda *_: seen.append(1))\n"
        "fd = os.open(os.path.realpath('/bin/true'), os.O_RDONLY)\n"
        "pid, pidfd = native.shim_launch(fd, ['true'], [], [])\n"
        "select.select([pidfd], [], [], 10)\nassert pid > 0 and not seen\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_populated_pages_are_written_to_without_a_fault() -> None:
    size = 256 * mmap.PAGESIZE
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        start = int(native._ffi.cast("uintptr_t", native._ffi.from_buffer(memory)))
        native.populate(array("Q", (start, size, 1 << 46, size)))  # the second is not mapped
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        for page in range(0, size, mmap.PAGESIZE):
            memory[page] = 1
        assert resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before < 128


def test_the_module_follows_the_stable_abi() -> None:
    assert Path(sys.modules["kubelite.core._native"].__file__ or "").name == "_native.abi3.so"
