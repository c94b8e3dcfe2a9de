"""The shim as its callers see it: starts, exits, signals, sessions, and what stays when somebody is
killed.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubelite.core import protocol
from kubelite.core import shim as shims
from kubelite.core.errors import NativeError, ShimGone
from kubelite.core.plan import Mount, MountKind, Namespace, encode
from kubelite.core.protocol import Message, ProcessState, Role, StartFlag
from kubelite.lib.files import read_record
from kubelite.node.runtime.processes import start_ticks
from kubelite.node.runtime.records import ExitRecord
from tests.core.shimworld import PAUSE, SHELL_ENV, World, new_id, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def exit_files(world: World) -> list[str]:
    return sorted(os.listdir(f"{world.root}/exits"))


def children(pid: int) -> set[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(word) for word in text.split()}


# -- the launch ------------------------------------------------------------------------------------


def test_the_shim_is_a_child_of_nobody_and_inherits_nothing(tmp_path: Path) -> None:
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(lock, True)
    (tmp_path / "pod").mkdir()
    with World(str(tmp_path / "pod")) as world:
        assert world.shim.hello() == world.pid
        assert world.pid not in children(os.getpid())
        assert os.getsid(world.pid) == world.pid
        open_files = {
            os.readlink(f"/proc/{world.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{world.pid}/fd")
        }
        assert str(tmp_path / "lock") not in open_files
        assert {os.readlink(f"/proc/{world.pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
        assert Path(f"/proc/{world.pid}/cmdline").read_bytes().startswith(b"kubelite-shim\0uid-")
        assert Path(f"/proc/{world.pid}/comm").read_text() == "kubelite-shim\n"
        world.shim.shutdown()
    os.close(lock)


def test_a_program_that_cannot_be_executed_is_an_error_and_no_process(tmp_path: Path) -> None:
    from kubelite.core import native

    text = tmp_path / "text"
    text.write_text("no program")
    fd = os.open(text, os.O_RDONLY)
    with pytest.raises(NativeError) as caught:
        native.shim_launch(fd, ["no-program"], [], [])
    os.close(fd)
    assert (caught.value.step, caught.value.object) == ("exec", "no-program")
    assert caught.value.errno in (errno.ENOEXEC, errno.EACCES)


def test_other_users_are_not_served(world: World) -> None:
    os.chmod(f"{world.root}/shim.sock", 0o666)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setresuid(65534, 65534, 65534)
            with shims.connect(world.directory) as shim:
                shim.hello()
        except (ShimGone, BrokenPipeError):
            code = 7
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert world.shim.hello() == world.pid


# -- requests --------------------------------------------------------------------------------------


def test_unknown_requests_and_flags_are_refused(world: World) -> None:
    with pytest.raises(NativeError) as caught:
        world.shim.answer(world.shim.ask(Message(3), b"short"), 5)
    assert caught.value.errno == errno.EINVAL
    seq = 77
    packet = struct.pack("<HHIII", 99, 0, seq, 0, 0)
    with world.connect() as shim:
        shim._sock.send(packet)
        with pytest.raises(NativeError) as caught:
            shim.answer(seq, 5)
        assert caught.value.errno == errno.ENOSYS
        body = protocol.start(new_id(), Role.CONTAINER, StartFlag(1 << 9))
        with pytest.raises(NativeError) as caught:
            shim.answer(shim.ask(Message.START, body), 5)
        assert (caught.value.errno, caught.value.object) == (errno.EINVAL, "flags")


def test_a_packet_that_lies_about_its_size_ends_only_its_connection(world: World) -> None:
    with world.connect() as shim:
        shim._sock.send(struct.pack("<HHIII", 4, 0, 1, 500, 0))
        with pytest.raises(ShimGone):
            shim.receive(5)
    assert world.shim.hello() == world.pid


def test_versions_next_to_each_other_understand_each_other(world: World) -> None:
    newer = struct.pack("<IQ", 2, 7)  # a later version's body may be longer
    packet, _ = world.shim.answer(world.shim.ask(Message.HELLO, newer), 5)
    assert int.from_bytes(packet.body[:4], "little") == 1
    with pytest.raises(NativeError):
        world.shim.answer(world.shim.ask(Message.HELLO, struct.pack("<I", 0)), 5)


def test_a_plan_that_is_not_sealed_is_refused(world: World) -> None:
    memfd = os.memfd_create("plan", os.MFD_ALLOW_SEALING)
    os.write(memfd, encode(world.plan("true")))
    seq = world.shim.ask(
        Message.START, protocol.start(new_id(), Role.CONTAINER, StartFlag.NONE), [memfd]
    )
    os.close(memfd)
    with pytest.raises(NativeError) as caught:
        world.shim.started(seq, 5)
    assert (caught.value.errno, caught.value.object) == (errno.EPERM, "seals")


# -- start, signal, exit ---------------------------------------------------------------------------


def test_a_container_runs_ends_and_is_acknowledged(world: World) -> None:
    id = world.shell("exit 3")
    exit = world.exit(id)
    assert (exit.code, exit.signal, exit.state, exit.role) == (
        3,
        0,
        ProcessState.EXITED,
        Role.CONTAINER,
    )
    assert 0 < exit.started_at <= exit.finished_at <= time.time_ns()
    record = read_record(f"{world.root}/exits/{id}", ExitRecord)
    assert (record.id, record.role, record.pid, record.code) == (id, Role.CONTAINER, exit.pid, 3)
    assert (record.started_at, record.finished_at) == (exit.started_at, exit.finished_at)
    assert world.exit(id) == exit
    world.shim.acknowledge(id)
    assert exit_files(world) == []
    assert [p.id for p in world.shim.processes()] == [world.pause_id]
    world.shim.acknowledge(id)
    with pytest.raises(NativeError) as caught:
        world.exit(id)
    assert caught.value.errno == errno.ENOENT


def test_signals_arrive_and_their_exits_are_128_and_more(world: World) -> None:
    id = world.shell("trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done")
    until(lambda: [r.text for r in world.log()] == [b"ready"])
    with pytest.raises(NativeError) as caught:
        world.shim.acknowledge(id)
    assert caught.value.errno == errno.EBUSY
    world.shim.signal(id, signal.SIGUSR1)
    assert world.exit(id).code == 9
    with pytest.raises(NativeError) as caught:
        world.shim.signal(id, signal.SIGTERM)
    assert caught.value.errno == errno.ESRCH
    with pytest.raises(NativeError) as caught:
        world.shim.signal(new_id(), signal.SIGTERM)
    assert caught.value.errno == errno.ENOENT
    killed = world.shell("sleep 100")
    world.shim.signal(killed, signal.SIGKILL)
    exit = world.exit(killed)
    assert (exit.code, exit.signal) == (137, signal.SIGKILL)


def test_a_second_start_of_an_id_does_nothing(world: World) -> None:
    id = new_id()
    plan = world.plan("sh", "-c", "echo once; sleep 100")
    seqs = [world.shim.ask_start(id, Role.CONTAINER, encode(plan)) for _ in range(3)]
    started = [world.shim.started(seq, 10)[0] for seq in seqs]
    assert len({s.pid for s in started}) == 1
    assert [s.already for s in started] == [False, True, True]
    assert {s.start_ticks for s in started} == {start_ticks(started[0].pid)}
    world.shim.signal(id, signal.SIGKILL)
    world.exit(id)
    again, _ = world.shim.started(world.shim.ask_start(id, Role.CONTAINER, encode(plan)), 10)
    assert (again.pid, again.already) == (started[0].pid, True)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("no-such-program",), errno.ENOENT),
        (("/etc/passwd",), errno.EACCES),
        (("/",), errno.EACCES),
    ],
)
def test_a_failed_start_leaves_nothing_running(
    world: World, args: tuple[str, ...], code: int
) -> None:
    before = children(world.pid)
    id = new_id()
    with pytest.raises(NativeError) as caught:
        world.start(world.plan(*args), id=id)
    assert (caught.value.step, caught.value.object, caught.value.errno) == ("exec", args[0], code)
    assert children(world.pid) == before
    assert [p.id for p in world.shim.processes()] == [world.pause_id]
    world.start(world.plan("true"), id=id)
    assert world.exit(id).code == 0


def test_a_bad_mount_is_named(world: World) -> None:
    mount = Mount(MountKind.BIND, "/srv", "/no/such/place", name='volume "data"')
    with pytest.raises(NativeError) as caught:
        world.start(world.plan("true", mounts=(mount,)))
    assert str(caught.value) == 'mount volume "data" at /srv (bind): No such file or directory'


def test_containers_share_the_namespaces_of_pause(world: World) -> None:
    names = ("net", "ipc", "uts")
    id = world.shell("hostname; sleep 100")
    pids = {p.id: p.pid for p in world.shim.processes()}
    spaces = {
        pid: [os.readlink(f"/proc/{pid}/ns/{name}") for name in names] for pid in pids.values()
    }
    assert spaces[pids[id]] == spaces[pids[world.pause_id]]
    host = [os.readlink(f"/proc/self/ns/{name}") for name in names]
    assert not set(spaces[pids[id]]) & set(host)
    for name in ("pid", "mnt", "cgroup"):
        assert os.readlink(f"/proc/{pids[id]}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")
    until(lambda: [r.text for r in world.log()] == [b"pod"])


def test_pause_comes_with_its_network_namespace(tmp_path: Path) -> None:
    with World(str(tmp_path)) as world:
        ask = world.shim.ask_start(world.pause_id, Role.PAUSE, encode(PAUSE))
        started, fds = world.shim.started(ask, 5)
        assert os.readlink(f"/proc/self/fd/{fds[0]}") == os.readlink(f"/proc/{started.pid}/ns/net")
        os.close(fds[0])


def test_memory_volumes_are_the_pods_alone(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    host_mounts = Path("/proc/self/mountinfo").read_text()
    tmpfs = Mount(
        MountKind.TMPFS, f"{tmp_path}/volume", options="size=64k,mode=1777", name="volume"
    )
    with World(str(tmp_path)) as world:
        world.pause(PAUSE._replace(mounts=(tmpfs,)))
        bind = Mount(MountKind.BIND, "/srv", f"{tmp_path}/volume")
        for script in ("echo kept > /srv/file", "cat /srv/file; stat -f -c %T /srv"):
            world.exit(
                world.start(world.plan("sh", "-c", script, mounts=(*world.plan().mounts, bind)))
            )
        assert [r.text for r in world.log()] == [b"kept", b"tmpfs"]
        assert Path("/proc/self/mountinfo").read_text() == host_mounts
        assert os.listdir(tmp_path / "volume") == []


def test_a_user_namespace_gets_its_maps(tmp_path: Path) -> None:
    from kubelite.core.plan import IdMap

    maps = (IdMap(0, 100000, 65536),)
    plan = PAUSE._replace(new_ns=PAUSE.new_ns | Namespace.USER, uid_map=maps, gid_map=maps)
    with World(str(tmp_path)) as world:
        pid = world.pause(plan).pid
        assert Path(f"/proc/{pid}/uid_map").read_text().split() == ["0", "100000", "65536"]
        assert re.search(r"^Uid:\t100000\t", Path(f"/proc/{pid}/status").read_text(), re.M)


# -- exec ------------------------------------------------------------------------------------------


@pytest.fixture
def container(world: World) -> str:
    """A container that lives until it is killed."""
    return world.start(world.plan("sleep", "1000"))


def test_exec_joins_the_container_and_carries_its_streams(world: World, container: str) -> None:
    with world.session(
        container, "sh", "-c", "read line; echo got $line; echo bad >&2; exit 4"
    ) as session:
        session.write(b"word\n")
        assert session.finish() == 4
        assert session.output == {1: b"got word\n", 2: b"bad\n"}
        inside = next(p for p in world.shim.processes() if p.id == container).pid
        with world.session(container, "readlink", "/proc/self/ns/mnt") as other:
            assert other.finish() == 0
        assert other.output[1].decode().strip() == os.readlink(f"/proc/{inside}/ns/mnt")
    assert world.log() == []
    assert [p.role for p in world.shim.processes()] == [Role.PAUSE, Role.CONTAINER]
    assert exit_files(world) == []


def test_end_of_input_arrives(world: World, container: str) -> None:
    with world.session(container, "cat") as session:
        session.write(b"a" * 60000)
        session.write(b"b" * 60000)
        session.end()
        assert session.finish() == 0
    assert session.output[1] == b"a" * 60000 + b"b" * 60000


def test_a_terminal_has_its_size_and_is_resized(world: World, container: str) -> None:
    script = "stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done"
    with world.session(container, "sh", "-c", script, tty=True, rows=33, columns=111) as session:
        session.expect(b"ready\r\n")
        assert session.output[1].startswith(b"33 111\r\n")
        session.resize(44, 122)
        assert session.finish() == 0
    assert b"44 122\r\n" in session.output[1]


def test_ctrl_c_and_end_of_file_on_a_terminal(world: World, container: str) -> None:
    with world.session(container, "sh", "-c", "echo ready; exec sleep 100", tty=True) as session:
        session.expect(b"ready")
        session.write(b"\x03")
        assert session.finish() == 130
    with world.session(container, "sh", "-c", "cat; echo over", tty=True) as session:
        session.end()
        session.expect(b"over")
        assert session.finish() == 0


def test_a_signal_gives_143_and_a_bad_program_its_errno(world: World, container: str) -> None:
    with world.session(container, "sh", "-c", "kill -TERM $$; sleep 100") as session:
        assert session.finish() == 143
    for args, code in ((("no-such",), errno.ENOENT), (("/etc/passwd",), errno.EACCES)):
        with pytest.raises(NativeError) as caught:
            world.session(container, *args)
        assert (caught.value.step, caught.value.errno) == ("exec", code)
    with pytest.raises(NativeError) as caught:
        world.session(new_id(), "true")
    assert caught.value.errno == errno.ESRCH


def test_a_session_that_does_not_read_loses_nothing(world: World, container: str) -> None:
    with world.session(container, "sh", "-c", "seq 1 300000") as session:
        until(lambda: world.shim.hello() == world.pid)
        time.sleep(0.2)  # the time in which an unread session would be overrun
        assert Path(f"/proc/{session.pid}").exists()
        assert session.finish() == 0
    assert session.output[1] == b"".join(b"%d\n" % n for n in range(1, 300001))


@pytest.mark.parametrize("tty", [False, True])
def test_a_lost_session_does_not_leave_its_program_behind(
    world: World, container: str, tty: bool
) -> None:
    session = world.session(container, "sh", "-c", "while echo y; do :; done", tty=tty)
    session.expect(b"y")
    session.shim.close()
    until(lambda: not Path(f"/proc/{session.pid}").exists())
    assert exit_files(world) == []


def test_what_a_session_left_behind_does_not_hold_its_exit_up(world: World, container: str) -> None:
    started = time.monotonic()
    with world.session(container, "sh", "-c", "sleep 50 & echo done") as session:
        assert session.finish() == 0
    assert session.output[1] == b"done\n"
    assert time.monotonic() - started < 5


def test_an_exec_without_a_caller_keeps_its_exit(world: World, container: str) -> None:
    from tests.core.shimworld import EVERYTHING

    plan = world.plan("sh", "-c", "exit 5")._replace(
        new_ns=Namespace(0), join_ns=EVERYTHING, mounts=()
    )
    plan = plan._replace(root=0, root_base="", root_options="", env=SHELL_ENV)
    id = new_id()
    world.shim.started(world.shim.ask_start(id, Role.EXEC, encode(plan), target=container), 5)
    assert world.exit(id).code == 5
    assert exit_files(world) == [id]
    world.shim.acknowledge(id)
    assert exit_files(world) == []


# -- attach ----------------------------------------------------------------------------------------


def test_attach_carries_both_ways_and_tells_the_exit(world: World) -> None:
    id = world.start(
        world.plan("sh", "-c", "read a; echo $a; read b || echo end; exit 2"),
        flags=StartFlag.STDIN | StartFlag.STDIN_ONCE,
    )
    with world.connect() as shim:
        shim.answer(shim.ask(Message.ATTACH, protocol.attach(id, 7)), 5)
        shim.ask(Message.DATA, b"hello\n")
        assert shim.stream().body == b"hello\n"
        with pytest.raises(NativeError) as caught:
            shim.answer(shim.ask(Message.ATTACH, protocol.attach(id, 7)), 5)
        assert caught.value.errno == errno.EBUSY
        shim.ask(Message.DETACH)
        # stdin once: whoever was attached has left, so the program finds the end of its input
        assert world.exit(id).code == 2
    assert [r.text for r in world.log()] == [b"hello", b"end"]
    with world.connect() as shim:
        seq = shim.ask(Message.ATTACH, protocol.attach(id, 7))
        shim.answer(seq, 5)
        assert shim.stream().type == Message.EXITED


def test_a_slow_attached_reader_is_dropped_and_nobody_waits_for_it(world: World) -> None:
    script = "read go; seq 1 100000; read go; seq 1 1000000; echo last"
    id = world.shell(script, flags=StartFlag.STDIN, log_bytes=1 << 30)
    with world.connect() as slow, world.connect() as quick:
        for shim in (slow, quick):
            shim.answer(shim.ask(Message.ATTACH, protocol.attach(id, 7)), 5)
        quick.ask(Message.DATA, b"\n")
        got = b""
        while not got.endswith(b"\n100000\n"):
            got += quick.stream().body
        assert got == b"".join(b"%d\n" % n for n in range(1, 100001))
        quick.ask(Message.DATA, b"\n")
        quick.ask(Message.DETACH)
        assert world.exit(id, 60).code == 0
        with pytest.raises(ShimGone):
            while True:
                assert slow.stream().type != Message.EXITED
    log = Path(f"{world.root}/logs/0.log").read_bytes()
    assert log.count(b"\n") == 1_100_001 and log.endswith(b" stdout F last\n")


# -- what survives ---------------------------------------------------------------------------------

CALLER = """
import os, sys
from tests.core.shimworld import World
world = World(sys.argv[1])
world.pause()
id = world.shell("i=0; while [ $i -lt 100000 ]; do echo line $i; i=$((i+1)); done; exit 6")
print(world.pid, id, flush=True)
sys.stdin.read()
"""


def test_the_caller_killed_while_lines_flow_loses_none(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CALLER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        shim_pid, id = caller.stdout.readline().split()
        log = tmp_path / "logs" / "0.log"
        until(lambda: log.stat().st_size > 0)
        assert log.stat().st_size < 100000 * 50, "all lines were there before the kill"
        caller.kill()
    directory = os.open(tmp_path, os.O_RDONLY)
    with shims.connect(directory) as shim:
        assert shim.hello() == int(shim_pid)
        assert shim.exited(shim.ask_wait(id), 60).code == 6
        lines = [line.split(b" F ")[1] for line in log.read_bytes().splitlines()]
        assert lines == [b"line %d" % n for n in range(100000)]
        shim.shutdown()
    os.close(directory)


def test_a_caller_can_come_back_for_an_exit(world: World) -> None:
    id = world.shell("exit 8")
    with world.connect() as shim:
        shim.ask_wait(id)
    assert world.exit(id).code == 8


def test_pause_killed_means_the_members_are_killed_and_the_cleanup_is_run(tmp_path: Path) -> None:
    script = f"(readlink /proc/self/ns/mnt; ls /proc/self/fd | wc -l) > {tmp_path}/cleaned"
    with World(str(tmp_path), cleanup=("/bin/sh", "-c", script)) as world:
        pause = world.pause()
        ids = [world.shell("trap '' TERM; sleep 1000"), world.shell("sleep 1000")]
        stray = world.start(
            world.plan("sh", "-c", "setsid sleep 1000 & echo $!; wait", new_ns=Namespace.MOUNT)
        )
        until(lambda: len(world.log()) == 1)
        orphan = int(world.log()[0].text)
        until(lambda: Path(f"/proc/{orphan}/comm").read_text() == "sleep\n")
        seqs = [world.shim.ask_wait(id) for id in (*ids, stray)]
        os.kill(pause.pid, signal.SIGKILL)
        assert [world.shim.exited(seq, 10).code for seq in seqs] == [137, 137, 137]
        assert world.gone(10)
    assert exit_files(world) == sorted([*ids, stray, world.pause_id])
    assert not Path(f"/proc/{orphan}").exists()
    for id in ids:
        assert read_record(f"{tmp_path}/exits/{id}", ExitRecord).signal == signal.SIGKILL
    mounts, descriptors = (tmp_path / "cleaned").read_text().split()
    assert mounts == os.readlink("/proc/self/ns/mnt")
    assert int(descriptors) == 4  # stdio, and the directory that ls reads


def test_containers_die_but_pause_stays(world: World) -> None:
    ids = [world.shell("sleep 1000") for _ in range(3)]
    for id in ids:
        world.shim.signal(id, signal.SIGKILL)
    assert [world.exit(id).code for id in ids] == [137, 137, 137]
    assert world.exit(world.shell("hostname")).code == 0
    assert [p.state for p in world.shim.processes() if p.role == Role.PAUSE] == [
        ProcessState.RUNNING
    ]


def test_sigterm_ends_the_pod_in_order_and_other_signals_nothing(tmp_path: Path) -> None:
    with World(str(tmp_path), cleanup=("/bin/sh", "-c", f"echo > {tmp_path}/cleaned")) as world:
        world.pause()
        id = world.shell("sleep 1000")
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGUSR1):
            os.kill(world.pid, number)
        assert world.shim.hello() == world.pid
        os.kill(world.pid, signal.SIGTERM)
        assert world.gone(10)
    assert exit_files(world) == sorted([id, world.pause_id])
    assert (tmp_path / "cleaned").exists()


def test_shutdown_ends_everything_without_the_cleanup(tmp_path: Path) -> None:
    with World(str(tmp_path), cleanup=("/bin/sh", "-c", f"echo > {tmp_path}/cleaned")) as world:
        pause = world.pause()
        world.shell("trap '' TERM; sleep 1000")
        pids = [p.pid for p in world.shim.processes()]
        world.shim.shutdown()
        assert not any(Path(f"/proc/{pid}").exists() for pid in (*pids, pause.pid))
        assert world.gone(10)
    assert not (tmp_path / "cleaned").exists()


def test_a_launcher_killed_before_it_has_started_anything_leaves_no_shim(tmp_path: Path) -> None:
    with World(str(tmp_path), cleanup=("/bin/sh", "-c", f"echo > {tmp_path}/cleaned")) as world:
        world.shim.close()
        assert world.gone(10)
    assert (tmp_path / "cleaned").exists()


def test_a_killed_shim_takes_its_processes_along(tmp_path: Path) -> None:
    with World(str(tmp_path)) as world:
        world.pause()
        world.shell("sleep 1000")
        pids = [p.pid for p in world.shim.processes()]
        signal.pidfd_send_signal(world.pidfd, signal.SIGKILL)
        until(lambda: not any(start_ticks(pid) for pid in pids))


def test_a_full_packet_of_descriptors(world: World) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    memfd = shims.sealed(encode(world.plan("true")))
    body = protocol.start(new_id(), Role.CONTAINER, StartFlag.NONE)
    before = len(os.listdir(f"/proc/{world.pid}/fd"))
    world.shim.started(world.shim.ask(Message.START, body, [memfd, *[null] * 249]), 5)
    with pytest.raises(NativeError) as caught:
        world.shim.answer(world.shim.ask(Message.STATE, b"", [null] * 253), 5)
    assert caught.value.errno == errno.EMFILE
    os.close(null)
    os.close(memfd)
    until(lambda: len(os.listdir(f"/proc/{world.pid}/fd")) <= before + 2)


FORBIDDEN = """
import ctypes, os, struct, sys
from tests.core.shimworld import World, until
CLONE3, ERRNO, ALLOW = 435, 0x00050000 | 38, 0x7FFF0000
code = [(0x20, 0, 0, 0), (0x15, 0, 1, CLONE3), (0x06, 0, 0, ERRNO), (0x06, 0, 0, ALLOW)]
program = b"".join(struct.pack("HBBI", *line) for line in code)
holder = ctypes.create_string_buffer(program)
filter = struct.pack("HP", len(code), ctypes.addressof(holder))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(filter), 0, 0) == 0
assert libc.syscall(CLONE3, 0, 0) == -1 and ctypes.get_errno() == 38
with World(sys.argv[1]) as world:
    world.pause()
    assert world.exit(world.shell("readlink /proc/self; exit 4")).code == 4
    assert world.log()[0].text == b"2", world.log()
"""


def test_without_clone3_the_older_clone_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDEN, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_socket_is_reached_below_a_long_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    with World(str(deep)) as world:
        assert world.shim.hello() == world.pid
        assert (deep / "shim.sock").stat().st_mode & 0o777 == 0o600
        with pytest.raises(OSError):
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(str(deep / "shim.sock"))
        world.shim.shutdown()
