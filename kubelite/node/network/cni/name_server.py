"""Lets pods of CNI plug-ins reach the cluster's name server, which listens on 127.0.0.1.

What they send to its Service address is led there, and the kernel takes it only where the host's
end has ``route_localnet``. The firewall table of the Services drops what is sent to 127.0.0.0/8
itself (CVE-2020-8558). What was set is on record first, and is set back with that table.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from kubelite.lib.files import unlink_missing, write_atomic

_CONF = "/proc/sys/net/ipv4/conf"


def reach(run: str, interfaces: Iterable[str]) -> None:
    """Sets it for these interfaces of the host; the caller holds the lock of the state root, whose
    run directory is ``run``. Raises OSError.
    """
    lacking = [name for name in interfaces if _is_set(name) is False]
    if not lacking:
        return
    kept = [name for name in _on_record(run) if _is_set(name)]
    write_atomic(_path(run), "\n".join([*kept, *lacking]).encode(), durable=False)
    for name in lacking:
        _set(name, "1")


def leave(run: str) -> None:
    """Sets it back for all. Raises OSError."""
    for name in _on_record(run):
        if _is_set(name):
            _set(name, "0")
    unlink_missing(_path(run))


def _path(run: str) -> str:
    return f"{run}/route_localnet"


def _on_record(run: str) -> list[str]:
    try:
        with open(_path(run), encoding="utf-8") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def _is_set(interface: str) -> bool | None:
    """None where there is no such interface."""
    try:
        with open(_setting(interface), encoding="ascii") as file:
            return file.read().strip() == "1"
    except FileNotFoundError:
        return None


def _set(interface: str, value: str) -> None:
    with open(_setting(interface), "w", encoding="ascii") as file:
        file.write(value)


def _setting(interface: str) -> str:
    return f"{_CONF}/{os.path.basename(interface)}/route_localnet"
