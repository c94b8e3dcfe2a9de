"""The device program against a model of the rules, run by a small machine for eBPF."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.cgroup.devices import parse_rules, program
from kubelite.node.cgroup.limits import DEVICE_RULES


def run(code: bytes, access: int, kind: int, major: int, minor: int) -> int:
    """What the program answers; it has only the instructions that are here."""
    ops = list(struct.iter_unpack("<BBhi", code))
    context, r, at = struct.pack("<III", access << 16 | kind, major, minor), [0] * 11, 0
    while True:
        op, registers, skip, value = ops[at]
        target, source = registers & 15, registers >> 4
        at += 1
        if op == 0x95:
            return r[0]
        if op == 0x61:
            assert source == 1
            r[target] = struct.unpack_from("<I", context, skip)[0]
        elif op == 0xBF:
            r[target] = r[source]
        elif op == 0x54:
            r[target] &= value
        elif op == 0x74:
            r[target] >>= value
        elif op == 0xB7:
            r[target] = value
        else:
            assert op in (0x15, 0x55)
            at += skip if (r[target] == value) == (op == 0x15) else 0


numbers = st.one_of(
    st.sampled_from([0, 1, 2, 3, 5, 7, 8, 9, 10, 136, 254]), st.integers(0, (1 << 20) - 1)
)


@given(st.integers(1, 7), st.sampled_from([1, 2]), numbers, numbers)
def test_the_program_says_what_the_rules_say(
    access: int, kind: int, major: int, minor: int
) -> None:
    rules = [*DEVICE_RULES, "b 7:1 rwm", "b 7:2 r"]
    named = any(
        (kind, major) == (rule.type, rule.major)
        and rule.minor in (-1, minor)
        and access & rule.access == access
        for rule in parse_rules(rules)
    )
    assert run(program(rules), access, kind, major, minor) == int(access == 1 or named)


def test_rules_are_read() -> None:
    assert parse_rules(["c *:* m", "b *:* m", "c 1:3 rwm", "c 136:* rwm"]) == [
        (2, 1, 3, 7),
        (2, 136, -1, 7),
    ]
    assert parse_rules(["b 7:0 r"]) == [(1, 7, 0, 3)]
