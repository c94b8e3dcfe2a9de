"""Resources as control file values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.cgroup import classes
from kubelite.node.cgroup.hierarchies import Hierarchy, World
from kubelite.node.cgroup.limits import (
    DEVICE_RULES,
    MAX_SHARES,
    MIN_SHARES,
    ControlWrite,
    Resources,
    container_writes,
    cpu_quota,
    cpu_shares,
    cpu_weight,
    device_writes,
    pod_writes,
)

V1 = World(
    "v1",
    tuple(
        Hierarchy(f"/c/{name}", frozenset({name}), False)
        for name in ("cpu", "cpuacct", "memory", "pids", "devices", "freezer")
    ),
)
V2 = World("v2", (Hierarchy("/c", frozenset({"cpu", "memory", "pids"}), True),))
MIXED = World(
    "hybrid",
    (
        Hierarchy("/c/cpu", frozenset({"cpu"}), False),
        Hierarchy("/c/u", frozenset({"memory"}), True),
    ),
)
WORLDS = st.sampled_from([V1, V2, MIXED])
RESOURCES = st.builds(
    Resources,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 2**50),
    st.integers(0, 2**22),
    st.dictionaries(st.sampled_from([64 << 10, 2 << 20, 1 << 30]), st.integers(0, 2**40)).map(
        lambda d: tuple(d.items())
    ),
)


def values(control_writes: list[ControlWrite]) -> dict[str, str]:
    return {write.file: write.value for write in control_writes}


@pytest.mark.parametrize(
    ("milli", "shares"),
    [
        (0, 2),
        (1, 2),
        (2, 2),
        (3, 3),
        (100, 102),
        (250, 256),
        (1000, 1024),
        (256000, 262144),
        (10**7, 262144),
    ],
)
def test_shares(milli: int, shares: int) -> None:
    assert cpu_shares(milli) == shares


@pytest.mark.parametrize(
    ("shares", "weight"),
    [
        (0, 1),
        (2, 1),
        (102, 17),
        (512, 59),
        (1024, 100),
        (2048, 174),
        (262144, 10000),
        (10**9, 10000),
    ],
)
def test_weight(shares: int, weight: int) -> None:
    assert cpu_weight(shares) == weight


@pytest.mark.parametrize(
    ("milli", "quota"), [(0, 0), (1, 1000), (10, 1000), (11, 1100), (500, 50000), (4000, 400000)]
)
def test_quota(milli: int, quota: int) -> None:
    assert cpu_quota(milli) == quota


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_more_cpu_never_weighs_less(one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert cpu_shares(less) <= cpu_shares(more)
    assert cpu_weight(cpu_shares(less)) <= cpu_weight(cpu_shares(more))
    assert cpu_quota(less) <= cpu_quota(more) or less == 0 or more == 0


@given(st.integers(-10, 10**9))
def test_values_stay_within_what_the_kernel_takes(milli: int) -> None:
    assert 2 <= cpu_shares(milli) <= 262144
    assert 1 <= cpu_weight(cpu_shares(milli)) <= 10000
    assert cpu_quota(milli) == 0 or cpu_quota(milli) >= 1000


def test_a_container_on_v1() -> None:
    control_writes = container_writes(Resources(250, 500, 64 << 20, 100), V1)
    assert values(control_writes) == {
        "cpu.shares": "256",
        "cpu.cfs_quota_us": "50000",
        "memory.limit_in_bytes": "67108864",
        "memory.memsw.limit_in_bytes": "67108864",
        "pids.max": "100",
    }


def test_a_container_on_v2_dies_as_a_whole_when_out_of_memory() -> None:
    control_writes = container_writes(Resources(500, 500, 64 << 20, 100), V2)
    assert values(control_writes) == {
        "cpu.weight": "59",
        "cpu.max": "50000 100000",
        "memory.max": "67108864",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "100",
    }
    assert "memory.oom.group" not in values(pod_writes(Resources(memory_limit=1 << 20), V2))


def test_each_controller_is_written_as_where_it_works() -> None:
    control_writes = values(container_writes(Resources(1, 1000, 1 << 20), MIXED))
    assert {
        "cpu.shares",
        "cpu.cfs_quota_us",
        "memory.max",
        "memory.oom.group",
    } <= control_writes.keys()


def test_a_limit_without_a_request_is_the_request() -> None:
    assert values(pod_writes(Resources(cpu_limit=2000), V1))["cpu.shares"] == "2048"


def test_what_a_new_group_has_is_not_written() -> None:
    assert pod_writes(Resources(cpu_request=1000), V1) == []
    assert pod_writes(Resources(cpu_request=1000), V2) == []


def test_a_pod_without_requests_gets_the_least() -> None:
    assert values(pod_writes(Resources(), V1)) == {"cpu.shares": "2"}
    assert values(pod_writes(Resources(), V2)) == {"cpu.weight": "1"}


def test_devices_are_denied_before_they_are_allowed_and_only_on_v1() -> None:
    control_writes = device_writes(V1)
    assert control_writes[0] == ControlWrite("devices", "devices.deny", "a")
    assert [write.value for write in control_writes[1:]] == list(DEVICE_RULES)
    assert [write.controller for write in device_writes(V2)] == ["device program"]
    assert device_writes(World("v1", V1.hierarchies[:1])) == []


@given(RESOURCES, WORLDS)
def test_every_value_is_a_number_and_no_file_comes_twice(
    resources: Resources, world: World
) -> None:
    control_writes = container_writes(resources, world)
    assert len({write.file for write in control_writes}) == len(control_writes)
    for write in control_writes:
        assert all(int(word) >= 0 for word in write.value.split())


@given(RESOURCES, WORLDS)
def test_memory_limits_are_exact(resources: Resources, world: World) -> None:
    found = values(container_writes(resources, world))
    limit = found.get("memory.max", found.get("memory.limit_in_bytes"))
    assert limit == (str(resources.memory_limit) if resources.memory_limit else None)


def test_huge_pages_by_their_size() -> None:
    resources = Resources(huge_pages=((2 << 20, 8 << 20), (1 << 30, 0), (64 << 10, 1 << 20)))
    v2 = World("v2", (Hierarchy("/c", frozenset({"cpu", "hugetlb"}), True),))
    found = values(pod_writes(resources, v2))
    assert {name: found[name] for name in found if name.startswith("huge")} == {
        "hugetlb.2MB.max": str(8 << 20),
        "hugetlb.1GB.max": "0",
        "hugetlb.64KB.max": str(1 << 20),
    }
    assert values(pod_writes(resources, V1))["hugetlb.2MB.limit_in_bytes"] == str(8 << 20)


@given(st.integers(MIN_SHARES, MAX_SHARES))
def test_shares_of_a_weight_have_that_weight(shares: int) -> None:
    assert cpu_weight(classes.shares_of(cpu_weight(shares))) == cpu_weight(shares)


def test_shares_of_a_class() -> None:
    assert classes.total_shares([]) == classes.total_shares([2, 2]) == 2
    assert classes.total_shares([256, 2, 512]) == 768
    assert classes.total_weight([]) == 1
    assert classes.total_weight([100]) == 100
    assert classes.total_weight([100, 100]) >= 170
    assert [classes.class_of(q) for q in ("Guaranteed", "Burstable", "BestEffort")] == [
        "",
        "burstable",
        "besteffort",
    ]
