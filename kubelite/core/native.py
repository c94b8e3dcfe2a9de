"""The one door to the C core: a typed Python function for each C function. Nobody else imports the compiled module.

Wrong arguments are caught before C is entered; a failure in C arrives as :class:`NativeError`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from kubelite.core import _native
from kubelite.core.errors import NativeError

_ffi: Any = _native.ffi
_lib: Any = _native.lib


def _failure(err: Any) -> NativeError:
    def text(field: Any) -> str:
        return bytes(_ffi.string(field)).decode("utf-8", "replace")

    return NativeError(text(err.step), text(err.object), int(err.code))


def _check(code: int, err: Any) -> int:
    if code < 0:
        raise _failure(err)
    return code


def _name(text: str) -> bytes:
    data = os.fsencode(text)
    if not data or b"\0" in data:
        raise ValueError(f"not a name the kernel takes: {text!r}")
    return data


def _strings(items: Sequence[str]) -> bytes:
    """NUL-separated, ended by an empty one."""
    for item in items:
        if not item or "\0" in item:
            raise ValueError(f"not an argument: {item!r}")
    return b"".join(os.fsencode(item) + b"\0" for item in items) + b"\0"


def plan_check(plan: bytes, descriptors: int) -> None:
    """Checks a launch plan that travels with ``descriptors`` descriptors. Raises NativeError when it is unsound."""
    err = _ffi.new("kl_error *")
    _check(_lib.kl_plan_check(_ffi.from_buffer(plan), len(plan), descriptors, err), err)


def plan_text(plan: bytes) -> str:
    """The decoded plan, one ``key value`` line per item. Raises NativeError when it is unsound."""
    err = _ffi.new("kl_error *")
    room = 4 * len(plan) + 4096
    out = _ffi.new("char[]", room)
    size = _check(_lib.kl_plan_text(_ffi.from_buffer(plan), len(plan), out, room, err), err)
    return bytes(_ffi.buffer(out, size)).decode("ascii")


def shim_launch(program: int, argv: Sequence[str], env: Sequence[str], fds: Sequence[int]) -> tuple[int, int]:
    """Starts the program behind descriptor ``program`` as a child of nobody, with ``fds`` as its descriptors 3 and up.

    Returns its pid and a pidfd, which the caller owns.
    """
    err = _ffi.new("kl_error *")
    pidfd = _ffi.new("int *", -1)
    numbers = _ffi.new("int[]", list(fds))
    pid = _lib.kl_shim_launch(program, _strings(argv), _strings(env), numbers, len(fds), pidfd, err)
    return _check(pid, err), int(pidfd[0])


def net_bridge(name: str, address: int, prefix: int) -> bool:
    """Makes sure that the bridge exists, is up and has the address (host byte order). True when it was made now."""
    err = _ffi.new("kl_error *")
    return bool(_check(_lib.kl_net_bridge(_name(name), address, prefix, err), err))


def net_attach(
    netns: int, bridge: str, host_name: str, pod_name: str, address: int, prefix: int, gateway: int
) -> None:
    """Gives the network namespace behind ``netns`` its interface on the bridge, loopback, address and default route."""
    err = _ffi.new("kl_error *")
    code = _lib.kl_net_attach(
        netns, _name(bridge), _name(host_name), _name(pod_name), address, prefix, gateway, err
    )
    _check(code, err)


def net_delete(name: str) -> bool:
    """Removes an interface of this network namespace. False when it was not there."""
    err = _ffi.new("kl_error *")
    return bool(_check(_lib.kl_net_delete(_name(name), err), err))
