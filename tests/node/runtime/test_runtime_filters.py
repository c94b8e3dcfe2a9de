"""Filters on disk: compiled once, found again by the name that a container's record holds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kubelite.core.plan import Caps, Flag
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.identity import User
from kubelite.node.runtime.launch_plan import Security
from kubelite.node.runtime.seccomp import filters

PROFILE = {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}


def wanted(seccomp: str, capabilities: int = 0) -> Security:
    caps = Caps(capabilities, capabilities, capabilities)
    return Security(User(0, 0, (), ""), caps, False, False, False, False, 0, seccomp)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(str(tmp_path / "k"))
    os.makedirs(f"{made.seccomp}/profiles", 0o700)
    Path(f"{made.seccomp}/profiles/x.json").write_text(json.dumps(PROFILE))
    return made


def test_no_profile_needs_no_file(home: Home) -> None:
    assert filters.applied(home, wanted("")).filter.key == ""
    assert not os.path.exists(home.filters)


@pytest.mark.parametrize("seccomp", ["default", "localhost/profiles/x.json"])
def test_a_profile_is_compiled_once_and_found_again(home: Home, seccomp: str) -> None:
    first = filters.applied(home, wanted(seccomp)).filter
    (file,) = Path(home.filters).iterdir()
    assert file.read_bytes() == first.program
    file.write_bytes(b"12345678")
    again = filters.applied(home, wanted(seccomp)).filter
    assert again == filters.stored(home, first.key)
    assert again.program == b"12345678"
    assert again.flags == first.flags
    assert bool(first.flags & Flag.SECCOMP_LOG) == (seccomp != "default")


def test_other_capabilities_are_another_filter(home: Home) -> None:
    made = {
        filters.applied(home, wanted("default", mask)).filter.program
        for mask in (0, 1 << 21, 1 << 18)
    }
    assert len(made) == 3


def test_a_changed_profile_is_another_filter_and_the_old_one_stays_for_execs(home: Home) -> None:
    first = filters.applied(home, wanted("localhost/profiles/x.json")).filter
    Path(f"{home.seccomp}/profiles/x.json").write_text(
        json.dumps({"defaultAction": "SCMP_ACT_ERRNO"})
    )
    second = filters.applied(home, wanted("localhost/profiles/x.json")).filter
    assert first.key != second.key
    assert filters.stored(home, first.key).program == first.program


def test_what_is_missing_broken_or_outside_is_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeFailure, match=r"cannot read seccomp profile .*no.json: No such file"
    ):
        filters.applied(home, wanted("localhost/no.json"))
    Path(f"{home.seccomp}/bad.json").write_text("{}")
    with pytest.raises(RuntimeFailure, match=r"bad.json cannot be used: defaultAction None"):
        filters.applied(home, wanted("localhost/bad.json"))
    (tmp_path / "out.json").write_text(json.dumps(PROFILE))
    os.symlink(tmp_path / "out.json", f"{home.seccomp}/link.json")
    with pytest.raises(RuntimeFailure, match="leads out of"):
        filters.applied(home, wanted("localhost/link.json"))
    with pytest.raises(RuntimeFailure, match="the seccomp filter of the container is missing"):
        filters.stored(home, "default-x-0-v1")
