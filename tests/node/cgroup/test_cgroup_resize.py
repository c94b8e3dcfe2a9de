"""What is written for a group whose limits change while processes are in it."""

from __future__ import annotations

import pytest

from kubelite.node.cgroup.hierarchies import Hierarchy, World
from kubelite.node.cgroup.limits import Resources, resize_writes

MIB = 1 << 20
BOTH = frozenset({"cpu", "memory"})
WORLDS = {
    "v1": World("v1", (Hierarchy("/x", BOTH, False),)),
    "v2": World("v2", (Hierarchy("/x", BOTH, True),)),
}


def written(kind: str, resources: Resources) -> list[tuple[str, str]]:
    return [(write.file, write.value) for write in resize_writes(resources, WORLDS[kind])]


def test_every_value_is_written_also_that_of_a_new_group() -> None:
    default = Resources(cpu_request=1024 * 1000 // 1024)
    assert ("cpu.shares", str(1024 * 1000 // 1024 * 1024 // 1000)) in written("v1", default)
    assert written("v2", Resources(1000, 2000, 64 * MIB)) == [
        ("cpu.weight", "100"), ("cpu.max", "200000 100000"), ("memory.max", str(64 * MIB)),
        ("memory.swap.max", "0"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "v1",
            {
                "cpu.cfs_quota_us": "-1",
                "memory.limit_in_bytes": "-1",
                "memory.memsw.limit_in_bytes": "-1",
            },
        ),
        ("v2", {"cpu.max": "max 100000", "memory.max": "max"}),
    ],
)
def test_none_is_written_as_none(kind: str, expected: dict[str, str]) -> None:
    found = dict(written(kind, Resources(cpu_request=100)))
    assert expected.items() <= found.items()


def test_on_v1_swap_is_out_of_the_way_before_memory_changes_and_limited_again_after() -> None:
    files = [
        each
        for each in written("v1", Resources(100, 100, 64 * MIB))
        if each[0].startswith("memory")
    ]
    both = "memory.memsw.limit_in_bytes"
    assert files == [(both, "-1"), ("memory.limit_in_bytes", str(64 * MIB)), (both, str(64 * MIB))]
