"""The interface to the C core: a typed Python function for each C function. No other module imports
the compiled one.

Wrong arguments are refused before C is entered. A failure in C raises :class:`NativeError`, that of
a single system call OSError.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

from kubelite.core._native import ffi, lib
from kubelite.core.errors import NativeError

_ffi: Any = ffi
_lib: Any = lib


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
        raise ValueError(f"not a valid interface name: {text!r}")
    return data


def _upper(upper: bytes) -> Any:
    if len(upper) not in (0, 12):
        raise ValueError(f"not the upper 12 bytes of an IPv6 address: {upper!r}")
    return upper or _ffi.NULL


def _strings(items: Sequence[str]) -> bytes:
    """NUL-separated strings, ended by an empty one."""
    for item in items:
        if not item or "\0" in item:
            raise ValueError(f"not a valid argument: {item!r}")
    return b"".join(os.fsencode(item) + b"\0" for item in items) + b"\0"


def plan_check(plan: bytes, descriptors: int) -> None:
    """Checks a launch plan that is sent with ``descriptors`` descriptors. Raises NativeError when
    it is invalid.
    """
    err = _ffi.new("kl_error *")
    _check(_lib.kl_plan_check(_ffi.from_buffer(plan), len(plan), descriptors, err), err)


def plan_text(plan: bytes) -> str:
    """The decoded plan, one ``key value`` line per item. Raises NativeError when it is invalid."""
    err = _ffi.new("kl_error *")
    room = 4 * len(plan) + 4096
    out = _ffi.new("char[]", room)
    size = _check(_lib.kl_plan_text(_ffi.from_buffer(plan), len(plan), out, room, err), err)
    return bytes(_ffi.buffer(out, size)).decode("ascii")


def shim_launch(
    program: int, argv: Sequence[str], env: Sequence[str], fds: Sequence[int]
) -> tuple[int, int]:
    """Starts the program of descriptor ``program`` as a child of init, with ``fds`` as its
    descriptors 3 and up.

    Returns its pid and a pidfd, which the caller owns.
    """
    err = _ffi.new("kl_error *")
    pidfd = _ffi.new("int *", -1)
    numbers = _ffi.new("int[]", list(fds))
    pid = _lib.kl_shim_launch(program, _strings(argv), _strings(env), numbers, len(fds), pidfd, err)
    return _check(pid, err), int(pidfd[0])


def device_filter(cgroup: int, program: bytes) -> None:
    """Attaches an eBPF program to a v2 cgroup (a descriptor of its directory), which decides about
    each device that is opened or made.
    """
    err = _ffi.new("kl_error *")
    _check(_lib.kl_device_filter(cgroup, _ffi.from_buffer(program), len(program), err), err)


def net_bridge(name: str, address: int, prefix: int, upper: bytes = b"") -> bool:
    """Makes sure that the bridge exists, is up and has the address (host byte order). True when it
    did not exist before.

    Here and below, whatever has an IPv4 address gets an IPv6 address beside it where ``upper`` is
    given: these 12 bytes, then those of the IPv4 address.
    """
    err = _ffi.new("kl_error *")
    return bool(_check(_lib.kl_net_bridge(_name(name), address, prefix, _upper(upper), err), err))


def net_attach(
    netns: int,
    bridge: str,
    host_name: str,
    pod_name: str,
    address: int,
    prefix: int,
    gateway: int,
    upper: bytes = b"",
) -> None:
    """Gives the network namespace behind ``netns`` its interface on the bridge, loopback, address
    and default route.
    """
    err = _ffi.new("kl_error *")
    code = _lib.kl_net_attach(
        netns,
        _name(bridge),
        _name(host_name),
        _name(pod_name),
        address,
        prefix,
        gateway,
        _upper(upper),
        err,
    )
    _check(code, err)


def net_limit(netns: int, name: str, rate: int, burst: int) -> None:
    """Limits what leaves an interface to ``rate`` bytes a second, and ``burst`` bytes at once;
    ``netns`` is -1 for this network namespace.
    """
    err = _ffi.new("kl_error *")
    _check(_lib.kl_net_limit(netns, _name(name), rate, burst, err), err)


def net_plug(bridge: str, host_name: str, address: int, upper: bytes = b"") -> bool:
    """Connects the host's end of an attached pod with a bridge that was made anew. False when there
    is no such interface.
    """
    err = _ffi.new("kl_error *")
    code = _lib.kl_net_plug(_name(bridge), _name(host_name), address, _upper(upper), err)
    return bool(_check(code, err))


def net_detach(bridge: str, host_name: str, address: int, upper: bytes = b"") -> bool:
    """Undoes :func:`net_attach`. False when there was no such interface."""
    err = _ffi.new("kl_error *")
    code = _lib.kl_net_detach(_name(bridge), _name(host_name), address, _upper(upper), err)
    return bool(_check(code, err))


def net_delete(name: str) -> bool:
    """Removes an interface of this network namespace. False when there was none."""
    err = _ffi.new("kl_error *")
    return bool(_check(_lib.kl_net_delete(_name(name), err), err))


def nft_run(commands: str) -> tuple[bool, str]:
    """Runs commands of nft(8) as one transaction. Returns True and the JSON of what they list, or
    False and the complaint of libnftables. Raises NativeError, with ENOENT when the library is not
    installed.
    """
    err = _ffi.new("kl_error *")
    text = _ffi.new("char **")
    refused = _check(_lib.kl_nft_run(commands.encode(), text, err), err)
    try:
        return not refused, bytes(_ffi.string(text[0])).decode("utf-8", "replace")
    finally:
        _lib.kl_text_free(text[0])


def _os_check(code: int, err: Any, *path: str) -> int:
    """For single system calls, whose failures are OSErrors as in the os module."""
    if code < 0:
        number = int(err.code)
        raise OSError(number, os.strerror(number), *path)
    return code


RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10


def openat2(directory: int, path: str, flags: int, resolve: int) -> int:
    """A close-on-exec descriptor of ``path``, resolved below ``directory`` as the RESOLVE_* bits
    say, openat2(2). Raises OSError.
    """
    err = _ffi.new("kl_error *")
    return _os_check(_lib.kl_openat2(directory, os.fsencode(path), flags, resolve, err), err, path)


def clone_mounts(descriptor: int) -> int:
    """A descriptor of a detached copy of the mounts at ``descriptor`` and below it. Mounts that are
    shared stay peers of the copy, open_tree(2). Raises OSError.
    """
    err = _ffi.new("kl_error *")
    return _os_check(_lib.kl_clone_mounts(descriptor, err), err)


def setns(namespace: int, kind: int) -> None:
    """Moves the calling thread into a namespace, setns(2). ``kind`` is its CLONE_NEW*. Raises
    OSError.
    """
    err = _ffi.new("kl_error *")
    _os_check(_lib.kl_setns(namespace, kind, err), err)


def unshare(kinds: int) -> None:
    """Moves the calling thread into new namespaces (CLONE_NEW* bits), unshare(2). Raises
    OSError.
    """
    err = _ffi.new("kl_error *")
    _os_check(_lib.kl_unshare(kinds, err), err)


def populate(ranges: array[int]) -> None:
    """Makes pages of this process its own at once, as writing to each would, madvise(2). ``ranges``
    (unsigned, 64 bits) holds address and length in bytes of one after the other; what is not mapped
    is left out.
    """
    _lib.kl_populate(_ffi.from_buffer("uint64_t[]", ranges), len(ranges) // 2)


def syncfs(descriptor: int) -> None:
    """Writes the file system of a descriptor to disk, syncfs(2). Raises OSError."""
    err = _ffi.new("kl_error *")
    _os_check(_lib.kl_syncfs(descriptor, err), err)


def inotify(path: str, mask: int) -> int:
    """A non-blocking, close-on-exec descriptor of the events (IN_*) of ``path``, inotify(7). Raises
    OSError, also when this user watches too many files.
    """
    err = _ffi.new("kl_error *")
    return _os_check(_lib.kl_inotify(-1, os.fsencode(path), mask, err), err, path)


def inotify_add(descriptor: int, path: str, mask: int) -> int:
    """Lets a descriptor of :func:`inotify` tell of ``path`` too. The number of these events; those
    of its first path are 1. Raises OSError.
    """
    err = _ffi.new("kl_error *")
    return _os_check(_lib.kl_inotify(descriptor, os.fsencode(path), mask, err), err, path)


class SchedQuery(NamedTuple):
    """One decision in full; buffers as in ``kl_sched_query`` of csrc/kubelite.h, None or empty
    where that allows NULL.
    """

    cls: int
    wanted: int
    candidates: bytes | None
    against: array[int] | None
    extra: array[int] | None
    nominated: array[int]
    reasons: array[int]
    lacks: array[int]
    scores: array[int]
    totals: array[int]


def sched_new(nodes: int, resources: int) -> Any:
    """The columns of a cluster, freed with the object. Raises NativeError."""
    err = _ffi.new("kl_error *")
    sched = _lib.kl_sched_new(nodes, resources, err)
    if sched == _ffi.NULL:
        raise _failure(err)
    return _ffi.gc(sched, _lib.kl_sched_free)


def sched_node(sched: Any, node: int, allocatable: array[int]) -> None:
    """Sets the allocatable amounts (int64) of a node, one for each resource."""
    err = _ffi.new("kl_error *")
    _check(_lib.kl_sched_node(sched, node, _ffi.from_buffer("int64_t[]", allocatable), err), err)


def sched_key(sched: Any, domains: array[int], count: int) -> int:
    """Adds a topology key: the domain (int32) of each node below ``count``, -1 for none. Returns
    its number.
    """
    err = _ffi.new("kl_error *")
    return _check(_lib.kl_sched_key(sched, _ffi.from_buffer("int32_t[]", domains), count, err), err)


def sched_counter(sched: Any, key: int, counted: bytes | None, classes: array[int]) -> int:
    """Adds a counter of the pods of ``classes`` (int32) on the nodes whose byte is set. Returns its
    number.
    """
    err = _ffi.new("kl_error *")
    nodes = _ffi.NULL if counted is None else _ffi.from_buffer("uint8_t[]", counted)
    numbers = _ffi.from_buffer("int32_t[]", classes)
    return _check(_lib.kl_sched_counter(sched, key, nodes, numbers, len(classes), err), err)


def sched_class(sched: Any, words: array[int]) -> int:
    """Adds a class of equal pods from its program (int64). Returns its number."""
    err = _ffi.new("kl_error *")
    return _check(
        _lib.kl_sched_class(sched, _ffi.from_buffer("int64_t[]", words), len(words), err), err
    )


def sched_column(sched: Any, cls: int, column: int, bits: bytes, value: int) -> None:
    """Fills a static column of a class where the node's bit is set."""
    err = _ffi.new("kl_error *")
    nodes = _ffi.from_buffer("uint8_t[]", bits)
    _check(_lib.kl_sched_column(sched, cls, column, nodes, len(bits), value, err), err)


