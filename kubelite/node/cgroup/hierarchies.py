"""Which cgroup hierarchies a machine has: v1, v2, or v1 with a v2 half (hybrid). Pure.

The text of ``mountinfo`` decides, since a controller of v1 works only where it is mounted. Groups
are made directly below a mount: the caller's own group is not looked at, so that pods do not depend
on who started them. Nothing is mounted here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "devices", "freezer", "hugetlb")
"""The controllers that anything here uses."""

DELEGATED = ("cpu", "memory", "pids")
"""The controllers that a v2 group hands down to the groups below it; others only where a limit
needs them.
"""


Kind = Literal["v1", "hybrid", "v2"]
"""The three kinds of machines (cgroups(7))."""


class Hierarchy(NamedTuple):
    """One mounted tree of groups; ``cpu,cpuacct`` mounted together are one."""

    mount_point: str
    controllers: frozenset[str]
    v2: bool


class World(NamedTuple):
    """All hierarchies of this machine that have a part in running pods, v1 ones first."""

    kind: Kind
    hierarchies: tuple[Hierarchy, ...]

    def hierarchy_of(self, controller: str) -> Hierarchy | None:
        """Where a controller works; it never does in two hierarchies."""
        for hierarchy in self.hierarchies:
            if controller in hierarchy.controllers:
                return hierarchy
        return None

    @property
    def unified(self) -> Hierarchy | None:
        """The v2 hierarchy, which on a hybrid machine kills and freezes but limits nothing."""
        return next((h for h in self.hierarchies if h.v2), None)

    @property
    def in_use(self) -> tuple[Hierarchy, ...]:
        """The hierarchies in which pods get groups.

        A v2 group freezes, and counts the time of its processes, without any controller: beside a
        v2 half the freezer and cpuacct of v1 would be made, entered and removed for nothing.
        """
        needed = set(CONTROLLERS) - ({"freezer", "cpuacct"} if self.unified else set())
        return tuple(h for h in self.hierarchies if h.v2 or h.controllers & needed)


class CgroupMount(NamedTuple):
    """A line of mountinfo that is a cgroup mount. ``names`` are a v1 mount's controllers."""

    point: str
    root: str
    names: frozenset[str]
    v2: bool


def parse_mounts(mountinfo: str) -> list[CgroupMount]:
    """The cgroup mounts in the text of /proc/self/mountinfo (proc(5)), in its order."""
    hierarchies = []
    for line in mountinfo.split("\n"):
        if " - cgroup" not in line:
            continue
        head, _, tail = line.partition(" - cgroup")
        fields, rest = head.split(" "), tail.split(" ")
        if len(fields) < 5 or len(rest) < 3 or rest[0] not in ("", "2"):
            continue
        names = frozenset(rest[2].split(",")) & frozenset(CONTROLLERS)
        v2 = rest[0] == "2"
        hierarchies.append(
            CgroupMount(_unescaped(fields[4]), fields[3], frozenset() if v2 else names, v2)
        )
    return hierarchies


def decide(mounts: list[CgroupMount], v2_controllers: str) -> World:
    """The world that these mounts make; ``v2_controllers`` is the v2 root's cgroup.controllers.

    A hierarchy that is mounted more than once counts once: where its root is shown, or else where
    it comes first.
    """
    chosen: dict[frozenset[str] | str, CgroupMount] = {}
    for mount in mounts:
        key = "v2" if mount.v2 else mount.names
        if not key:
            continue
        if key not in chosen or (chosen[key].root != "/" and mount.root == "/"):
            chosen[key] = mount
    v1 = [Hierarchy(m.point, m.names, False) for m in chosen.values() if not m.v2]
    v2 = [
        Hierarchy(m.point, frozenset(v2_controllers.split()) & frozenset(CONTROLLERS), True)
        for m in chosen.values()
        if m.v2
    ]
    kind: Kind = ("hybrid" if v2 else "v1") if v1 else "v2"
    return World(kind, (*v1, *v2))


def _unescaped(field: str) -> str:
    """Blanks, tabs, newlines and backslashes are octal in mountinfo."""
    head, *parts = field.split("\\")
    return head + "".join(_character(part[:3]) + part[3:] for part in parts)


def _character(digits: str) -> str:
    octal = len(digits) == 3 and all(digit in "01234567" for digit in digits)
    return chr(int(digits, 8)) if octal else f"\\{digits}"
