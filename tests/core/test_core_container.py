"""Every field of the launch plan, by its effect inside the container."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import resource
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelite.core import protocol
from kubelite.core import shim as shims
from kubelite.core.errors import NativeError
from kubelite.core.plan import (
    Attr,
    Caps,
    Device,
    Flag,
    Module,
    Mount,
    MountFlag,
    MountKind,
    Namespace,
    Plan,
    Rlimit,
    Root,
    encode,
)
from kubelite.core.protocol import Message, Role, StartFlag
from tests.core.shimworld import KERNEL, LOG, PAUSE, SYSTEM, World, new_id

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
SYSFS = Mount(MountKind.SYSFS, "/sys", attr=KERNEL | Attr.RDONLY)


def said(world: World, script: str, **changes: object) -> list[str]:
    """The lines that a shell in a container with these changes to its plan wrote."""
    with contextlib.suppress(FileNotFoundError):
        os.truncate(f"{world.root}/logs/0.log", 0)
    id = world.start(world.plan("sh", "-c", script, **changes))
    exit = world.exit(id)
    lines = [record.text.decode() for record in world.log()]
    assert exit.code == 0, lines
    return lines


def start_with(world: World, plan: Plan, fds: list[int]) -> str:
    """A container whose plan names descriptors; its output goes nowhere."""
    id = new_id()
    world.shim.started(world.shim.ask_start(id, Role.CONTAINER, encode(plan), fds), 10)
    return id


# -- who the program is ----------------------------------------------------------------------------


def test_ids_groups_and_umask(world: World) -> None:
    lines = said(
        world, "id -u; id -g; id -G; umask", uid=1234, gid=2345, groups=(7, 3456), umask=0o027
    )
    assert lines == ["1234", "2345", "2345 7 3456", "0027"]


def test_capabilities_and_no_new_privs(world: World) -> None:
    caps = Caps(bounding=0x21, effective=0x1, permitted=0x21, inheritable=0, ambient=0)
    script = "grep -E '^(Cap|NoNew)' /proc/self/status"
    status = dict(
        line.split(":\t")
        for line in said(world, script, flags=Flag.CAPS | Flag.NO_NEW_PRIVS, caps=caps)
    )
    # Root's program gets all that the bounding set leaves, capabilities(7).
    assert (status["CapBnd"], status["CapEff"], status["NoNewPrivs"]) == (
        "0" * 14 + "21",
        "0" * 14 + "21",
        "1",
    )
    ambient = Caps(0x21, 0x20, 0x20, 0x20, 0x20)
    lines = said(world, script, flags=Flag.CAPS, caps=ambient, uid=1000, gid=1000)
    status = dict(line.split(":\t") for line in lines)
    assert (status["CapEff"], status["CapAmb"], status["NoNewPrivs"]) == (
        "0" * 14 + "20",
        "0" * 14 + "20",
        "0",
    )
    lines = said(world, script, flags=Flag.CAPS, caps=Caps(bounding=0x21), uid=1000, gid=1000)
    assert "CapPrm:\t" + "0" * 16 in lines


def test_resource_limits(world: World) -> None:
    lines = said(
        world, "ulimit -n; ulimit -Hn", rlimits=(Rlimit(resource.RLIMIT_NOFILE, 100, 200),)
    )
    assert lines == ["100", "200"]


def test_oom_score(world: World) -> None:
    script = "cat /proc/self/oom_score_adj"
    assert said(world, script, flags=Flag.OOM_SCORE, oom_score_adj=987) == ["987"]
    # Lowering it may be refused to us; that fails no pod.
    (score,) = said(world, script, flags=Flag.OOM_SCORE, oom_score_adj=-997)
    assert score in ("-997", Path("/proc/self/oom_score_adj").read_text().strip())


def test_a_seccomp_filter(world: World) -> None:
    errno_here, allow, mkdir = (
        0x00050000 | errno.EDOM,
        0x7FFF0000,
        {"x86_64": 83}.get(os.uname().machine, 34),
    )
    lines = [(0x20, 0, 0, 0), (0x15, 0, 1, mkdir), (0x06, 0, 0, errno_here), (0x06, 0, 0, allow)]
    code = b"".join(struct.pack("<HBBI", *line) for line in lines)
    script = (
        "mkdir /made 2>&1 | grep -c 'out of domain'; test -e /made || "
        "echo none; grep Seccomp: /proc/self/status"
    )
    for flags in (Flag.SECCOMP, Flag.SECCOMP | Flag.NO_NEW_PRIVS):
        found = said(world, script, flags=flags | Flag.CAPS, seccomp=code)
        assert found == ["1", "none", "Seccomp:\t2"]


@pytest.mark.parametrize("module", Module)
def test_a_label_that_the_kernel_does_not_take_is_named(world: World, module: Module) -> None:
    """Nothing runs without it; no test machine has both modules, and neither knows this name."""
    with pytest.raises(NativeError, match="set security label") as caught:
        said(world, "true", labels=((module, "exec kubelite-no-such"),))
    assert caught.value.object == "exec kubelite-no-such"
    assert caught.value.errno


def test_environment_and_the_search_in_its_path(world: World) -> None:
    Path(f"{world.root}/upper/tools").mkdir()
    tool = Path(f"{world.root}/upper/tools/greet")
    tool.write_text("#!/bin/sh\necho hello from $0; env\n")
    tool.chmod(0o755)
    env = ("PATH=/nowhere:/tools:/bin", "A=1", "B=two words")
    world.exit(world.start(world.plan("greet", env=env)))
    lines = [record.text.decode() for record in world.log()]
    assert lines[0] == "hello from /tools/greet"
    assert set(env) <= set(lines) and len(lines) <= 5


def test_working_directory_is_made_and_entered(world: World) -> None:
    assert said(world, "pwd", cwd="/made/on/the/way") == ["/made/on/the/way"]
    with pytest.raises(NativeError) as caught:
        world.start(world.plan("true", cwd="/etc/passwd"))
    assert caught.value.errno == errno.ENOTDIR


def test_names_and_sysctls_are_pauses(tmp_path: Path) -> None:
    with World(str(tmp_path)) as world:
        pairs = (("net/ipv4/ip_unprivileged_port_start", "99"), ("kernel/shm_rmid_forced", "1"))
        world.pause(PAUSE._replace(hostname="first", domainname="second", sysctls=pairs))
        script = (
            "hostname; cat /proc/sys/kernel/domainname; "
            "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
        )
        assert said(world, f"{script}; cat /proc/sys/kernel/shm_rmid_forced") == [
            "first",
            "second",
            "99",
            "1",
        ]
    with World(str(tmp_path / "other") if (tmp_path / "other").mkdir() is None else "") as world:
        with pytest.raises(NativeError) as caught:
            world.pause(PAUSE._replace(sysctls=(("kernel/no_such_thing", "1"),)))
        assert (caught.value.step, caught.value.object) == ("set sysctl", "kernel/no_such_thing")
        world.shim.shutdown()


# -- what the program sees -------------------------------------------------------------------------


def test_the_default_devices_are_there(world: World) -> None:
    lines = said(
        world,
        "cd /dev; for d in null zero full random urandom tty; do stat -c '%n %t:%T %a' $d; done",
    )
    assert lines == [
        "null 1:3 666", "zero 1:5 666", "full 1:7 666", "random 1:8 666", "urandom 1:9 666",
        "tty 5:0 666",
    ]  # fmt: skip
    script = (
        "cd /dev; for l in fd stdin stdout stderr ptmx; do readlink $l; "
        "done; ls -d shm mqueue pts; stat -c %a shm"
    )
    assert said(world, script) == [
        "/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx",
        "mqueue", "pts", "shm", "1777",
    ]  # fmt: skip


def test_further_devices(world: World) -> None:
    device = Device("/dev/net/tun", stat.S_IFCHR | 0o640, 10, 200, 5, 6)
    assert said(world, "stat -c '%F %t:%T %a %u %g' /dev/net/tun", devices=(device,)) == [
        "character special file a:c8 640 5 6"
    ]


def test_masked_paths_show_nothing(world: World) -> None:
    masked = (
        "/proc/version",
        "/proc/acpi",
        "/etc/passwd",
        "/etc/init.d",
        "/usr/share/doc",
        "/no/such/path",
    )
    lines = said(
        world,
        "cat /etc/passwd | wc -c; ls -A /etc/init.d /usr/share/doc "
        "| grep -v ^/ | grep -v '^$' | wc -l;"
        "touch /usr/share/doc/x 2>&1 | grep -c Read-only; wc -c < /proc/version",
        masked=masked,
    )
    assert lines == ["0", "0", "1", "0"]


def test_read_only_paths_and_root(world: World) -> None:
    lines = said(
        world,
        "echo 1 2>/dev/null > /proc/sys/kernel/domainname || "
        "echo refused; echo > /written && echo written",
        readonly=("/proc/sys", "/proc/bus", "/no/such/path"),
    )
    assert lines == ["refused", "written"]
    lines = said(
        world,
        "echo 2>/dev/null > /x || echo refused; echo > /dev/shm/x && echo shm",
        flags=Flag.READONLY_ROOT,
    )
    assert lines == ["refused", "shm"]


def test_the_host_is_out_of_sight(world: World) -> None:
    lines = said(
        world, "ls -A / | wc -l; awk '{print $5}' /proc/self/mountinfo", mounts=(*SYSTEM, SYSFS)
    )
    assert int(lines[0]) > 5
    assert set(lines[1:]) == {"/", "/proc", "/dev", "/dev/pts", "/sys"}
    assert Path(f"{world.root}/upper").is_dir()


@pytest.fixture
def volume(world: World) -> Iterator[Path]:
    """A directory as a volume, with a link out of it and one to within."""
    path = Path(f"{world.root}/volume")
    (path / "sub" / "deep").mkdir(parents=True)
    (path / "sub" / "file").write_text("content\n")
    (path / "out").symlink_to("/etc")
    (path / "within").symlink_to("sub")
    yield path


def test_binds_of_directories_and_files(world: World, volume: Path) -> None:
    mounts = (
        *SYSTEM,
        Mount(MountKind.BIND, "/made/target", str(volume), flags=MountFlag.RECURSIVE),
        Mount(
            MountKind.BIND,
            "/made/file",
            str(volume / "sub" / "file"),
            flags=MountFlag.FILE,
            attr=Attr.RDONLY,
        ),
    )
    script = (
        "cat /made/target/sub/file /made/file; "
        "echo new > /made/target/new; echo 2>/dev/null > /made/file || "
        "echo ro"
    )
    assert said(world, script, mounts=mounts) == ["content", "content", "ro"]
    assert (volume / "new").read_text() == "new\n"


def test_a_file_goes_where_a_dangling_link_of_the_image_points(world: World, volume: Path) -> None:
    (Path(world.root) / "upper" / "etc").mkdir()
    (Path(world.root) / "upper" / "etc" / "linked").symlink_to("../run/not/there/yet")
    mount = Mount(MountKind.BIND, "/etc/linked", str(volume / "sub" / "file"), flags=MountFlag.FILE)
    assert said(world, "cat /etc/linked /run/not/there/yet", mounts=(*SYSTEM, mount)) == [
        "content",
        "content",
    ]


def test_targets_stay_inside_the_root(world: World, volume: Path) -> None:
    """An image's link to the host's root leads to the container's."""
    victim = Path(world.root) / "victim"
    victim.mkdir()
    (Path(world.root) / "upper" / "trap").symlink_to(f"../../../../../..{victim}")
    mount = Mount(MountKind.BIND, "/trap/inside", str(volume))
    assert said(world, "ls /trap/inside/sub", mounts=(*SYSTEM, mount)) == ["deep", "file"]
    assert os.listdir(victim) == []


