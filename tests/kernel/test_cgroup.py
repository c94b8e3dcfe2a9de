"""Groups in this machine's own hierarchies, below a parent of the test's own."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import select
import subprocess
from collections.abc import Callable, Iterator

import pytest

from kubelite.node.cgroup import control
from kubelite.node.cgroup.branch import read_text
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.errors import CgroupError, GroupBusy, LimitRefused, NoCgroups
from kubelite.node.cgroup.hierarchies import World, decide, parse_mounts
from kubelite.node.cgroup.limits import (
    DEVICE_RULES,
    PROGRAM,
    ControlWrite,
    Resources,
    container_writes,
    device_writes,
    pod_writes,
    resize_writes,
)
from kubelite.node.cgroup.tree import CgroupTree, Membership
from kubelite.node.cgroup.usage import Usage, read_oom_kills, read_usage

UID = "0d5c"
NAME = "0123456789abcdef"
SMALL = Resources(cpu_request=250, cpu_limit=500, memory_limit=64 << 20)
Start = Callable[..., subprocess.Popen[bytes]]


def groups_of(parent: str) -> list[str]:
    found = [*glob.glob(f"/sys/fs/cgroup/{parent}"), *glob.glob(f"/sys/fs/cgroup/*/{parent}")]
    return sorted(found)


def this_world() -> World:
    try:
        world = read_world()
    except NoCgroups as error:
        pytest.skip(str(error))
    if os.geteuid() != 0 or not all(os.access(h.mount_point, os.W_OK) for h in world.in_use):
        pytest.skip("cgroups cannot be written here")
    return world


def half(v2: bool) -> World:
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return decide([m for m in parse_mounts(file.read()) if m.v2 == v2], "")


def check_clean_removal(tree: CgroupTree) -> None:
    for uid in tree.pods():
        control.kill(tree, uid)
        tree.remove_pod(uid)
    assert tree.remove_parent()
    tree.close()
    assert groups_of(tree.parent) == []


def worlds() -> list[str]:
    """This machine as it is and, where it is hybrid, each half of it alone."""
    try:
        return ["own", "v1", "v2"] if read_world().kind == "hybrid" else ["own"]
    except NoCgroups:
        return ["own"]


@pytest.fixture(params=worlds())
def tree(request: pytest.FixtureRequest) -> Iterator[CgroupTree]:
    world = this_world()
    if request.param != "own":
        world = half(request.param == "v2")
    tree = CgroupTree(world, f"kubelite-test-{secrets.token_hex(4)}")
    assert groups_of(tree.parent) == []
    yield tree
    check_clean_removal(tree)


@pytest.fixture
def own() -> Iterator[CgroupTree]:
    tree = CgroupTree(this_world(), f"kubelite-test-{secrets.token_hex(4)}")
    yield tree
    check_clean_removal(tree)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program that waits on its input inside the groups of a membership."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(membership: Membership, script: str = "read x") -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        child = subprocess.Popen(["/bin/sh", "-c", f"read go; {script}"], stdin=pipe, stdout=pipe)
        running.append(child)
        enter(membership, child.pid)
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        return child

    yield begin
    for child in running:
        child.kill()
        child.communicate()


def enter(membership: Membership, pid: int) -> None:
    for fd in membership.tasks:
        os.write(fd, b"%d" % pid)
    if membership.directory >= 0:
        procs = os.open("cgroup.procs", os.O_WRONLY, dir_fd=membership.directory)
        os.write(procs, b"%d" % pid)
        os.close(procs)


def made(tree: CgroupTree, control_writes: list[ControlWrite] | None = None) -> Membership:
    tree.make_pod(UID, [])
    return tree.make_container(UID, NAME, control_writes or [])


def read(tree: CgroupTree, file: str) -> str:
    (path,) = [
        f"{group}/pod{UID}/{file}"
        for group in groups_of(tree.parent)
        if os.path.exists(f"{group}/pod{UID}/{file}")
    ]
    with open(path, encoding="ascii") as stream:
        return stream.read().strip()


def test_limits_stand_in_the_files(own: CgroupTree) -> None:
    control_writes = [
        *pod_writes(Resources(1000, 2000, 1 << 30, 50), own.world),
        *device_writes(own.world),
    ]
    assert own.make_pod(UID, control_writes) == []
    with_limits = own.make_container(UID, NAME, container_writes(SMALL, own.world))
    with_limits.close()
    assert with_limits.refused == ()
    assert read(own, "pids.max") == "50"
    if own.world.hierarchy_of("devices"):
        rules = read(own, "devices.list").splitlines()
        assert "c 1:3 rwm" in rules and "a *:* rwm" not in rules
    if (memory := own.world.hierarchy_of("memory")) and not memory.v2:
        assert read(own, f"{NAME}/cpu.shares") == "256"
        assert read(own, f"{NAME}/cpu.cfs_quota_us") == "50000"
        assert read(own, f"{NAME}/memory.limit_in_bytes") == str(64 << 20)
        assert read(own, "memory.limit_in_bytes") == str(1 << 30)


def test_a_process_in_the_group_is_there_in_every_hierarchy(tree: CgroupTree, start: Start) -> None:
    membership = made(tree)
    child = start(membership)
    with open(f"/proc/{child.pid}/cgroup", encoding="ascii") as file:
        places = [line.rstrip("\n").split(":", 2)[2] for line in file]
    group = f"/{tree.parent}/pod{UID}/{NAME}"
    counting = sum(branch.counts for branch in tree.branches)
    assert places.count(group) == counting
    assert control.populated(tree, UID) and control.populated(tree, UID, NAME)
    membership.close()


def test_a_container_without_a_limit_of_its_own_is_under_the_pods(own: CgroupTree) -> None:
    pids = own.world.hierarchy_of("pids")
    assert pids is not None
    own.make_pod(UID, [ControlWrite("pids", "pids.max", "7")])
    own.make_container(UID, NAME, []).close()
    own.make_container(UID, "b" * 16, [ControlWrite("pids", "pids.max", "3")]).close()
    # Where nothing else is in the hierarchy the container needs no group of its own for that.
    assert (NAME in os.listdir(f"{pids.mount_point}/{own.parent}/pod{UID}")) == pids.v2
    assert read(own, "pids.max") == "7"
    assert read(own, f"{'b' * 16}/pids.max") == "3"


def test_kill_ends_every_process_below(tree: CgroupTree, start: Start) -> None:
    membership = made(tree)
    children = [start(membership, "sleep 600 & sleep 600; wait") for _ in range(3)]
    control.kill(tree, UID)
    assert [child.wait(10) for child in children] == [-9, -9, -9]
    assert control.wait_empty(tree, UID, timeout=10)
    assert not control.populated(tree, UID)
    membership.close()


def test_kill_without_processes_or_groups_is_fine(tree: CgroupTree) -> None:
    control.kill(tree, UID)
    made(tree).close()
    control.kill(tree, UID, NAME)
    control.kill(tree, "unknown")
    assert control.wait_empty(tree, "unknown", timeout=1)


def test_frozen_processes_stand_still_until_thawed(tree: CgroupTree, start: Start) -> None:
    membership = made(tree)
    child = start(membership, "while read word; do echo $word; done")
    assert child.stdin is not None and child.stdout is not None
    control.freeze(tree, UID, NAME)
    child.stdin.write(b"hello\n")
    child.stdin.flush()
    assert select.select([child.stdout], [], [], 0.1)[0] == []
    control.thaw(tree, UID, NAME)
    assert child.stdout.readline() == b"hello\n"
    membership.close()


def test_a_frozen_pod_can_be_killed(tree: CgroupTree, start: Start) -> None:
    membership = made(tree)
    child = start(membership)
    control.freeze(tree, UID)
    control.kill(tree, UID)
    assert child.wait(10) == -9
    membership.close()


def test_usage_counts_what_was_done(own: CgroupTree, start: Start) -> None:
    membership = made(own, container_writes(SMALL, own.world))
    child = start(membership, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; read x")
    assert child.stdout is not None and child.stdout.readline() == b"done\n"
    usage = read_usage(own, UID, NAME)
    assert usage.cpu_ns is not None and usage.cpu_ns > 1_000_000
    assert usage.tasks == 1
    if own.world.hierarchy_of("memory"):
        assert usage.memory and usage.memory_peak and usage.memory_peak >= usage.memory
        assert usage.working_set is not None and usage.working_set <= usage.memory_peak
        assert usage.oom_kills == 0
    if own.world.hierarchy_of("cpu"):
        assert usage.periods is not None and usage.throttled_ns is not None
    assert read_usage(own, UID).tasks == 1
    membership.close()


def test_usage_of_what_is_not_there_is_nothing(tree: CgroupTree) -> None:
    assert read_usage(tree, UID, NAME) == Usage()


def test_a_process_beyond_its_memory_is_counted_as_killed(own: CgroupTree, start: Start) -> None:
    if not own.world.hierarchy_of("memory"):
        pytest.skip("no memory controller")
    membership = made(own, container_writes(Resources(memory_limit=16 << 20), own.world))
    child = start(membership, "exec dd if=/dev/zero of=/dev/null bs=64M count=1")
    assert child.wait(60) == -9
    assert (read_oom_kills(own, UID, NAME) or 0) >= 1
    membership.close()


def test_join_leads_into_the_same_groups(tree: CgroupTree, start: Start) -> None:
    made(tree).close()
    membership = tree.join(UID, NAME)
    start(membership)
    assert control.populated(tree, UID, NAME)
    membership.close()
    with pytest.raises(CgroupError, match="cannot enter"):
        tree.join(UID, "other")


def test_descriptors_are_closed_on_exec_and_none_leak(tree: CgroupTree) -> None:
    before = len(os.listdir("/proc/self/fd"))
    membership = made(tree)
    fds = [*membership.tasks, *([membership.directory] if membership.directory >= 0 else [])]
    assert fds and not any(os.get_inheritable(fd) for fd in fds)
    membership.close()
    read_usage(tree, UID)
    control.kill(tree, UID)
    tree.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_the_kernel_refuses_is_a_warning(own: CgroupTree) -> None:
    own.make_pod(UID, [])
    control_writes = [
        ControlWrite("cpu", "cpu.nonsense", "1"),
        ControlWrite("rdma", "rdma.max", "1"),
    ]
    membership = own.make_container(UID, NAME, control_writes)
    membership.close()
    assert [(r.file, r.error) for r in membership.refused] == [("cpu.nonsense", 2), ("rdma.max", 2)]
    assert str(membership.refused[1]) == "rdma.max cannot be set to 1: No such file or directory"


def test_a_refused_memory_limit_leaves_no_group(tree: CgroupTree) -> None:
    tree.make_pod(UID, [])
    before = len(os.listdir("/proc/self/fd"))
    for write in (
        ControlWrite("memory", "memory.max", "much"),
        ControlWrite("memory", "memory.limit_in_bytes", "x"),
    ):
        with pytest.raises(LimitRefused, match="cannot be set to"):
            tree.make_container(UID, NAME, [write])
        with pytest.raises(LimitRefused):
            tree.make_pod("other", [write])
    assert tree.containers(UID) == set()
    assert tree.pods() == {UID}
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_container_that_is_there_already_is_left_alone(tree: CgroupTree) -> None:
    made(tree).close()
    with pytest.raises(CgroupError, match="cannot make"):
        tree.make_container(UID, NAME, [])
    assert tree.containers(UID) == {NAME}
    tree.make_pod(UID, [])
    assert tree.containers(UID) == {NAME}


def test_a_container_needs_its_pod(tree: CgroupTree) -> None:
    tree.make_pod("other", [])
    with pytest.raises(CgroupError, match="cannot make"):
        tree.make_container(UID, NAME, [])
    assert tree.pods() == {"other"}


def test_groups_are_listed_and_removed(tree: CgroupTree) -> None:
    made(tree).close()
    tree.make_container(UID, "second", []).close()
    assert tree.pods() == {UID}
    assert tree.containers(UID) == {NAME, "second"}
    tree.remove_container(UID, NAME)
    assert tree.containers(UID) == {"second"}
    assert not tree.remove_parent()
    tree.remove_pod(UID)
    tree.remove_pod(UID)
    assert tree.pods() == set()
    assert tree.remove_parent() and tree.remove_parent()
    assert groups_of(tree.parent) == []


def test_a_group_that_is_removed_while_it_is_read_is_gone(tree: CgroupTree) -> None:
    """The file was open already: the kernel then says that there is no such device."""
    tree.make_pod("u1", [])
    place = tree.place("memory", "u1", None) or tree.place("", "u1", None)
    assert place is not None
    fd = os.open(f"{place[1]}/cgroup.procs", os.O_RDONLY, dir_fd=place[0])
    try:
        tree.remove_pod("u1")
        with pytest.raises(OSError) as refused:
            os.read(fd, 1)
        assert refused.value.errno == errno.ENODEV
        with pytest.raises(FileNotFoundError):
            read_text(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def test_groups_that_a_container_made_go_with_it(tree: CgroupTree) -> None:
    made(tree).close()
    for branch in tree.branches:
        if branch.counts:
            root = f"{branch.hierarchy.mount_point}/{tree.parent}/pod{UID}/{NAME}"
            os.makedirs(f"{root}/a/b/c")
            os.makedirs(f"{root}/a/d")
    tree.remove_pod(UID)
    assert tree.pods() == set()


def test_a_group_with_a_process_stays_and_says_so(tree: CgroupTree, start: Start) -> None:
    membership = made(tree)
    start(membership)
    with pytest.raises(GroupBusy, match=f"{tree.parent}/pod{UID}/{NAME} still has processes"):
        tree.remove_pod(UID, timeout=0.05)
    assert control.populated(tree, UID)
    assert not control.wait_empty(tree, UID, timeout=0.05)
    membership.close()


def test_a_pod_is_made_even_if_the_parent_was_removed_meanwhile(tree: CgroupTree) -> None:
    made(tree).close()
    other = CgroupTree(tree.world, tree.parent)
    other.remove_pod(UID)
    assert other.remove_parent()
    made(tree).close()
    assert tree.containers(UID) == {NAME}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/x", "a\0b"])
def test_names_that_would_lead_elsewhere_are_refused(own: CgroupTree, name: str) -> None:
    own.make_pod(UID, [])
    with pytest.raises(CgroupError, match="no name for a cgroup"):
        own.make_container(UID, name, [])
    with pytest.raises(CgroupError, match="no name for a cgroup"):
        own.remove_container(UID, name)


def cpu_share(tree: CgroupTree, group: str) -> int:
    branch = next(b for b in tree.branches if "cpu" in b.hierarchy.controllers)
    name = "cpu.weight" if branch.v2 else "cpu.shares"
    with open(f"{branch.hierarchy.mount_point}/{tree.parent}/{group}/{name}") as file:
        return int(file.read())


def test_pods_lie_below_their_class(own: CgroupTree, start: Start) -> None:
    for uid, qos in (("g", ""), ("b", "burstable"), ("e", "besteffort")):
        own.make_pod(uid, [], qos)
        member = own.make_container(uid, NAME, [])
        child = start(member)
        member.close()
        with open(f"/proc/{child.pid}/cgroup", encoding="ascii") as file:
            places = {line.rpartition(":")[2].strip() for line in file if own.parent in line}
        assert places == {"/" + "/".join(filter(None, (own.parent, qos, f"pod{uid}", NAME)))}
    assert own.pods() == {"g", "b", "e"}
    with CgroupTree(own.world, own.parent) as other:
        assert other.group("b") == "burstable/podb"
        assert other.containers("e") == {NAME}
        control.kill(other, "b")
        assert control.wait_empty(other, "b")
        other.remove_pod("b")
        assert own.pods() == {"g", "e"}


def test_a_class_is_worth_what_its_pods_were_promised(own: CgroupTree) -> None:
    own.make_pod("e", pod_writes(Resources(), own.world), "besteffort")
    own.make_pod("a", pod_writes(Resources(250), own.world), "burstable")
    one = cpu_share(own, "burstable")
    own.make_pod("b", pod_writes(Resources(500), own.world), "burstable")
    assert (
        cpu_share(own, "besteffort")
        < cpu_share(own, "burstable/poda")
        == one
        < cpu_share(own, "burstable")
    )
    own.remove_pod("b")
    assert cpu_share(own, "burstable") == one


def test_limits_of_a_running_container_change_and_go(own: CgroupTree, start: Start) -> None:
    own.make_pod(UID, pod_writes(SMALL, own.world), "burstable")
    member = own.make_container(UID, NAME, container_writes(SMALL, own.world))
    start(member)
    member.close()
    for size in (128 << 20, 32 << 20, 0):
        wanted = Resources(cpu_limit=1500 if size else 0, memory_limit=size)
        assert own.limit(UID, None, resize_writes(Resources(), own.world)) == []
        assert own.limit(UID, NAME, resize_writes(wanted, own.world)) == []
        limit = usage_limit(own)
        assert limit == size if size else limit > 1 << 60


def usage_limit(tree: CgroupTree) -> int:
    place = tree.place("memory", UID, NAME)
    assert place is not None
    v2 = os.path.exists(f"/proc/self/fd/{place[0]}/{place[1]}/memory.max")
    with open(
        f"/proc/self/fd/{place[0]}/{place[1]}/memory.{'max' if v2 else 'limit_in_bytes'}"
    ) as file:
        return int(file.read().replace("max", str(1 << 62)))


def test_a_memory_limit_below_what_is_used_is_refused_on_v1_and_kills_on_v2(
    own: CgroupTree, start: Start
) -> None:
    member = made(own)
    child = start(
        member,
        "dd if=/dev/zero of=/dev/null bs=48M count=1 2>/dev/null; "
        "x=$(head -c 48M /dev/zero | tr '\\0' x); echo .; read y",
    )
    member.close()
    assert child.stdout is not None
    assert child.stdout.readline() == b".\n"
    if own.world.hierarchy_of("memory").v2:
        assert own.limit(UID, NAME, resize_writes(Resources(memory_limit=8 << 20), own.world)) == []
        assert child.wait(60) == -9
        return
    with pytest.raises(LimitRefused):
        own.limit(UID, NAME, resize_writes(Resources(memory_limit=8 << 20), own.world))


def test_a_v2_group_asks_the_device_program(own: CgroupTree, start: Start) -> None:
    """The allow-list attached to a v2 group, on any machine that has one."""
    if own.world.unified is None:
        pytest.skip("this machine has no such hierarchies")
    own.make_pod(UID, [ControlWrite(PROGRAM, PROGRAM, "\n".join((*DEVICE_RULES, "b 7:0 rwm")))])
    member = own.make_container(UID, NAME, [])
    script = (
        "for d in 'c 1 3' 'c 1 1' 'b 254 0' 'c 10 229'; do rm -f $T; mknod $T $d && "
        "(exec 3<$T) 2>/dev/null && echo $d; done; echo end"
    )
    child = start(member, f"T=$(mktemp -u); {script}; read y")
    member.close()
    assert child.stdout is not None
    assert list(iter(child.stdout.readline, b"end\n")) == [b"c 1 3\n"]
