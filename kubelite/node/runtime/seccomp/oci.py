"""Reads a seccomp profile in the JSON form of the OCI runtime specification ("Seccomp"). Pure.

Unknown keys and values are errors, since what they were to forbid would be allowed. Names of system
calls that the machine does not have are ignored, as in the CRI runtimes.
"""

from __future__ import annotations

import json
from typing import Any

from kubelite.node.runtime.seccomp import profiles
from kubelite.node.runtime.seccomp.profiles import Check, Profile, Rule

_ACTIONS = {
    "SCMP_ACT_KILL": profiles.KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": profiles.KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": profiles.KILL_PROCESS,
    "SCMP_ACT_TRAP": profiles.TRAP,
    "SCMP_ACT_ERRNO": profiles.ERRNO,
    "SCMP_ACT_TRACE": profiles.TRACE,
    "SCMP_ACT_ALLOW": profiles.ALLOW,
    "SCMP_ACT_LOG": profiles.LOG,
}
_WITH_NUMBER = (profiles.ERRNO, profiles.TRACE)
_OPS = {f"SCMP_CMP_{op.upper()}": op for op in ("ne", "lt", "le", "eq", "ge", "gt")} | {
    "SCMP_CMP_MASKED_EQ": "masked"
}
_KINDS = {"SCMP_ARCH_X86_64": "x86_64", "SCMP_ARCH_X86": "i386", "SCMP_ARCH_AARCH64": "aarch64"}
_FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"}
_TOP = {"defaultAction", "defaultErrnoRet", "architectures", "flags", "syscalls"}
_SYSCALL = {"names", "action", "errnoRet", "args", "comment"}
_ARG = {"index", "value", "valueTwo", "op"}
_VALUES = 1 << 64


class ProfileError(ValueError):
    """An invalid profile; the text is one clause that says where and why."""


def parse_profile(text: bytes, machine: str) -> Profile:
    """The profile for programs of ``machine``. Raises ProfileError."""
    try:
        whole = json.loads(text)
    except ValueError as error:
        raise ProfileError(f"it is not JSON: {error}") from error
    _keys(whole, _TOP, "the profile")
    default = _action(whole.get("defaultAction"), whole.get("defaultErrnoRet"), "defaultAction")
    flags = set(_list(whole, "flags"))
    if flags - _FLAGS:
        raise ProfileError(f"flag {min(flags - _FLAGS)} is not supported")
    rules = [
        rule
        for i, item in enumerate(_list(whole, "syscalls"))
        for rule in _rules(item, f"syscalls[{i}]")
    ]
    return Profile(
        default,
        tuple(rules),
        _kinds(_list(whole, "architectures"), machine),
        log="SECCOMP_FILTER_FLAG_LOG" in flags,
        spec_allow="SECCOMP_FILTER_FLAG_SPEC_ALLOW" in flags,
    )


def _kinds(named: list[Any], machine: str) -> tuple[str, ...]:
    """The kinds of programs: the machine's own always, 32-bit ones where the profile names them.
    Other architectures are ignored.
    """
    declared = {_KINDS.get(str(name)) for name in named}
    return tuple(kind for kind in profiles.MACHINES[machine] if kind == machine or kind in declared)


def _rules(item: Any, where: str) -> list[Rule]:
    _keys(item, _SYSCALL, where)
    names = _list(item, "names")
    if not names or not all(isinstance(name, str) for name in names):
        raise ProfileError(f"{where}.names must be a list of names")
    action = _action(item.get("action"), item.get("errnoRet"), f"{where}.action")
    checks = [_check(arg, f"{where}.args[{i}]") for i, arg in enumerate(_list(item, "args"))]
    if len({check.argument for check in checks}) < len(checks):
        # As in runc: several checks of one argument are alternatives.
        return [Rule(tuple(names), action, (check,)) for check in checks]
    return [Rule(tuple(names), action, tuple(checks))]


def _check(item: Any, where: str) -> Check:
    _keys(item, _ARG, where)
    index, value, second = item.get("index"), item.get("value", 0), item.get("valueTwo", 0)
    if (
        not _is_number(index, 6)
        or not _is_number(value, _VALUES)
        or not _is_number(second, _VALUES)
    ):
        raise ProfileError(f"{where} must have an index from 0 to 5 and values of 64 bits")
    op = _OPS.get(str(item.get("op")))
    if op is None:
        raise ProfileError(f"{where}.op {item.get('op')} is not supported")
    return Check(index, op, second, value) if op == "masked" else Check(index, op, value)


def _action(word: Any, number: Any, where: str) -> int:
    action = _ACTIONS.get(str(word))
    if action is None:
        raise ProfileError(f"{where} {word} is not supported")
    if number is not None and (action not in _WITH_NUMBER or not _is_number(number, 4096)):
        raise ProfileError(f"{where}: errnoRet {number} does not fit")
    if action in _WITH_NUMBER:
        return action | (profiles.EPERM if number is None else int(number))
    return action


def _is_number(value: Any, end: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end


def _keys(item: Any, known: set[str], where: str) -> None:
    if not isinstance(item, dict):
        raise ProfileError(f"{where} must be an object")
    unknown = sorted(set(item) - known)
    if unknown:
        raise ProfileError(f'{where} has a key "{unknown[0]}" that is not supported')


def _list(item: dict[str, Any], key: str) -> list[Any]:
    value = item.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProfileError(f"{key} must be a list")
    return value
