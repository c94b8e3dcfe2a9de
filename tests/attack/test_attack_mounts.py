"""Attacks by images and volumes whose paths lead elsewhere, and on what is masked and read-only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.runtime.errors import RuntimeFailure
from tests.attack.arena import Arena, bring_in, image, pod

NEVER = {"imagePullPolicy": "Never"}


def volume(path: Path, at: str, **mount: Any) -> dict[str, Any]:
    return {
        "spec": {"volumes": [{"name": "v", "hostPath": {"path": str(path)}}]},
        "volumeMounts": [{"name": "v", "mountPath": at, **mount}],
    }


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


# -- mount targets (CVE-2021-30465, CVE-2024-45310, CVE-2022-23648) --------------------------------


@pytest.mark.parametrize("target", ["/data", "/data/below/it", "/up/../data", "/../../../../data"])
@pytest.mark.parametrize(
    "link", ["/outside", "../../../../../../../outside", "/proc/self/root/outside"]
)
def test_a_mount_point_that_is_a_link_stays_inside(
    arena: Arena, tmp_path: Path, link: str, target: str
) -> None:
    host = tmp_path / "volume"
    host.mkdir()
    (host / "mine").write_text("x")
    root = image(arena, tmp_path)
    (root / "data").symlink_to(link)
    name = bring_in(arena, root)
    try:
        said = arena.output(
            ["ls", os.path.normpath(target)], image=name, **NEVER, **volume(host, target)
        )
    except RuntimeFailure:
        said = "refused"
    assert said.split() in (["mine"], ["refused"])
    assert not Path("/outside").exists()
    assert tree(host) == {"mine"}


def test_a_link_to_a_directory_of_the_host_gives_nothing_away(arena: Arena, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("x")
    host = tmp_path / "volume"
    host.mkdir()
    (host / "sub").symlink_to(secret)
    with pytest.raises(Exception, match=r"subPath|symbolic link|leads"):
        arena.output("ls /data", **volume(host, "/data", subPath="sub"))
    with pytest.raises(Exception, match=r"subPath|\\.\\."):
        arena.output("ls /data", **volume(host, "/data", subPath="../secret"))


SWAPS, STARTS = 20_000, 400
RACE = """
import os, sys
os.chdir(sys.argv[1])
for turn in range(int(sys.argv[2]) // 4):
    for old, new in (("sub", "kept"), ("link", "sub"), ("sub", "link"), ("kept", "sub")):
        try:
            os.rename(old, new)
        except OSError:  # a start has made the directory that was missing for a moment
            continue
    if turn % 10 == 0:
        os.sched_yield()
"""


def test_a_sub_path_swapped_while_pods_start_never_leads_out(arena: Arena, tmp_path: Path) -> None:
    """CVE-2017-1002101, CVE-2021-25741: a racer swaps a directory for a link to the host's root,
    20,000 times while pods start.
    """
    host, outside = tmp_path / "volume", tmp_path / "outside"
    (host / "sub").mkdir(parents=True)
    (host / "sub/mine").write_text("x")
    outside.mkdir()
    (outside / "secret").write_text("x")
    (host / "link").symlink_to(outside)
    said: list[str] = []
    command = [sys.executable, "-c", RACE, str(host), str(SWAPS // 20)]
    for _ in range(20):
        with subprocess.Popen(command) as racer:
            while racer.poll() is None or "mine" not in said:
                assert len(said) < STARTS, "no start ever succeeded"
                mount = volume(host, "/data", subPath="sub")
                try:
                    said += arena.output("ls -A /data; echo -", **mount).split()
                except Exception as error:  # noqa: BLE001 - any refusal will do
                    said.append(type(error).__name__)
        assert racer.returncode == 0
    assert "secret" not in said
    assert os.listdir(outside) == ["secret"]


# -- images whose /proc, /sys or /dev is something else
# (CVE-2019-16884, CVE-2023-27561, CVE-2026-41579)


@pytest.mark.parametrize("place", ["proc", "sys", "dev"])
@pytest.mark.parametrize("to", ["/tmp", "../../../../../../tmp", "/etc"])
def test_a_kernel_directory_that_is_a_link_is_refused(
    arena: Arena, tmp_path: Path, place: str, to: str
) -> None:
    root = image(arena, tmp_path)
    (root / place).rmdir()
    (root / place).symlink_to(to)
    name = bring_in(arena, root)
    with pytest.raises(RuntimeFailure, match=f"/{place}"):
        arena.output(["echo", "started"], image=name, **NEVER)
    if to == "/etc":
        return  # what is mounted there hides the files that the pod needs
    with arena.without("strict"):
        assert arena.output(["echo", "started"], image=name, **NEVER).strip() == "started"


def test_a_null_device_that_is_a_link_masks_nothing_else(arena: Arena, tmp_path: Path) -> None:
    """CVE-2025-31133: the cover is the host's own /dev/null, whatever the image has."""
    root = image(arena, tmp_path)
    (root / "dev/null").symlink_to("/proc/sys/kernel/core_pattern")
    (root / "dev/console").symlink_to("/proc/sysrq-trigger")
    name = bring_in(arena, root)
    said = arena.output(
        ["sh", "-c", "stat -c %t:%T /proc/keys /proc/timer_list; stat -c %F /dev/null"],
        image=name,
        **NEVER,
    )
    assert said.split("\n")[:3] == ["1:3", "1:3", "character special file"]


# -- masked and read-only paths --------------------------------------------------------------------

MASKED = [
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
WRITABLE = (
    "for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe "
    "/proc/sysrq-trigger /proc/sys/vm/panic_on_oom "
    "/proc/irq/default_smp_affinity /sys/kernel/uevent_helper "
    "/sys/kernel/mm/ksm/run /proc/sys/fs/binfmt_misc/register; "
    "do test -e $f && (exec 3>>$f) 2>/dev/null && echo $f; done; true"
)


def test_knobs_of_the_host_cannot_be_opened_for_writing(arena: Arena) -> None:
    assert arena.output(WRITABLE) == ""
    with arena.without("readonly"):
        assert "/proc/sys/kernel/core_pattern" in arena.output(WRITABLE).split()


def test_masked_paths_are_empty_and_stay_so(arena: Arena) -> None:
    script = (
        f"for p in {' '.join(MASKED)}; do test -e $p && {{ test -d $p && ls -A $p || "
        f"head -c 1 $p; umount $p && echo gone; }}; done 2>/dev/null; true"
    )
    assert arena.output(script).strip() == ""
    with arena.without("masks"):
        assert arena.output("head -c 1 /proc/timer_list | wc -c").strip() == "1"


@pytest.mark.parametrize(
    "at", ["/proc", "/proc/sys", "/proc/self/attr", "/sys/fs/cgroup", "/proc/sys/kernel"]
)
def test_a_volume_over_a_kernel_directory_redirects_no_write(
    arena: Arena, tmp_path: Path, at: str
) -> None:
    """CVE-2025-52881: two containers share a volume that is mounted over procfs; a sysctl goes to
    the real file or nowhere.
    """
    (tmp_path / "v").mkdir()
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    made = pod("cat /proc/sys/net/ipv4/tcp_syncookies", **volume(tmp_path / "v", at))
    made["spec"]["containers"].append({**made["spec"]["containers"][0], "name": "d"})
    made["spec"]["securityContext"] = {
        "sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "0"}]
    }
    try:
        arena.up(made)
        arena.down()
    except RuntimeFailure:
        pass
    assert tree(tmp_path / "v") <= {"sys", "self", "fs"}
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


# -- nothing of the host's mounts ------------------------------------------------------------------


@pytest.mark.parametrize("own_users", [False, True])
def test_no_mount_of_the_host_is_seen(arena: Arena, own_users: bool) -> None:
    said = arena.output(
        "cat /proc/self/mountinfo", spec={"hostUsers": False} if own_users else None
    )
    points = {line.split()[4] for line in said.splitlines()}
    host = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    system = {"/", "/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys/fs/cgroup"}
    system |= {point for point in host if point.startswith("/sys/fs/cgroup/")}
    assert points & (host - system) == set()
    assert {"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"} <= points


def test_the_state_of_the_home_is_covered_in_the_host_image(arena: Arena) -> None:
    assert arena.output(
        f"ls -A {arena.home.root}; ls -A /etc/ssl/private; wc -c < /etc/shadow"
    ).split() == ["0"]


@pytest.mark.parametrize("path", ["/bin/../../../../etc", "/./x", "//x"])
def test_log_and_message_paths_are_ours(arena: Arena, tmp_path: Path, path: str) -> None:
    """CVE-2025-0750: a link in place of a log is replaced or refused, never followed."""
    arena.up(pod("sleep 0.2; echo said"))
    (log,) = Path(arena.home.logs).rglob("*.log")
    assert log.stat().st_nlink == 1
    assert not log.is_symlink()
    arena.pods.queries.wait("default", "p", "exited", 20)
    (tmp_path / "victim").write_text("secret")
    log.unlink()
    log.symlink_to(tmp_path / "victim")
    try:
        said = arena.logs()
    except (RuntimeFailure, OSError):
        said = ""
    assert "secret" not in said
