"""The allow-list of devices as the program that a v2 group runs when a device is opened or made.
Pure.

The rules are those that v1 is told in files; a v2 hierarchy has no such files but calls an eBPF
program (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE), which answers 1 for yes and 0 for no.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

_MKNOD, _CHAR = 1, 2
_ANY = -1
_LOAD, _MOVE, _AND, _SHIFT, _EQUAL, _OTHER, _SET, _EXIT = (
    0x61,
    0xBF,
    0x54,
    0x74,
    0x15,
    0x55,
    0xB7,
    0x95,
)
_RESULT, _CONTEXT, _TYPE, _ACCESS, _MAJOR, _MINOR = range(6)


def _op(code: int, target: int = 0, source: int = 0, skip: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, skip, value)


def _return(value: int) -> bytes:
    return _op(_SET, _RESULT, value=value) + _op(_EXIT)


def parse_rules(rules: Iterable[str]) -> list[tuple[int, int]]:
    """Major and minor number, -1 for any, of the character devices that may be used: ``c 1:3
    rwm``.
    """
    devices = []
    for rule in rules:
        kind, numbers, access = rule.split()
        major, _, minor = numbers.partition(":")
        if kind == "c" and access == "rwm":
            devices.append((int(major), _ANY if minor == "*" else int(minor)))
    return devices


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
        + _op(_EQUAL, _TYPE, skip=2, value=_CHAR)
        + _return(0)
    )
    for major, minor in parse_rules(rules):
        if minor == _ANY:
            code += _op(_OTHER, _MAJOR, skip=2, value=major)
        else:
            code += _op(_OTHER, _MAJOR, skip=3, value=major) + _op(
                _OTHER, _MINOR, skip=2, value=minor
            )
        code += _return(1)
    return code + _return(0)
