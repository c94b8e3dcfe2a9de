"""Attacks through system calls, cgroups, devices and knobs; and what a container has, compared with
the OCI defaults.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.seccomp import bpf
from kubelite.node.runtime.storage import measure
from tests.attack.arena import SLEEP, Arena, bring_in, image, pod

NUMBERS = bpf.numbers("x86_64" if os.uname().machine == "x86_64" else "aarch64")
DENIED = (
    "unshare setns mount umount2 pivot_root fsopen fsconfig fsmount fspick "
    "open_tree move_mount mount_setattr bpf perf_event_open "
    "userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl "
    "add_key request_key open_by_handle_at kexec_load "
    "kexec_file_load init_module finit_module delete_module reboot swapon "
    "swapoff acct quotactl settimeofday clock_settime "
    "sethostname setdomainname process_madvise pidfd_getfd kcmp "
    "lookup_dcookie syslog vhangup nfsservctl fanotify_init"
).split()


def calls(names: list[str]) -> list[str]:
    """A program that makes each call with arguments of zero, and says the number of the error."""
    numbers = {name: NUMBERS[name] for name in names if name in NUMBERS}
    text = (
        "import ctypes\nlibc=ctypes.CDLL(None,use_errno=True)\n"
        f"for name,n in {numbers!r}.items():\n ctypes.set_errno(0); "
        "libc.syscall(n,0,0,0,0,0,0); print(name,ctypes.get_errno())"
    )
    return ["python3", "-c", text]


def answers(said: str) -> dict[str, int]:
    return {name: int(number) for name, number in (line.split() for line in said.splitlines())}


def test_calls_that_reach_the_host_are_refused(arena: Arena) -> None:
    found = answers(arena.output(calls(DENIED)))
    assert {name: number for name, number in found.items() if number != 1} == {}
    assert len(found) > 35
    arena.up(pod())
    assert answers(arena.exec(calls(DENIED))) == found
    arena.down()
    # Without the filter some of them get as far as their arguments.
    open_ones = answers(
        arena.output(calls(DENIED), securityContext={"seccompProfile": {"type": "Unconfined"}})
    )
    assert {"keyctl", "unshare"} <= {name for name, number in open_ones.items() if number != 1}
    with arena.without("filter"):
        assert answers(arena.output(calls(DENIED))) == open_ones


def test_no_user_namespace_and_no_way_around(arena: Arena) -> None:
    """CVE-2022-0185 and its kin: clone with flags is refused, clone3 is not there, 32-bit programs
    find the same.
    """
    text = (
        "import ctypes,os\nlibc=ctypes.CDLL(None,use_errno=True)\n"
        "for f in (0x10000000,0x20000,0x40000000): "
        f"print(libc.syscall({NUMBERS['clone']},f|17,0,0,0,0),ctypes.get_errno())\n"
        f"print(libc.syscall({NUMBERS['clone3']},0,0),ctypes.get_errno())\n"
        f"print(libc.syscall({NUMBERS['socket']},40,1,0),ctypes.get_errno(),libc.syscall({NUMBERS['socket']},38,5,0),ctypes.get_errno())\n"
        f"print(libc.syscall({NUMBERS['personality']},0x400000),ctypes.get_errno())"
    )
    assert arena.output(["python3", "-c", text]).splitlines() == ["-1 1"] * 3 + [
        "-1 38",
        "-1 1 -1 1",
        "-1 1",
    ]


def test_a_container_with_the_capability_may_mount_and_stays_inside(arena: Arena) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    said = arena.output(
        "mount -t tmpfs none /mnt && echo mounted",
        securityContext={"capabilities": {"add": ["SYS_ADMIN"]}},
    )
    assert said == "mounted\n"
    assert Path("/proc/self/mountinfo").read_text() == before


def test_a_missing_profile_is_an_error_and_not_no_profile(arena: Arena) -> None:
    """CVE-2023-2431."""
    profile = {"seccompProfile": {"type": "Localhost", "localhostProfile": "none.json"}}
    with pytest.raises(RuntimeFailure, match="cannot read seccomp profile"):
        arena.output("true", securityContext=profile)
    with pytest.raises(Exception, match=r"localhostProfile|leads out"):
        arena.output(
            "true",
            securityContext={"seccompProfile": {"type": "Localhost", "localhostProfile": ""}},
        )
    with pytest.raises(Exception, match=r"localhostProfile|leads out"):
        arena.output(
            "true",
            securityContext={
                "seccompProfile": {"type": "Localhost", "localhostProfile": "../../etc/passwd"}
            },
        )


def test_a_profile_of_ones_own_is_kept(arena: Arena) -> None:
    os.makedirs(arena.home.seccomp)
    rules = (
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", '
        '"mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}'
    )
    Path(f"{arena.home.seccomp}/no-mkdir.json").write_text(rules)
    profile = {"seccompProfile": {"type": "Localhost", "localhostProfile": "no-mkdir.json"}}
    arena.up(pod(securityContext=profile))
    for said in (arena.exec("mkdir /x 2>&1; true"),):
        assert "Operation not supported" in said


# -- cgroups ---------------------------------------------------------------------------------------


def test_no_release_agent_can_be_set(arena: Arena) -> None:
    """CVE-2022-0492."""
    script = (
        "unshare -UrmC sh -c 'mkdir /tmp/c && mount -t cgroup -o "
        "rdma,memory c /tmp/c && echo mounted' 2>/dev/null; "
        "mkdir -p /tmp/d && mount -t cgroup -o memory c /tmp/d 2>/dev/null && echo mounted; "
        "find / -xdev -name release_agent 2>/dev/null; "
        "(echo x > /sys/fs/cgroup/release_agent) 2>/dev/null && echo written; "
        "true"
    )
    assert arena.output(script) == ""


def test_cgroups_cannot_be_written(arena: Arena) -> None:
    script = (
        "for f in $(find /sys/fs/cgroup -type f -perm -200 2>/dev/null | head -20); "
        "do (exec 3>>$f) 2>/dev/null && echo $f; done; cut -d: -f3 /proc/self/cgroup | "
        "sort -u"
    )
    assert arena.output(script).split() == ["/"]


@pytest.mark.parametrize("own_users", [False, True])
def test_devices_of_the_host_cannot_be_opened(arena: Arena, own_users: bool) -> None:
    script = (
        "for d in 'b 8 0' 'b 254 0' 'c 1 1' 'c 1 4' 'c 10 229' 'c 10 "
        "200'; do mknod /tmp/n $d 2>/dev/null && "
        "{ head -c 1 /tmp/n 2>/dev/null && echo OPENED $d; rm /tmp/n; }; done; "
        "mknod /tmp/null c 1 3 2>/dev/null && echo x > /tmp/null && echo null; ls /dev"
    )
    said = arena.output(script, spec={"hostUsers": False} if own_users else None)
    assert "OPENED" not in said
    assert ("null\n" in said.partition("fd\n")[0]) == (not own_users)
    assert set(said.split()) >= {
        "null",
        "zero",
        "full",
        "random",
        "urandom",
        "tty",
        "fd",
        "stdin",
        "stdout",
        "stderr",
        "ptmx",
        "pts",
        "shm",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel.shm_rmid_forced", "1+kernel.core_pattern=x"),
        ("net.ipv4.tcp_syncookies", "1\nx"),
        ("kernel.core_pattern", "|/x"),
        ("kernel.shm_rmid_forced/../core_pattern", "x"),
        ("net/../kernel/core_pattern", "x"),
    ],
)
def test_a_sysctl_cannot_smuggle_another(arena: Arena, name: str, value: str) -> None:
    """CVE-2022-0811."""
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    with pytest.raises(Exception):
        arena.output(
            "true", spec={"securityContext": {"sysctls": [{"name": name, "value": value}]}}
        )
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_a_sysctl_that_is_permitted_is_the_pods_alone(arena: Arena) -> None:
    before = Path("/proc/sys/kernel/msgmax").read_text()
    spec = {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "7777"}]}}
    with pytest.raises(RuntimeFailure, match=r"--allow-unsafe-sysctl kernel.msgmax"):
        arena.up(pod(spec=spec))
    arena.up(pod(spec=spec), unsafe_sysctls=["kernel.msg*"])
    assert arena.exec("cat /proc/sys/kernel/msgmax") == "7777\n"
    assert Path("/proc/sys/kernel/msgmax").read_text() == before


# -- annotations, labels, environment (CVE-2024-3154, CVE-2026-53488, CVE-2022-4318) ---------------


def test_annotations_of_other_runtimes_change_nothing(arena: Arena) -> None:
    names = [
        "io.kubernetes.cri-o.userns-mode",
        "io.podman.annotations.privileged",
        "org.systemd.property.ExecStopPost",
        "run.oci.handler",
        "io.kubernetes.cri-o.Devices",
        "container.apparmor.security.beta.kubernetes.io/c",
    ]
    annotations = {name if "/" in name else f"{name}/c": "unconfined" for name in names}
    script = (
        "grep -E 'Seccomp|CapEff|NoNew' /proc/self/status; "
        "readlink /proc/self/ns/user; ls /dev | wc -l"
    )
    plain = arena.output(script)
    assert arena.output(script, metadata={"annotations": annotations}) == plain


def test_control_characters_of_the_environment_reach_no_file(arena: Arena, tmp_path: Path) -> None:
    root = image(arena, tmp_path)
    before = (root / "etc/passwd").read_text()
    name = bring_in(arena, root)
    env = [{"name": "HOME", "value": "/x\nroot2::0:0::/:/bin/sh"}]
    assert (
        arena.output(["cat", "/etc/passwd"], image=name, imagePullPolicy="Never", env=env) == before
    )


# -- limits hold -----------------------------------------------------------------------------------


def test_a_fork_bomb_ends_at_the_limit_and_can_be_killed(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kubelite.node.kubelet.act import facts

    monkeypatch.setattr(facts, "pids_limit", lambda: 60)
    # Who got a child stays and holds its place: a bomb of shells alone, which end where fork fails,
    # may be over before it is seen.
    arena.up(pod("bomb() { bomb | bomb & sleep 100; }; bomb 2>/dev/null & exec sleep 100"))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        count = sum(
            1
            for each in os.listdir("/proc")
            if each.isdigit() and _group_of(each, arena.home.cgroup)
        )
        if count > 30:
            break
        time.sleep(0.02)
    assert 30 < count <= 62
    subprocess.run(["true"], check=True)  # the machine still has room
    began = time.monotonic()
    arena.down()
    assert time.monotonic() - began < 5


def _group_of(pid: str, name: str) -> bool:
    try:
        return name in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def test_memory_ends_at_the_limit_and_only_there(arena: Arena) -> None:
    made = pod(
        "x=$(head -c 200M /dev/zero | tr '\\0' x); echo survived",
        resources={"limits": {"memory": "32Mi"}},
    )
    made["spec"]["containers"].append(
        {"name": "d", "image": "host", "command": ["sh", "-c", SLEEP]}
    )
    arena.up(made)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        status = arena.pods.queries.get("default", "p").status
        states = {each.name: each.state for each in status.container_statuses}
        if states["c"].terminated:
            break
        time.sleep(0.05)
    assert states["c"].terminated.reason == "OOMKilled"
    assert states["d"].running


def test_cpu_is_throttled_by_the_groups_own_count(arena: Arena) -> None:
    from kubelite.node.cgroup.detect import read_world
    from kubelite.node.cgroup.tree import CgroupTree
    from kubelite.node.cgroup.usage import read_usage

    arena.up(pod("while :; do :; done", resources={"limits": {"cpu": "100m"}}))
    uid = arena.pods.queries.get("default", "p").metadata.uid or ""
    with CgroupTree(read_world(), arena.home.cgroup) as tree:
        first, began = read_usage(tree, uid), time.monotonic()
        time.sleep(2)
        second, seconds = read_usage(tree, uid), time.monotonic() - began
    used = ((second.cpu_ns or 0) - (first.cpu_ns or 0)) / 1e9
    assert used <= 0.1 * seconds + 0.15
    assert (second.throttled or 0) > (first.throttled or 0)


def test_scores_and_limits_of_processes(arena: Arena) -> None:
    annotations = {"annotations": {"kubelite.io/rlimits": "nofile=50:60,core=0,nproc=33"}}
    arena.up(pod(metadata=annotations, resources={"limits": {"cpu": "1", "memory": "64Mi"}}))
    score = int(Path(f"/proc/{arena.pid()}/oom_score_adj").read_text())
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert score in (-997, own)
    for said in (arena.exec("ulimit -n; ulimit -Hn; ulimit -c"),):
        assert said.split() == ["50", "60", "0"]
    limits = Path(f"/proc/{arena.pid()}/limits").read_text()
    assert "Max processes             33" in limits


# -- the defaults of the OCI runtime specification -------------------------------------------------

LOOK = (
    "grep -E "
    "'^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|Seccomp|NoNewPrivs|Groups):' "
    "/proc/self/status | tr -d '\\t'; "
    "awk '{print \"mount\", $5, $6}' /proc/self/mountinfo | "
    "grep -E ' (/proc|/dev|/dev/pts|/dev/shm|/dev/mqueue|/sys) '; "
    "for p in /proc/keys /proc/timer_list; do echo masked $p $(stat -c %t:%T $p); done; "
    "for p in /proc/bus /proc/irq /proc/sys /proc/sysrq-trigger; do test -e $p && "
    "echo ro $p $(awk -v p=$p '$5 == p {print substr($6,1,2)}' /proc/self/mountinfo); "
    "done"
)
FULL = int(
    next(
        line.split()[1]
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapPrm")
    ),
    16,
)
DEFAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "default": (
        {},
        {},
        ["CapEff:00000000a80425fb", "CapBnd:00000000a80425fb", "Seccomp:2", "NoNewPrivs:0"],
    ),
    "restricted": (
        {},
        {
            "capabilities": {"drop": ["ALL"]},
            "allowPrivilegeEscalation": False,
            "runAsUser": 7,
            "runAsGroup": 8,
        },
        [
            "CapEff:0000000000000000",
            "CapBnd:0000000000000000",
            "Seccomp:2",
            "NoNewPrivs:1",
            "Groups:8 ",
        ],
    ),
    "privileged": (
        {},
        {"privileged": True},
        [f"CapEff:{FULL:016x}", f"CapBnd:{FULL:016x}", "Seccomp:0", "NoNewPrivs:0"],
    ),
    "own users": (
        {"hostUsers": False},
        {},
        ["CapEff:00000000a80425fb", "CapBnd:00000000a80425fb", "Seccomp:2", "NoNewPrivs:0"],
    ),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_a_container_has(arena: Arena, name: str) -> None:
    spec, context, expected = DEFAULTS[name]
    lines = [
        line for line in arena.output(LOOK, spec=spec, securityContext=context).splitlines() if line
    ]
    assert {*expected, "CapInh:0000000000000000", "CapAmb:0000000000000000"} <= set(lines)
    bare = name == "privileged"
    mounts = {
        words[1]: set(words[2].split(",")) for words in map(str.split, lines) if words[0] == "mount"
    }
    assert {"nosuid", "nodev", "noexec"} <= mounts["/proc"] & mounts["/sys"] & mounts[
        "/dev/mqueue"
    ] & mounts["/dev/shm"]
    assert "nosuid" in mounts["/dev"] & mounts["/dev/pts"]
    assert ("ro" in mounts["/sys"]) == (not bare)
    masked = {words[1]: words[2] for words in map(str.split, lines) if words[0] == "masked"}
    assert all((number == "1:3") == (not bare) for number in masked.values())
    assert len(masked) == 2
    read_only = {words[1]: words[2:] for words in map(str.split, lines) if words[0] == "ro"}
    assert all(word == ([] if bare else ["ro"]) for word in read_only.values())


def test_signals_are_at_their_defaults(arena: Arena) -> None:
    said = arena.output("grep -E '^Sig(Blk|Ign)' /proc/self/status")
    assert {
        int(line.split()[1], 16) & ~(1 << signal.SIGCHLD - 1) for line in said.splitlines()
    } == {0}


def test_what_is_used_is_counted_disk_and_managed_files_included(arena: Arena) -> None:
    """CVE-2020-8557: what a pod writes to its /etc/hosts counts as well."""
    script = (
        "head -c 3M /dev/zero > /etc/hosts; head -c 5M /dev/zero > "
        "/big; head -c 2M /dev/zero > /v/f; sync"
    )
    arena.up(
        pod(
            f"{script}; {SLEEP}",
            volumeMounts=[{"name": "v", "mountPath": "/v"}],
            spec={"volumes": [{"name": "v", "emptyDir": {}}]},
        )
    )
    ledger = Ledger(arena.home)
    record = ledger.find("default", "p")
    assert record is not None
    deadline = time.monotonic() + 20
    found = measure(arena.home, record, ledger.containers(record.uid))
    while found.total < 10 << 20 and time.monotonic() < deadline:
        time.sleep(0.05)
        found = measure(arena.home, record, ledger.containers(record.uid))
    assert found.volumes["v"] >= 2 << 20
    assert found.containers["c"] >= 5 << 20
    assert found.files >= 3 << 20
    assert found.total >= 10 << 20
