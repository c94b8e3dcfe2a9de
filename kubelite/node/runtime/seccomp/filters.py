"""Compiled seccomp filters. Each profile is compiled once and stored in a file of the state root
whose name depends on everything that it was compiled from.

A container's start then costs one read; an exec finds the filter of its container by the same name.
"""

from __future__ import annotations

import os

from kubelite.core.plan import Flag
from kubelite.lib.digest import hexdigest
from kubelite.lib.files import write_atomic
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.launch_plan import SeccompFilter, Security

VERSION = 1
"""The version of call table, default profile and compiler together; part of every name."""
_MACHINE = os.uname().machine
_LOG, _SPEC = "l", "s"


def applied(home: Home, security: Security) -> Security:
    """The settings with their filter. Raises RuntimeFailure for a profile that is missing or
    invalid.
    """
    if not security.seccomp:
        return security
    if security.seccomp == "default":
        compiled = _default(home, security.caps.bounding)
    else:
        compiled = _localhost(home, security.seccomp.partition("/")[2])
    return security._replace(filter=compiled)


def stored(home: Home, key: str) -> SeccompFilter:
    """The filter stored under a name. Raises RuntimeFailure where it is missing: nothing runs
    without its filter.
    """
    if not key:
        return SeccompFilter()
    try:
        return SeccompFilter(key, _read(home, key), _flags(key))
    except FileNotFoundError as error:
        raise RuntimeFailure(
            f"the seccomp filter of the container is missing: {home.filters}/{key}"
        ) from error


def _default(home: Home, capabilities: int) -> SeccompFilter:
    key = f"default-{_MACHINE}-{capabilities:x}-v{VERSION}"
    try:
        return SeccompFilter(key, _read(home, key), Flag.SECCOMP)
    except FileNotFoundError:
        pass
    from kubelite.node.runtime.seccomp import bpf, profiles

    if _MACHINE not in profiles.MACHINES:
        raise RuntimeFailure(
            f"there is no seccomp profile for {_MACHINE}", hint="seccompProfile: {type: Unconfined}"
        )
    return _store(home, key, bpf.compile_profile(profiles.default_profile(capabilities, _MACHINE)))


def _localhost(home: Home, path: str) -> SeccompFilter:
    text = _profile(home, path)
    name = f"{hexdigest(text)}-{_MACHINE}-v{VERSION}"
    for key in (f"{name}-", f"{name}-{_LOG}", f"{name}-{_SPEC}", f"{name}-{_LOG}{_SPEC}"):
        try:
            return SeccompFilter(key, _read(home, key), _flags(key))
        except FileNotFoundError:
            continue
    from kubelite.node.runtime.seccomp import bpf
    from kubelite.node.runtime.seccomp.oci import ProfileError, parse_profile

    try:
        profile = parse_profile(text, _MACHINE)
    except ProfileError as error:
        raise RuntimeFailure(
            f"seccomp profile {home.seccomp}/{path} cannot be used: {error}"
        ) from error
    words = (_LOG if profile.log else "") + (_SPEC if profile.spec_allow else "")
    return _store(home, f"{name}-{words}", bpf.compile_profile(profile))


def _profile(home: Home, path: str) -> bytes:
    """The text of a profile. Validation refuses "..", but a link may still lead out."""
    whole = f"{home.seccomp}/{path}"
    try:
        if not os.path.realpath(whole).startswith(f"{os.path.realpath(home.seccomp)}/"):
            raise RuntimeFailure(f"seccomp profile {whole} leads out of {home.seccomp}")
        with open(whole, "rb") as file:
            return file.read(4 << 20)
    except OSError as error:
        hint = f"localhostProfile is a path below {home.seccomp}"
        raise RuntimeFailure(
            f"cannot read seccomp profile {whole}: {error.strerror}", hint=hint
        ) from error


def _store(home: Home, key: str, program: bytes) -> SeccompFilter:
    os.makedirs(home.filters, 0o700, exist_ok=True)
    write_atomic(f"{home.filters}/{key}", program, durable=False)
    return SeccompFilter(key, program, _flags(key))


def _flags(key: str) -> Flag:
    words = key.rpartition("-")[2]
    flags = Flag.SECCOMP
    if not key.startswith("default-"):
        flags |= Flag.SECCOMP_LOG if _LOG in words else Flag.NONE
        flags |= Flag.SECCOMP_SPEC if _SPEC in words else Flag.NONE
    return flags


def _read(home: Home, key: str) -> bytes:
    with open(f"{home.filters}/{key}", "rb") as file:
        return file.read()
