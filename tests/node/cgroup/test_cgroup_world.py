"""Which world a machine is, from the text of its mounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.cgroup.hierarchies import World, decide, parse_mounts

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
OTHER = "23 1 8:1 / / rw,relatime - ext4 /dev/vda rw"


def v1(names: str, point: str, root: str = "/") -> str:
    return f"32 31 0:29 {root} {point} rw,relatime - cgroup cgroup rw,{names}"


def world(*lines: str, v2_controllers: str = "") -> World:
    return decide(parse_mounts("\n".join([OTHER, *lines])), v2_controllers)


def test_a_machine_with_v2_only() -> None:
    found = world(V2, v2_controllers="cpuset cpu io memory hugetlb pids\n")
    assert found.kind == "v2"
    assert [(h.mount_point, h.v2) for h in found.in_use] == [("/sys/fs/cgroup", True)]
    assert found.in_use[0].controllers == {"cpu", "memory", "pids", "hugetlb"}


def test_a_machine_with_v1_only_needs_the_freezer_and_cpuacct() -> None:
    found = world(
        v1("cpu,cpuacct", "/c/cpu"),
        v1("memory", "/c/m"),
        v1("freezer", "/c/f"),
        v1("blkio", "/c/b"),
    )
    assert found.kind == "v1"
    assert found.unified is None
    assert [h.mount_point for h in found.in_use] == ["/c/cpu", "/c/m", "/c/f"]


def test_combined_controllers_are_one_hierarchy() -> None:
    found = world(v1("cpu,cpuacct", "/c/cpu"), V2)
    assert found.hierarchy_of("cpu") is found.hierarchy_of("cpuacct")
    assert len(found.hierarchies) == 2


def test_a_hybrid_machine_leaves_freezer_and_cpuacct_to_its_v2_half() -> None:
    lines = [v1(n, f"/c/{n}") for n in ("cpu", "cpuacct", "memory", "freezer", "devices", "pids")]
    found = world(*lines, V2)
    assert found.kind == "hybrid"
    assert {h.mount_point for h in found.in_use} == {
        "/c/cpu",
        "/c/memory",
        "/c/devices",
        "/c/pids",
        "/sys/fs/cgroup",
    }
    assert found.in_use[-1].v2


def test_named_hierarchies_without_a_controller_have_no_part() -> None:
    assert world(v1("name=systemd", "/c/systemd"), V2).kind == "v2"


def test_of_several_mounts_the_one_that_shows_the_root_counts() -> None:
    found = world(v1("memory", "/a", root="/docker/1"), v1("memory", "/b"), v1("memory", "/c"))
    assert [h.mount_point for h in found.hierarchies] == ["/b"]


def test_blanks_in_a_mount_point_are_decoded() -> None:
    assert world(v1("memory", r"/my\040groups\134x")).hierarchies[0].mount_point == r"/my groups\x"


def test_a_machine_without_cgroups_has_no_hierarchy() -> None:
    assert world().hierarchies == ()


@pytest.mark.parametrize(
    "line", ["x - cgroup", "1 2 3:4 / /p rw - cgroupfoo a rw,cpu", " - cgroup2 "]
)
def test_lines_that_are_no_mounts_are_left_out(line: str) -> None:
    assert parse_mounts(line) == []


@given(st.text(st.characters(exclude_characters="\0"), min_size=1))
def test_every_mount_point_comes_back(point: str) -> None:
    escaped = "".join(f"\\{ord(c):03o}" if c in " \t\n\\" else c for c in point)
    assert [m.point for m in parse_mounts(v1("cpu", f"/{escaped}"))] == [f"/{point}"]


@given(st.text(max_size=40), st.text(alphabet="\\048x", max_size=8))
def test_no_line_breaks_the_parser(text: str, point: str) -> None:
    for mount in parse_mounts(f"{text}\n1 2 3:4 / /{point} rw - cgroup cgroup rw,cpu"):
        assert mount.names == {"cpu"}