def sched_pods(sched: Any, rows: array[int]) -> None:
    """Pods come and go: rows (int64) of pod, class, node or -1, start time."""
    err = _ffi.new("kl_error *")
    _check(_lib.kl_sched_pods(sched, _ffi.from_buffer("int64_t[]", rows), len(rows) // 4, err), err)


def sched_run(
    sched: Any, pods: array[int], classes: array[int], random: array[int], nodes: array[int]
) -> int:
    """Places pod after pod; ``nodes`` (int32) says the only node each may go to, or -1, and takes
    where it went.

    ``random`` (one uint64, 0 for the lowest node) breaks ties and moves on.

    Returns how many were decided; the last of them fits nowhere when its node is -1.
    """
    err = _ffi.new("kl_error *")
    state, out = _ffi.from_buffer("uint64_t[]", random), _ffi.from_buffer("int32_t[]", nodes)
    numbers, kinds = _ffi.from_buffer("int32_t[]", pods), _ffi.from_buffer("int32_t[]", classes)
    return _check(_lib.kl_sched_run(sched, numbers, kinds, len(classes), state, out, err), err)


def _query(query: SchedQuery) -> tuple[Any, list[Any]]:
    """The C form, and the buffers that must outlive it."""
    result = _ffi.new("kl_sched_query *")
    buffers = []

    def lend(name: str, kind: str, buffer: Any) -> None:
        if buffer is not None:
            buffers.append(_ffi.from_buffer(kind, buffer))
            setattr(result, name, buffers[-1])

    result.cls, result.wanted, result.nominated_count = (
        query.cls,
        query.wanted,
        len(query.nominated) // 2,
    )
    lend("candidates", "uint8_t[]", query.candidates)
    lend("against", "uint32_t[]", query.against)
    lend("extra", "int32_t[]", query.extra)
    lend("nominated", "int32_t[]", query.nominated)
    if query.reasons:
        lend("reasons", "uint32_t[]", query.reasons)
        lend("lacks", "uint64_t[]", query.lacks)
        lend("scores", "int32_t[]", query.scores)
        lend("totals", "int64_t[]", query.totals)
    return result, buffers


def sched_rate(sched: Any, query: SchedQuery, random: array[int]) -> tuple[int, int]:
    """Every verdict and score of one decision. Returns the chosen node or -1, and a bit for each
    score that was skipped.
    """
    err = _ffi.new("kl_error *")
    native_query, _buffers = _query(query)
    node = int(_lib.kl_sched_rate(sched, native_query, _ffi.from_buffer("uint64_t[]", random), err))
    if node < -1:
        raise _failure(err)
    return node, int(native_query.skipped)


def sched_preempt(
    sched: Any,
    query: SchedQuery,
    allowed: array[int],
    least: tuple[int, int],
    random: array[int],
    out: array[int],
) -> int:
    """Dry runs of preemption; ``out`` (int32) takes the candidates, or the best alone where the
    query has no reasons.

    ``least`` is how many candidates are looked for: percent of the nodes, and a number. Returns how
    many words were written.
    """
    err = _ffi.new("kl_error *")
    native_query, _buffers = _query(query)
    budgets, rows = _ffi.from_buffer("int32_t[]", allowed), _ffi.from_buffer("int32_t[]", out)
    state = _ffi.from_buffer("uint64_t[]", random)
    return _check(
        _lib.kl_sched_preempt(
            sched, native_query, budgets, len(allowed), *least, state, rows, len(out), err
        ),
        err,
    )