@pytest.mark.parametrize("target", ["/proc", "/sys", "/dev"])
def test_kernel_mounts_are_not_made_through_links(world: World, target: str) -> None:
    upper = Path(world.root) / "upper" / target.strip("/")
    upper.symlink_to("/tmp")
    kind = {"/proc": MountKind.PROC, "/sys": MountKind.SYSFS, "/dev": MountKind.DEV}[target]
    with pytest.raises(NativeError) as caught:
        world.start(world.plan("true", mounts=(Mount(kind, target),)))
    assert caught.value.errno == errno.ELOOP


def test_subpaths_stay_inside_the_volume(world: World, volume: Path) -> None:
    def bind(subpath: str) -> Mount:
        return Mount(
            MountKind.BIND,
            "/srv",
            str(volume),
            subpath,
            flags=MountFlag.SUBPATH,
            name="volume data",
        )

    assert said(world, "ls /srv", mounts=(*SYSTEM, bind("sub"))) == ["deep", "file"]
    for subpath, code in (
        ("out", errno.ELOOP),
        ("within", errno.ELOOP),
        ("../upper", errno.EXDEV),
        ("no", errno.ENOENT),
    ):
        with pytest.raises(NativeError) as caught:
            world.start(world.plan("true", mounts=(*SYSTEM, bind(subpath))))
        assert caught.value.errno == code, subpath
        assert caught.value.object.startswith("volume data at /srv (open subPath")


