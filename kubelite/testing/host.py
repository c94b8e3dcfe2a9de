"""What kubelite could leave on a host: taken before and after a test, the two must be equal.

A snapshot is a set of readable lines, one for each process, mount, cgroup, interface, route,
firewall table, setting and file. Of a root given, only what can be of that root is looked at, so
that tests on other roots may run beside. The network is that of the caller's namespace.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from kubelite.node.network import names, nftables
from kubelite.node.network.errors import NoFirewall

Snapshot = frozenset[str]
_SHIM = "kubelite-shim"
_PAUSE = "memfd:kubelite-pause"


def snapshot(root: str | Path | None = None) -> Snapshot:
    """What of kubelite, or of the kubelite with that ``root``, is on this host at this moment."""
    place = os.path.realpath(root) if root is not None else ""
    key = hashlib.sha256(os.fsencode(place)).hexdigest()[:8] if place else ""
    groups = list(_cgroups(key))
    entries = [
        *(f"process {process}" for process in _processes(place, key, groups)),
        *(f"mount {mount}" for mount in _mounts(place)),
        *(f"cgroup {group}" for group in groups),
        *(f"file {path}" for path in _run_files(place)),
    ]
    return frozenset(entries) | network_snapshot(key)


def network_snapshot(key: str = "") -> Snapshot:
    """The part of it that the caller's network namespace holds; ``key`` is that of the home, empty
    for all homes.
    """
    entries = [
        *(f"interface {interface}" for interface in _interfaces(key)),
        *(f"route {route}" for route in _routes(key)),
        *(f"nftables table {table}" for table in _tables(key)),
        f"ip_forward {_text('/proc/sys/net/ipv4/ip_forward').strip()}",
        f"IPv6 forwarding {_text('/proc/sys/net/ipv6/conf/all/forwarding').strip()}",
    ]
    return frozenset(entries)


def difference(before: Snapshot, after: Snapshot) -> list[str]:
    """What came and stayed, and what is missing; empty when the host is as it was."""
    return [f"left: {line}" for line in sorted(after - before)] + [
        f"gone: {line}" for line in sorted(before - after)
    ]


# -- processes -------------------------------------------------------------------------------------


def _processes(root: str, key: str, groups: list[str]) -> Iterator[str]:
    """Shims and all below them, what sits in a pod's cgroup, and every pause that no shim holds any
    more and that may be of this home.
    """
    parents = {pid: parent for pid in _pids() if (parent := _parent(pid))}
    members = {pid for group in groups for pid in _text(f"{group}/cgroup.procs").split()}
    shims = {pid for pid in parents if _command(pid).startswith(_SHIM)}
    ours = {pid for pid in shims if root in _command(pid).split(" ")} if root else shims
    for pid, parent in sorted(parents.items()):
        orphan = parent not in shims and _program(pid).startswith(f"/{_PAUSE}")
        unheld = orphan and not (key and _sits_elsewhere(pid, key))
        if pid in members or unheld or ours & {pid, *_ancestors(pid, parents)}:
            yield f"{pid} {_command(pid)}".rstrip()


def _sits_elsewhere(pid: str, key: str) -> bool:
    """In the cgroup of another home."""
    homes = re.findall(r"/kubelite-([0-9a-f]{8})", _text(f"/proc/{pid}/cgroup"))
    return bool(homes) and key not in homes


def _pids() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def _parent(pid: str) -> str:
    """The parent's pid; empty for what has ended, a zombie included."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[1] if len(fields) > 1 and fields[0] not in "ZX" else ""


def _ancestors(pid: str, parents: dict[str, str]) -> Iterator[str]:
    while (pid := parents.get(pid, "")) not in ("", "0"):
        yield pid


def _command(pid: str) -> str:
    return _text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()


def _program(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


# -- what the kernel holds -------------------------------------------------------------------------


def _mounts(root: str) -> Iterator[str]:
    for line in _text("/proc/self/mountinfo").splitlines():
        point = line.split(" ")[4]
        if not root or point == root or point.startswith(f"{root}/"):
            yield point


def _cgroups(key: str) -> Iterator[str]:
    for parent in glob.glob("/sys/fs/cgroup/**/kubelite-*", recursive=True):
        if not key or f"kubelite-{key}" in parent.split("/"):
            yield from (path for path, _, _ in os.walk(parent))


def _interfaces(key: str) -> Iterator[str]:
    return (name for _, name in socket.if_nameindex() if _concerns(name, key))


def _routes(key: str) -> Iterator[str]:
    for line in _text("/proc/thread-self/net/route").splitlines()[1:]:
        interface, target, gateway, *rest = line.split()
        if _concerns(interface, key):
            yield f"{target}/{rest[4]} by {gateway} on {interface}"


def _concerns(interface: str, key: str) -> bool:
    """Everything but the interfaces of other homes."""
    home = re.match(r"kl-([0-9a-f]{8})(?=$|-)|lb-([0-9a-f]{4})[0-9a-f]{8}$", interface)
    return not key or home is None or key.startswith(home[1] or home[2])


def _tables(key: str) -> Iterator[str]:
    try:
        listing = json.loads(nftables.run("list tables"))
    except NoFirewall:
        return
    for entry in listing["nftables"]:
        name = entry.get("table", {}).get("name", "")
        if names.is_table(name) and key in name:
            yield name


def _run_files(root: str) -> Iterator[str]:
    """Only a home without a root of its own writes there, and the warm process, which is of no
    root.
    """
    for name in sorted(os.listdir("/run")):
        if name.startswith("kubelite") and not (root and name == "kubelite-warm"):
            yield f"/run/{name}"
            for top, directories, files in os.walk(f"/run/{name}"):
                yield from (os.path.join(top, name) for name in directories + files)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
