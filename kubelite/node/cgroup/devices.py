"""The allow-list of devices as the program that a v2 group runs when a device is opened or made.
Pure.

The rules are those that v1 is told in files; a v2 hierarchy has no such files but calls an eBPF
program (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE), which answers 1 for yes and 0 for no.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

_TYPES = {"b": 1, "c": 2}
_BITS = {"m": 1, "r": 2, "w": 4}
_MKNOD, _ALL = 1, 7
_ANY = -1
_SIZE = 8
_LOAD, _MOVE, _AND, _SHIFT, _OTHER, _SET, _EXIT = (0x61, 0xBF, 0x54, 0x74, 0x55, 0xB7, 0x95)
_RESULT, _CONTEXT, _TYPE, _ACCESS, _MAJOR, _MINOR = range(6)


def _op(code: int, target: int = 0, source: int = 0, skip: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, skip, value)


def _return(value: int) -> bytes:
    return _op(_SET, _RESULT, value=value) + _op(_EXIT)


class Rule(NamedTuple):
    """A device that may be used: its type, major and minor number (-1 for any), and the bits of the
    access that is allowed.
    """

    type: int
    major: int
    minor: int
    access: int


def parse_rules(rules: Iterable[str]) -> list[Rule]:
    """The devices that may be used: ``c 1:3 rwm``, ``b 7:0 r``. That any may be made goes without
    saying.
    """
    parsed = []
    for rule in rules:
        kind, numbers, access = rule.split()
        major, _, minor = numbers.partition(":")
        if major != "*":
            bits = sum(_BITS[letter] for letter in access) | _MKNOD
            parsed.append(
                Rule(_TYPES[kind], int(major), _ANY if minor == "*" else int(minor), bits)
            )
    return parsed


def program(rules: Iterable[str]) -> bytes:
    """The program for rules in the form of v1's ``devices.allow``: any node may be made, those
    named may be used.
    """
    code = (
        _op(_LOAD, _TYPE, _CONTEXT, 0)
        + _op(_LOAD, _MAJOR, _CONTEXT, 4)
        + _op(_LOAD, _MINOR, _CONTEXT, 8)
        + _op(_MOVE, _ACCESS, _TYPE)
        + _op(_SHIFT, _ACCESS, value=16)
        + _op(_AND, _TYPE, value=0xFFFF)
        + _op(_OTHER, _ACCESS, skip=2, value=_MKNOD)
        + _return(1)
    )
    return code + b"".join(map(_allowed, parse_rules(rules))) + _return(0)


def _allowed(rule: Rule) -> bytes:
    """Returns 1 for what a rule allows; what it does not fit goes on behind it."""
    checks = [(_TYPE, rule.type), (_MAJOR, rule.major)]
    if rule.minor != _ANY:
        checks.append((_MINOR, rule.minor))
    denied = b""
    if refused := _ALL & ~rule.access:
        denied = _op(_MOVE, _RESULT, _ACCESS) + _op(_AND, _RESULT, value=refused)
        checks.append((_RESULT, 0))
    code = _return(1)
    for register, value in reversed(checks):
        before = denied if register == _RESULT else b""
        code = before + _op(_OTHER, register, skip=len(code) // _SIZE, value=value) + code
    return code
