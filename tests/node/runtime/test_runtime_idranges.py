"""Ranges of user ids: never one that a living user namespace has."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.runtime import idranges
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.launch_plan import IDS

ALL = range(idranges.FIRST, idranges.LAST + 1)


@given(st.text(), st.sets(st.sampled_from(ALL)))
def test_a_choice_is_free_and_in_the_pool(uid: str, used: set[int]) -> None:
    first = idranges.choose(uid, used)
    assert first % IDS == 0
    assert first // IDS in ALL
    assert first // IDS not in used


def test_a_full_pool_says_so() -> None:
    with pytest.raises(RuntimeFailure, match="ranges of user ids are in use"):
        idranges.choose("a", set(ALL))
    assert idranges.choose("a", set(ALL) - {ALL[7]}) == ALL[7] * IDS


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("         0          0 4294967295\n", set()),
        ("0 131072 65536\n", {2}),
        ("0 131073 65536\n", {2, 3}),
        ("0 1000 1\n1 65536 10\n", {0, 1}),
        ("", set()),
    ],
)
def test_ranges_of_a_map(text: str, numbers: set[int]) -> None:
    assert idranges.ranges(text) == numbers


def test_what_a_living_namespace_has_is_taken() -> None:
    script = "echo; read x"
    with idranges.reserved("some-uid") as first:
        child = subprocess.Popen(
            ["unshare", "--user", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        with open(f"/proc/{child.pid}/uid_map", "w") as file:
            file.write(f"0 {first} {IDS}\n")
        try:
            assert first // IDS in idranges.taken()
            assert idranges.choose("some-uid", idranges.taken()) != first
        finally:
            child.communicate(b"\n")
    assert first // IDS not in idranges.taken()