def test_a_detached_mount_comes_as_a_descriptor(world: World, volume: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    tree = libc.syscall(
        428, -100, os.fsencode(volume), 0o2000000 | 1
    )  # open_tree, OPEN_TREE_CLOEXEC | OPEN_TREE_CLONE
    assert tree >= 0
    mount = Mount(MountKind.BIND_FD, "/srv", 0, attr=Attr.RDONLY)
    script = "test -e /srv/sub/file && ! touch /srv/x && exit 5"
    id = start_with(world, world.plan("sh", "-c", script, mounts=(*SYSTEM, mount)), [tree])
    os.close(tree)
    assert world.exit(id).code == 5


def test_a_prepared_root_comes_as_a_descriptor(world: World) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    tree = libc.syscall(428, -100, b"/", 0o2000000 | 1)
    plan = world.plan("sh", "-c", "test -e /etc/passwd && exit 6")
    plan = plan._replace(
        root=Root.FD, root_fd=0, root_base="", root_options="", flags=Flag.READONLY_ROOT
    )
    host = Path("/proc/self/mountinfo").read_text()
    id = start_with(world, plan, [tree])
    os.close(tree)
    assert world.exit(id).code == 6
    assert Path("/proc/self/mountinfo").read_text() == host


def test_memory_file_systems_of_a_container(world: World) -> None:
    mounts = (
        *SYSTEM,
        Mount(
            MountKind.TMPFS, "/memory", options="size=1m,mode=0700", attr=Attr.NOEXEC | Attr.NOSUID
        ),
        Mount(MountKind.MQUEUE, "/dev/mqueue", attr=KERNEL),
    )
    script = (
        "stat -f -c %T /memory; stat -c %a /memory; "
        "head -c 2M /dev/zero 2>/dev/null >/memory/x || stat -c %s /memory/x; ls -d /dev/mqueue"
    )
    assert said(world, script, mounts=mounts) == ["tmpfs", "700", str(1 << 20), "/dev/mqueue"]


def test_layers_are_one_directory(world: World, tmp_path: Path) -> None:
    for layer in ("a", "b"):
        (tmp_path / "layers" / layer).mkdir(parents=True)
        (tmp_path / "layers" / layer / "both").write_text(layer)
        (tmp_path / "layers" / layer / f"only-{layer}").touch()
    layers = Mount(
        MountKind.LAYERS, "/image", str(tmp_path / "layers"), "lowerdir=b:a", Attr.RDONLY
    )
    script = "cat /image/both; echo; ls /image; touch /image/x 2>/dev/null || echo read-only"
    expected = ["b", "both", "only-a", "only-b", "read-only"]
    assert said(world, script, mounts=(*SYSTEM, layers)) == expected


def test_an_option_that_the_kernel_does_not_know_is_named(world: World) -> None:
    mount = Mount(MountKind.TMPFS, "/memory", options="size=1m,nonsense=1", name="volume cache")
    with pytest.raises(NativeError) as caught:
        world.start(world.plan("true", mounts=(mount,)))
    assert caught.value.object == "volume cache at /memory (mount option)"


def test_the_process_namespace_is_the_containers_own(world: World) -> None:
    assert said(world, "echo $$; echo /proc/[0-9]*") == ["1", "/proc/1"]


def test_sysfs_shows_the_pods_network(world: World) -> None:
    assert (
        said(world, "ls /sys/class/net; ls -A /sys/class/net | wc -l", mounts=(*SYSTEM, SYSFS))[0]
        == "lo"
    )


def test_a_terminal_is_the_console(world: World) -> None:
    id = new_id()
    script = "tty; stat -c %t:%T /dev/console /dev/pts/0; test /dev/console -ef /dev/pts/0; exit 9"
    plan = world.plan("sh", "-c", script, flags=Flag.TERMINAL)
    logs = os.open(f"{world.root}/logs", os.O_RDONLY)
    memfd = shims.sealed(encode(plan))
    body = protocol.start(
        id, Role.CONTAINER, StartFlag.LOG | StartFlag.STDIN, rows=20, columns=70, log=LOG
    )
    world.shim.started(world.shim.ask(Message.START, body, [memfd, logs]), 5)
    os.close(memfd)
    os.close(logs)
    assert world.exit(id).code == 9
    tty, console, slave = [r.text.decode().strip() for r in world.log()]
    assert tty in ("/dev/pts/0", "/dev/console")
    assert console == slave == "88:0"


# -- cgroups ---------------------------------------------------------------------------------------


def v2() -> str | None:
    """The directory of the v2 hierarchy of this machine, or None."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] == "cgroup2":
            return before.split()[4]
    return None


def test_a_process_is_born_into_its_cgroup(world: World) -> None:
    top = v2()
    if top is None:
        pytest.skip("this machine has no such hierarchies")
    group = f"{top}/kubelite-test-{os.getpid()}"
    os.mkdir(group)
    try:
        directory = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
        id = start_with(world, world.plan("sleep", "100", cgroup_fd=0), [directory])
        os.close(directory)
        pid = next(p.pid for p in world.shim.processes() if p.id == id)
        assert Path(f"{group}/cgroup.procs").read_text() == f"{pid}\n"
        # Seen from its own cgroup namespace it is at the top.
        assert os.readlink(f"/proc/{pid}/ns/cgroup") != os.readlink("/proc/self/ns/cgroup")
        world.shim.signal(id, 9)
        world.exit(id)
    finally:
        os.rmdir(group)


def test_v1_tasks_files_are_entered_by_the_child(world: World) -> None:
    mounted = [
        line.split()[4]
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if " - cgroup " in line
    ]
    tops = [top for top in mounted if re.search(r"/(pids|memory|freezer)$", top)]
    if not tops:
        pytest.skip("this machine has no such hierarchies")
    group = f"{tops[0]}/kubelite-test-{os.getpid()}"
    os.mkdir(group)
    try:
        tasks = os.open(f"{group}/tasks", os.O_WRONLY)
        id = start_with(world, world.plan("sleep", "100", cgroups=(0,)), [tasks])
        os.close(tasks)
        pid = next(p.pid for p in world.shim.processes() if p.id == id)
        assert Path(f"{group}/tasks").read_text() == f"{pid}\n"
        world.shim.signal(id, 9)
        world.exit(id)
    finally:
        os.rmdir(group)


def test_the_cgroup_namespace_starts_at_the_containers_group(world: World) -> None:
    top = v2()
    if top is None:
        pytest.skip("this machine has no such hierarchies")
    group = f"{top}/kubelite-test-{os.getpid()}"
    os.mkdir(group)
    try:
        directory, logs = (
            os.open(group, os.O_RDONLY | os.O_DIRECTORY),
            os.open(f"{world.root}/logs", os.O_RDONLY),
        )
        id = new_id()
        plan = world.plan("sh", "-c", "grep ^0: /proc/self/cgroup", cgroup_fd=0)
        ask = world.shim.ask_start(
            id, Role.CONTAINER, encode(plan), [directory, logs], flags=StartFlag.LOG, log=LOG
        )
        world.shim.started(ask, 5)
        os.close(directory)
        os.close(logs)
        world.exit(id)
        assert [r.text for r in world.log()] == [b"0::/"]
    finally:
        os.rmdir(group)


def test_pod_mounts_may_not_be_asked_for_what_is_not_there(tmp_path: Path) -> None:
    with World(str(tmp_path)) as world:
        bind = Mount(MountKind.BIND, f"{tmp_path}/logs", "/no/such", name="volume x")
        with pytest.raises(NativeError) as caught:
            world.pause(PAUSE._replace(mounts=(bind,), new_ns=PAUSE.new_ns | Namespace.PID))
        assert caught.value.errno == errno.ENOENT
        assert world.shim.processes() == []
        world.shim.shutdown()
