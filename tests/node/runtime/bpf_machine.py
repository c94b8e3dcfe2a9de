"""A machine for classic BPF as seccomp uses it: what verdict does a program give for a call?"""

from __future__ import annotations

import struct
from collections.abc import Sequence

Program = list[tuple[int, int, int, int]]


def decode(program: bytes) -> Program:
    """(code, yes, no, k) of each instruction."""
    return list(struct.iter_unpack("<HBBI", program))


def verdict(ops: Program, arch: int, number: int, args: Sequence[int] = ()) -> int:
    """Runs it once; raises for an instruction that seccomp programs do not have, or a way out of
    the program.
    """
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *args, *[0] * (6 - len(args)))
    a = pc = 0
    while True:
        code, yes, no, k = ops[pc]
        pc += 1
        if code == 0x06:
            return k
        if code == 0x20:
            a = struct.unpack_from("<I", data, k)[0]
        elif code == 0x54:
            a &= k
        elif code == 0x05:
            pc += k
        elif code in (0x15, 0x25, 0x35, 0x45):
            holds = {0x15: a == k, 0x25: a > k, 0x35: a >= k, 0x45: bool(a & k)}[code]
            pc += yes if holds else no
        else:
            raise AssertionError(f"instruction {code:#x} at {pc - 1}")
