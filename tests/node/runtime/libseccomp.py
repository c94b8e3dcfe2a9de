"""Debian's libseccomp as the oracle: it compiles the same profile on its own."""

from __future__ import annotations

import ctypes
import os
import tempfile

from kubelite.node.runtime.seccomp.profiles import Profile

_ARCHES = {"x86_64": 0xC000003E, "i386": 0x40000003, "aarch64": 0xC00000B7}
_OPS = {"ne": 1, "lt": 2, "le": 3, "eq": 4, "ge": 5, "gt": 6, "masked": 7}


class _Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def load() -> ctypes.CDLL:
    """The library; a machine that runs these tests has it (Debian: libseccomp2)."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Compare),
    )
    for name in ("seccomp_arch_add", "seccomp_arch_remove"):
        getattr(library, name).argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    return library


def number(name: str, kind: str) -> int:
    """The library's number of a call; negative where it knows none."""
    return int(load().seccomp_syscall_resolve_name_arch(_ARCHES[kind], name.encode()))


def compile_profile(profile: Profile, kind: str) -> bytes:
    """The program for one kind of programs. Rules that say what the default says are left out, as
    runc does.
    """
    library = load()
    context = library.seccomp_init(profile.default)
    assert library.seccomp_arch_add(context, _ARCHES[kind]) in (0, -17)
    if kind != "x86_64":
        assert library.seccomp_arch_remove(context, _ARCHES["x86_64"]) == 0
    for rule in profile.rules:
        if rule.action == profile.default:
            continue
        checks = (_Compare * len(rule.checks))(
            *(
                _Compare(c.argument, _OPS[c.op], c.mask, c.value)
                if c.op == "masked"
                else _Compare(c.argument, _OPS[c.op], c.value, 0)
                for c in rule.checks
            )
        )
        for name in rule.names:
            # Rules are told by the native number, or a negative one that stands for a call the
            # native kind lacks.
            known = library.seccomp_syscall_resolve_name(name.encode())
            if known != -1:
                code = library.seccomp_rule_add_array(
                    context, rule.action, known, len(rule.checks), checks
                )
                assert code in (0, -17), (name, rule, os.strerror(-code))
    with tempfile.TemporaryFile() as file:
        assert library.seccomp_export_bpf(context, file.fileno()) == 0
        library.seccomp_release(context)
        file.seek(0)
        return file.read()
