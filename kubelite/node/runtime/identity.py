"""User, groups and capabilities of a container's program. Pure.

The rules are the kubelet's and the CRI runtimes': ``runAsUser`` overrides the image's user, names
are looked up in the image's own passwd and group files, and the primary group is always among the
supplementary ones.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.core.plan import Caps

MAX_ID = 0xFFFFFFFE
ALL_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN "
    "SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
# The default set of containerd and docker.
DEFAULT_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP "
    "NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
).split()


class User(NamedTuple):
    """The kernel's numbers, and the home directory in the image's passwd file."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


class IdentityError(ValueError):
    """The user or a capability cannot be determined; the text is one sentence."""


class _Entry(NamedTuple):
    name: str
    uid: int
    gid: int
    home: str


def _number(text: str) -> int | None:
    """Strictly digits: ``+0`` or 4294967295 must not turn out to be root (CVE-2024-40635)."""
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > MAX_ID:
        return None
    return int(text)


def _passwd(text: str) -> list[_Entry]:
    entries = []
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) >= 6:
            uid, gid = _number(fields[2]), _number(fields[3])
            if uid is not None and gid is not None:
                entries.append(_Entry(fields[0], uid, gid, fields[5]))
    return entries


def _groups(text: str) -> list[tuple[str, int, list[str]]]:
    groups = []
    for line in text.splitlines():
        fields = line.split(":")
        gid = _number(fields[2]) if len(fields) >= 4 else None
        if gid is not None:
            groups.append((fields[0], gid, fields[3].split(",")))
    return groups


def _find_user(text: str, entries: list[_Entry]) -> tuple[int, _Entry | None]:
    number = _number(text)
    for entry in entries:
        if entry.name == text or entry.uid == number:
            return entry.uid, entry
    if number is None:
        raise IdentityError(f'the image runs as user "{text}", which its /etc/passwd does not have')
    return number, None


def resolve_user(
    image_user: str,
    run_as_user: int | None,
    run_as_group: int | None,
    supplemental: tuple[int, ...],
    passwd: str,
    group: str,
    *,
    merge: bool = True,
) -> User:
    """The resulting numbers. ``image_user`` is the image's USER, "", "name", "7" or "name:group";
    ``passwd`` and ``group`` the texts of its files, whose groups of the user count only with
    ``merge``. Raises IdentityError."""
    entries, groups_of_image = _passwd(passwd), _groups(group)
    name, _, group_name = image_user.partition(":")
    user = str(run_as_user) if run_as_user is not None else (name or "0")
    uid, entry = _find_user(user, entries)
    gid = entry.gid if entry else 0
    if run_as_group is not None:
        gid = run_as_group
    elif group_name and run_as_user is None:
        gid = _find_group(group_name, groups_of_image)
    member = [g for _, g, names in groups_of_image if merge and entry and entry.name in names]
    groups = tuple(dict.fromkeys((gid, *member, *supplemental)))
    home = entry.home if entry and entry.home.isprintable() else ("/root" if uid == 0 else "/")
    return User(uid, gid, groups, home or "/")


def _find_group(text: str, known: list[tuple[str, int, list[str]]]) -> int:
    number = _number(text)
    for name, gid, _ in known:
        if name == text or gid == number:
            return gid
    if number is None:
        raise IdentityError(f'the image runs as group "{text}", which its /etc/group does not have')
    return number


def _mask(names: list[str]) -> int:
    return sum(1 << ALL_CAPABILITIES.index(name) for name in dict.fromkeys(names))


def _normal(name: str) -> str:
    short = name.upper().removeprefix("CAP_")
    if short != "ALL" and short not in ALL_CAPABILITIES:
        raise IdentityError(f'no such capability: "{name}"')
    return short


def capabilities(add: list[str], drop: list[str], privileged: bool, available: int) -> Caps:
    """The capability sets of a container; ``available`` is the mask that this process can grant. An
    added capability overrides a dropped one unless ALL was added. Inheritable and ambient are empty
    (CVE-2022-24769). Raises IdentityError."""
    if privileged:
        mask = _mask(ALL_CAPABILITIES) & available
        return Caps(mask, mask, mask)
    plus, minus = [_normal(n) for n in add], [_normal(n) for n in drop]
    names = set() if "ALL" in minus else set(DEFAULT_CAPABILITIES)
    if "ALL" in plus:
        names = set(ALL_CAPABILITIES)
    names -= set(minus)
    names |= set(plus) - {"ALL"}
    mask = _mask(sorted(names)) & available
    return Caps(mask, mask, mask)
