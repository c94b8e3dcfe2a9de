"""Compiles a seccomp profile to the classic BPF program that the kernel loads. Pure.

For each kind of program the result is a binary search over the ranges of call numbers that share an
outcome, followed by the checks of arguments. Layout of ``struct seccomp_data`` and verdicts:
seccomp(2); instructions: the kernel's networking/filter documentation.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from kubelite.node.runtime.seccomp.profiles import ENOSYS, ERRNO, KILL_PROCESS, Check, Profile
from kubelite.node.runtime.seccomp.syscall_table import TABLE

COLUMNS = ("x86_64", "i386", "aarch64")
AUDIT_ARCH = {"x86_64": 0xC000003E, "i386": 0x40000003, "aarch64": 0xC00000B7}
_NARROW = frozenset({"i386"})
_X32 = 0x40000000  # x86_64: calls of the x32 kind, which nothing here needs
_LOAD, _AND, _RETURN, _JUMP = 0x20, 0x54, 0x06, 0x05
_EQUAL, _GREATER, _AT_LEAST = 0x15, 0x25, 0x35
_NUMBER, _ARCH, _ARGS = 0, 4, 16
_LOW = 0xFFFFFFFF


class Op(NamedTuple):
    """One instruction: ``yes`` and ``no`` count the instructions to skip."""

    code: int
    k: int
    yes: int = 0
    no: int = 0


class Case(NamedTuple):
    """An outcome under checks; without any it is the last."""

    checks: tuple[Check, ...]
    action: int


Outcome = tuple[Case, ...]


def numbers(kind: str) -> dict[str, int]:
    """The call numbers of a kind of programs by name."""
    column = COLUMNS.index(kind)
    by_name = {}
    for word in TABLE.split():
        name, _, text = word.partition(":")
        number = text.split(",")[column] if "," in text else text
        if number != "-":
            by_name[name] = int(number)
    return by_name


def compile_profile(profile: Profile) -> bytes:
    """The program, 8 bytes an instruction. Names that a kind of programs does not know are left
    out, as the CRI runtimes do.
    """
    ops = [Op(_LOAD, _ARCH)]
    for kind in profile.kinds:
        block = [Op(_LOAD, _NUMBER), *_search(_ranges(profile, kind), kind)]
        ops += [Op(_EQUAL, AUDIT_ARCH[kind], 1, 0), Op(_JUMP, len(block)), *block]
    ops.append(Op(_RETURN, KILL_PROCESS))
    return b"".join(struct.pack("<HBBI", op.code, op.yes, op.no, op.k) for op in ops)


def outcomes(profile: Profile) -> dict[str, Outcome]:
    """What happens to each call that the profile names."""
    cases_of: dict[str, list[Case]] = {}
    for rule in profile.rules:
        if rule.action == profile.default:
            continue
        for name in rule.names:
            cases_of.setdefault(name, []).append(Case(rule.checks, rule.action))
    return {name: _ordered(cases, profile.default) for name, cases in cases_of.items()}


def _ordered(cases: list[Case], default: int) -> Outcome:
    final = next((case for case in cases if not case.checks), None)
    return (final,) if final else (*cases, Case((), default))


def _ranges(profile: Profile, kind: str) -> list[tuple[int, Outcome]]:
    """First number and outcome of each range, from 0 on, ascending."""
    known, default = numbers(kind), (Case((), profile.default),)
    points: dict[int, Outcome] = {0: default}
    by_number = {
        known[name]: outcome for name, outcome in outcomes(profile).items() if name in known
    }
    for number, outcome in sorted(by_number.items()):
        points[number] = outcome
        points.setdefault(number + 1, default)
    if kind == "x86_64":
        points[_X32] = (Case((), ERRNO | ENOSYS),)
    return list(_merged(sorted(points.items())))


def _merged(points: list[tuple[int, Outcome]]) -> Iterator[tuple[int, Outcome]]:
    last: Outcome = ()
    for start, outcome in points:
        if outcome != last:
            yield start, outcome
        last = outcome


def _search(points: list[tuple[int, Outcome]], kind: str) -> list[Op]:
    if len(points) == 1:
        return _leaf(points[0][1], kind in _NARROW)
    middle = len(points) // 2
    below, above = _search(points[:middle], kind), _search(points[middle:], kind)
    border = points[middle][0]
    if len(below) < 256:
        return [Op(_AT_LEAST, border, len(below), 0), *below, *above]
    return [Op(_AT_LEAST, border, 0, 1), Op(_JUMP, len(below)), *below, *above]


def _leaf(outcome: Outcome, narrow: bool) -> list[Op]:
    ops: list[Op] = []
    for checks, action in outcome:
        tail = [Op(_RETURN, action)]
        for check in reversed(checks):
            tail = [*_check(check, len(tail), narrow), *tail]
        ops += tail
    return ops


def _check(check: Check, rest: int, narrow: bool) -> list[Op]:
    """Instructions that go on to the next when the check holds and skip ``rest`` more when not.

    A 64-bit argument is compared in two halves, high one first; a 32-bit program has the low half
    only.
    """
    low_at = _ARGS + 8 * check.argument
    value, mask = (
        (check.value & check.mask, check.mask) if check.op == "masked" else (check.value, 0)
    )
    low = _low(check.op, low_at, value & _LOW, mask & _LOW, rest)
    if narrow:
        return low
    high = value >> 32 & _LOW
    load = [Op(_LOAD, low_at + 4)]
    after, away = len(low), len(low) + rest
    if check.op == "masked":
        return [*load, Op(_AND, mask >> 32 & _LOW), Op(_EQUAL, high, 0, away), *low]
    if check.op == "eq":
        return [*load, Op(_EQUAL, high, 0, away), *low]
    if check.op == "ne":
        return [*load, Op(_EQUAL, high, 0, after), *low]
    if check.op in ("ge", "gt"):
        return [*load, Op(_GREATER, high, after + 1, 0), Op(_EQUAL, high, 0, away), *low]
    return [*load, Op(_GREATER, high, away + 1, 0), Op(_EQUAL, high, 0, after), *low]


def _low(op: str, offset: int, value: int, mask: int, rest: int) -> list[Op]:
    load = [Op(_LOAD, offset)]
    if op == "masked":
        return [*load, Op(_AND, mask), Op(_EQUAL, value, 0, rest)]
    if op == "eq":
        return [*load, Op(_EQUAL, value, 0, rest)]
    if op == "ne":
        return [*load, Op(_EQUAL, value, rest, 0)]
    if op == "ge":
        return [*load, Op(_AT_LEAST, value, 0, rest)]
    if op == "gt":
        return [*load, Op(_GREATER, value, 0, rest)]
    return [*load, Op(_AT_LEAST if op == "lt" else _GREATER, value, rest, 0)]
