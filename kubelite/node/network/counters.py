"""What the interfaces of a network namespace have carried, from ``/proc/PID/net/dev`` (proc(5))."""

from __future__ import annotations

from typing import NamedTuple


class Interface(NamedTuple):
    """One interface: bytes and errors since it was made."""

    name: str
    received: int
    receive_errors: int
    sent: int
    send_errors: int


def interfaces(pid: int | str = "self") -> tuple[Interface, ...]:
    """All interfaces but loopback that a process sees; none where the process has gone."""
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii") as file:
            lines = file.readlines()[2:]
    except OSError:
        return ()
    parsed = (line.partition(":")[::2] for line in lines)
    return tuple(
        _interface(name.strip(), fields.split()) for name, fields in parsed if name.strip() != "lo"
    )


def _interface(name: str, fields: list[str]) -> Interface:
    return Interface(name, int(fields[0]), int(fields[2]), int(fields[8]), int(fields[10]))
