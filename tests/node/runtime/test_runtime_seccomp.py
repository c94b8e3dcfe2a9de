"""The filter that we emit and the one that libseccomp emits give the same verdict; profiles from
outside are read strictly.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.node.runtime.identity import ALL_CAPABILITIES, DEFAULT_CAPABILITIES
from kubelite.node.runtime.seccomp import bpf, profiles
from kubelite.node.runtime.seccomp.oci import ProfileError, parse_profile
from kubelite.node.runtime.seccomp.profiles import (
    ALLOW,
    ENOSYS,
    EPERM,
    ERRNO,
    Check,
    Profile,
    Rule,
    default_profile,
)
from tests.node.runtime import libseccomp
from tests.node.runtime.bpf_machine import decode, verdict

X32 = 0x40000000
CORNERS = (
    0,
    1,
    2,
    8,
    37,
    38,
    39,
    40,
    41,
    0x20000,
    0x20008,
    0x7E020000,
    0x2000000,
    0xFFFFFFFF,
    1 << 32,
    1 << 63,
    (1 << 64) - 1,
)
KINDS = ("x86_64", "i386", "aarch64")


def mask(*names: str) -> int:
    return sum(1 << ALL_CAPABILITIES.index(name) for name in names)


DEFAULT = mask(*DEFAULT_CAPABILITIES)
SETS = {
    "none": 0,
    "default": DEFAULT,
    "all": mask(*ALL_CAPABILITIES),
    "admin": mask("SYS_ADMIN"),
    **{name: DEFAULT | mask(name) for name in profiles.BY_CAPABILITY},
}


def machine(kind: str) -> str:
    return "aarch64" if kind == "aarch64" else "x86_64"


def check_same_verdicts(
    profile: Profile, kind: str, calls: list[tuple[int, tuple[int, ...]]]
) -> None:
    ours = decode(bpf.compile_profile(profile))
    theirs = decode(libseccomp.compile_profile(profile, kind))
    arch = bpf.AUDIT_ARCH[kind]
    for number, args in calls:
        assert verdict(ours, arch, number, args) == verdict(theirs, arch, number, args), (
            kind,
            number,
            args,
        )


def known_to_both(kind: str) -> list[int]:
    """Every number up to 600, without calls that are too young for the library."""
    young = {
        number for name, number in bpf.numbers(kind).items() if libseccomp.number(name, kind) < 0
    }
    return [number for number in range(600) if number not in young]


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_libseccomp(kind: str) -> None:
    differing = {
        name: (number, libseccomp.number(name, kind))
        for name, number in bpf.numbers(kind).items()
        if libseccomp.number(name, kind) >= 0 and libseccomp.number(name, kind) != number
    }
    assert differing == {}
    assert len(bpf.numbers(kind)) > 300


def test_numbers_are_those_of_the_kernels_headers() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read_text()
    theirs = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header)}
    ours = bpf.numbers("x86_64")
    assert {name: ours.get(name) for name in theirs} == theirs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SETS)
def test_default_profile_gives_libseccomps_verdicts(kind: str, name: str) -> None:
    calls = [
        (number, args)
        for number in known_to_both(kind)
        for args in ((), (0x7E020000,) * 6, (40,) * 6)
    ]
    checked = [bpf.numbers(kind)[each] for each in ("socket", "personality", "clone", "clone3")]
    calls += [(number, (corner,)) for number in checked for corner in CORNERS]
    check_same_verdicts(default_profile(SETS[name], machine(kind)), kind, calls)


checks = st.builds(
    Check,
    st.integers(0, 5),
    st.sampled_from(["eq", "ne", "lt", "le", "ge", "gt"]),
    st.one_of(st.sampled_from(CORNERS), st.integers(0, (1 << 64) - 1)),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(checks, max_size=4, unique_by=lambda check: check.argument),
    st.lists(
        st.tuples(*[st.one_of(st.sampled_from(CORNERS), st.integers(0, (1 << 64) - 1))] * 6),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(("x86_64", "aarch64")),
)
def test_checks_of_arguments_give_libseccomps_verdicts(
    found: list[Check], args: list[tuple[int, ...]], kind: str
) -> None:
    profile = Profile(ERRNO | EPERM, (Rule(("kill", "read"), ALLOW, tuple(found)),), (kind,))
    borders = [tuple(c.value + d & (1 << 64) - 1 for c in found) for d in (-1, 0, 1)]
    number = bpf.numbers(kind)["kill"]
    placed = [[0] * 6 for _ in borders]
    for row, border in zip(placed, borders, strict=True):
        for check, value in zip(found, border, strict=True):
            row[check.argument] = value
    check_same_verdicts(profile, kind, [(number, tuple(each)) for each in (*args, *placed)])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 64) - 1),
    st.lists(st.integers(0, (1 << 64) - 1), max_size=5),
)
def test_masked_checks_give_libseccomps_verdicts(bits: int, value: int, args: list[int]) -> None:
    profile = Profile(
        ERRNO | EPERM,
        (Rule(("kill",), ALLOW, (Check(0, "masked", value & bits, bits),)),),
        ("x86_64",),
    )
    check_same_verdicts(
        profile,
        "x86_64",
        [(bpf.numbers("x86_64")["kill"], (arg,)) for arg in (*args, value, value & bits, bits)],
    )


def test_a_32_bit_argument_is_compared_as_such() -> None:
    profile = Profile(
        ERRNO | EPERM, (Rule(("kill",), ALLOW, (Check(0, "eq", 7),)),), ("x86_64", "i386")
    )
    ops, number = decode(bpf.compile_profile(profile)), bpf.numbers("i386")["kill"]
    assert verdict(ops, bpf.AUDIT_ARCH["i386"], number, (7,)) == ALLOW
    assert verdict(ops, bpf.AUDIT_ARCH["i386"], number, (8,)) == ERRNO | EPERM


def test_x32_calls_and_other_machines_programs_find_nothing() -> None:
    ops = decode(bpf.compile_profile(default_profile(DEFAULT, "x86_64")))
    read = bpf.numbers("x86_64")["read"]
    assert verdict(ops, bpf.AUDIT_ARCH["x86_64"], read) == ALLOW
    assert verdict(ops, bpf.AUDIT_ARCH["x86_64"], X32 | read) == ERRNO | ENOSYS
    assert verdict(ops, bpf.AUDIT_ARCH["aarch64"], 63) == profiles.KILL_PROCESS


@pytest.mark.parametrize(
    "name",
    "io_uring_setup io_uring_enter userfaultfd keyctl add_key "
    "request_key bpf perf_event_open mount setns unshare "
    "open_by_handle_at kexec_load init_module reboot swapon acct iopl "
    "clock_settime process_madvise pidfd_getfd open_tree move_mount".split(),
)
def test_default_profile_refuses_what_reaches_the_host(name: str) -> None:
    ops = decode(bpf.compile_profile(default_profile(DEFAULT, "x86_64")))
    assert verdict(ops, bpf.AUDIT_ARCH["x86_64"], bpf.numbers("x86_64")[name]) == ERRNO | EPERM


def test_every_instruction_jumps_inside_the_program() -> None:
    ops = decode(bpf.compile_profile(default_profile(SETS["all"], "x86_64")))
    for at, (code, yes, no, k) in enumerate(ops):
        far = (k,) if code == 0x05 else (yes, no) if code & 7 == 5 else ()
        assert all(at + 1 + each < len(ops) for each in far)
    assert ops[-1][0] == 0x06
    assert len(ops) < 1000


# -- profiles in the OCI form ----------------------------------------------------------------------


def oci(**keys: object) -> bytes:
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", **keys}).encode()


def decide(profile: Profile, name: str, *args: int) -> int:
    ops = decode(bpf.compile_profile(profile))
    return verdict(ops, bpf.AUDIT_ARCH["x86_64"], bpf.numbers("x86_64")[name], args)


def test_oci_profile_says_what_it_means() -> None:
    profile = parse_profile(
        oci(
            defaultErrnoRet=38,
            architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            flags=["SECCOMP_FILTER_FLAG_LOG"],
            syscalls=[
                {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
                {"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
                {
                    "names": ["kill"],
                    "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 1, "value": 9, "op": "SCMP_CMP_NE"}],
                },
                {
                    "names": ["clone"],
                    "action": "SCMP_ACT_KILL_PROCESS",
                    "args": [
                        {
                            "index": 0,
                            "value": 0x10000000,
                            "valueTwo": 0x10000000,
                            "op": "SCMP_CMP_MASKED_EQ",
                        }
                    ],
                },
            ],
        ),
        "x86_64",
    )
    assert profile.kinds == ("x86_64", "i386")
    assert profile.log
    assert decide(profile, "read") == ALLOW
    assert decide(profile, "write") == ERRNO | 5
    assert decide(profile, "kill", 1, 15) == ALLOW
    assert decide(profile, "kill", 1, 9) == ERRNO | 38
    assert decide(profile, "clone", 0x10000011) == profiles.KILL_PROCESS
    assert decide(profile, "clone", 0x11) == decide(profile, "openat") == ERRNO | 38


def test_checks_of_the_same_argument_are_alternatives() -> None:
    args = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (1, 2)]
    profile = parse_profile(
        oci(syscalls=[{"names": ["kill"], "action": "SCMP_ACT_ALLOW", "args": args}]), "x86_64"
    )
    assert [decide(profile, "kill", value) for value in (1, 2, 3)] == [ALLOW, ALLOW, ERRNO | EPERM]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be an object"),
        (b"{}", "defaultAction None is not supported"),
        (oci(defaultAction="SCMP_ACT_NOTIFY"), "SCMP_ACT_NOTIFY is not supported"),
        (oci(listenerPath="/x"), '"listenerPath" that is not supported'),
        (oci(flags=["X"]), "flag X"),
        (oci(syscalls={}), "syscalls must be a list"),
        (oci(syscalls=[{"names": [], "action": "SCMP_ACT_ALLOW"}]), r"syscalls\[0\].names"),
        (
            oci(syscalls=[{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {}}]),
            '"includes"',
        ),
        (
            oci(syscalls=[{"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}]),
            "errnoRet 1 does not fit",
        ),
        (
            oci(syscalls=[{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": True}]),
            "does not fit",
        ),
        (
            oci(
                syscalls=[
                    {
                        "names": ["a"],
                        "action": "SCMP_ACT_ALLOW",
                        "args": [{"index": 6, "op": "SCMP_CMP_EQ"}],
                    }
                ]
            ),
            "index",
        ),
        (
            oci(
                syscalls=[
                    {"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "op": "EQ"}]}
                ]
            ),
            "op EQ",
        ),
    ],
)
def test_a_profile_that_is_not_understood_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        parse_profile(text, "x86_64")
