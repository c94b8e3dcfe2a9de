"""What the groups of real pods are told, and that it holds, in whichever world of cgroups this
machine has.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.cgroup.detect import read_world
from kubelite.node.kubelet.pods import node_info
from tests.attack.arena import SLEEP, Arena, pod
from tests.e2e.world import SLOW

HOG = "x=$(head -c 200M /dev/zero | tr '\\0' x)"
HUGE = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


def controllers() -> dict[str, str]:
    """Where each controller is mounted, "" for the v2 hierarchy itself: /proc/mounts (proc(5))."""
    found: dict[str, str] = {}
    for _, point, kind, options, *_ in map(
        str.split, Path("/proc/mounts").read_text().splitlines()
    ):
        if kind == "cgroup":
            found |= dict.fromkeys(options.split(","), point)
        elif kind == "cgroup2":
            found |= dict.fromkeys(
                [*Path(point, "cgroup.controllers").read_text().split(), ""], point
            )
    return found


def group(pid: int, controller: str) -> Path:
    """The directory of the group that a process is in."""
    point = controllers()[controller]
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(",") or (
            not names and Path(point, "cgroup.controllers").exists()
        ):
            return Path(point + path)
    raise AssertionError(f"process {pid} is in no group of {controller}")


def is_v2(controller: str) -> bool:
    return Path(controllers()[controller], "cgroup.controllers").exists()


def memory_limit(place: Path) -> int | None:
    """None for no limit; v1 writes that as a number near the largest."""
    text = (
        (place / ("memory.max" if is_v2("memory") else "memory.limit_in_bytes")).read_text().strip()
    )
    return None if text == "max" or int(text) > 1 << 60 else int(text)


def quota(place: Path) -> int:
    """Microseconds in each tenth of a second, -1 for no limit."""
    text = (place / ("cpu.max" if is_v2("cpu") else "cpu.cfs_quota_us")).read_text().split()[0]
    return -1 if text == "max" else int(text)


def share(place: Path) -> int:
    return int((place / ("cpu.weight" if is_v2("cpu") else "cpu.shares")).read_text())


def eventually(found: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 60 * SLOW
    while not (value := found()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return value


def ended(arena: Arena, container: str = "c") -> Any:
    """How a container ended, None while it runs."""
    status = arena.pods.queries.get("default", "p").status
    assert status is not None
    states = {each.name: each.state for each in status.container_statuses}
    return states[container].terminated


def limits(cpu: str, memory: str) -> dict[str, Any]:
    return {"limits": {"cpu": cpu, "memory": memory}}


@pytest.mark.parametrize(
    ("resources", "below", "shares", "weight"),
    [
        ({}, ["besteffort"], 2, 1),
        ({"requests": {"cpu": "250m"}}, ["burstable"], 256, 35),
        (limits("500m", "64Mi"), [], 512, 59),
    ],
)
def test_a_pod_lies_below_its_class_and_counts_for_what_it_asks(
    arena: Arena, resources: dict[str, Any], below: list[str], shares: int, weight: int
) -> None:
    arena.up(pod(resources=resources))
    place = group(arena.pid(), "cpu")
    home = Path(controllers()["cpu"], arena.home.cgroup)
    uid = arena.pods.queries.get("default", "p").metadata.uid
    assert place.parent == Path(home, *below, f"pod{uid}")
    expected = weight if is_v2("cpu") else shares
    assert share(place) == share(place.parent) == expected
    for name in below:
        assert share(home / name) == expected


def test_an_overhead_is_the_pods_and_not_its_containers(arena: Arena) -> None:
    arena.up(
        pod(resources=limits("200m", "64Mi"), spec={"overhead": {"cpu": "100m", "memory": "16Mi"}})
    )
    memory, cpu = group(arena.pid(), "memory"), group(arena.pid(), "cpu")
    assert (memory_limit(memory), memory_limit(memory.parent)) == (64 << 20, 80 << 20)
    assert (quota(cpu), quota(cpu.parent)) == (20_000, 30_000)


def test_a_limit_of_the_pod_as_a_whole_holds_for_containers_without_one(arena: Arena) -> None:
    arena.up(pod(f"{HOG}; echo survived; {SLEEP}", spec={"resources": limits("300m", "32Mi")}))
    place = group(arena.pid(), "memory") if ended(arena) is None else None
    if place is not None:
        assert (memory_limit(place), memory_limit(place.parent)) == (None, 32 << 20)
        assert quota(group(arena.pid(), "cpu").parent) == 30_000
    assert eventually(lambda: ended(arena), "it is killed").reason == "OOMKilled"
    assert "survived" not in arena.logs()


def test_a_container_that_takes_too_much_dies_as_a_whole(arena: Arena) -> None:
    """As the kubelet has it, by memory.oom.group of v2. Without that it is the kernel's choice who
    dies, and how many.
    """
    if not is_v2("memory"):
        pytest.skip("this machine has no such hierarchies")
    arena.up(pod(f"( {HOG} ); echo survived; {SLEEP}", resources=limits("1", "32Mi")))
    assert eventually(lambda: ended(arena), "it is killed").reason == "OOMKilled"
    assert arena.logs() == ""


def test_no_more_huge_pages_than_the_limit(arena: Arena) -> None:
    if not HUGE.exists() or int(HUGE.read_text()) < 4:
        pytest.skip("this machine has set aside no huge pages")
    page = 2 << 20
    text = (
        "import mmap,os\n"
        f"m=mmap.mmap(-1,{4 * page},flags=mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS|0x40000)\n"
        f"for n in range(4):\n m[n*{page}]=1\n os.write(1,b'%d '%n)"
    )
    asked = {"limits": {"hugepages-2Mi": "4Mi", "memory": "64Mi", "cpu": "1"}}
    assert arena.output(["python3", "-c", text], resources=asked).split() == ["0", "1"]
    assert (
        arena.output(
            ["python3", "-c", text],
            resources={"limits": {**asked["limits"], "hugepages-2Mi": "8Mi"}},
        ).split()[-1]
        == "3"
    )
    assert arena.output(["python3", "-c", text], resources={}) == ""


def test_system_info_says_which_hierarchies_there_are(arena: Arena) -> None:
    said = node_info.info(arena.home)
    mounts = {
        kind for _, _, kind, *_ in map(str.split, Path("/proc/mounts").read_text().splitlines())
    }
    expected = {(True, True): "hybrid", (True, False): "v1", (False, True): "v2"}[
        "cgroup" in mounts, "cgroup2" in mounts
    ]
    assert said["cgroups"].pop("kind") == expected
    found = controllers()
    for point, text in said["cgroups"].items():
        version, _, names = text.partition(": ")
        assert (version == "v2") == Path(point, "cgroup.controllers").exists()
        assert all(found[name] == point for name in names.split(", ") if names != "no controllers")
    for name in ("cpu", "memory", "pids", "hugetlb"):
        assert any(f"the {name} controller" in line for line in said["refused"]) == (
            name not in found
        )


def test_a_container_sees_its_own_limits_and_changes_none(arena: Arena) -> None:
    """Below /sys/fs/cgroup, on v1 and hybrid machines as on v2: runtimes size themselves by it."""
    world = read_world()
    memory = world.hierarchy_of("memory")
    assert memory is not None
    name = "memory.max" if memory.v2 else "memory/memory.limit_in_bytes"
    procs = "cgroup.procs" if memory.v2 else "memory/cgroup.procs"
    script = (
        f"cd /sys/fs/cgroup; cat {name}; echo $(cat {procs}); "
        f"(echo 1 > {name}) 2>&1; (echo > new) 2>&1; ls"
    )
    said = arena.output(script, resources={"limits": {"memory": "64Mi"}}).splitlines()
    assert said[0] == str(64 << 20)
    assert said[1].split()[0] == "1", "only the processes of the container are there"
    assert "ead-only" in said[2]
    assert "ead-only" in said[3] or "No space" in said[3]
    assert "new" not in said[4:]
