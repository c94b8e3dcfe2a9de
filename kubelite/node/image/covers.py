"""What a container that runs on the machine's own files must not see, and where files lie.  Pure.

The reserved image `host` shows the root file system of the machine.  This module decides which of
its directories and files are covered: those that hold secrets of the machine, of its users, of
other container engines, and the state of kubelite.  It is a list of known places, not a proof
that no secret lies elsewhere.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MACHINE = (
    "/etc/NetworkManager/system-connections",
    "/etc/ceph",
    "/etc/cni",
    "/etc/docker",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/ipsec.secrets",
    "/etc/krb5.keytab",
    "/etc/kubernetes",
    "/etc/letsencrypt",
    "/etc/pki/tls/private",
    "/etc/ppp/chap-secrets",
    "/etc/ppp/pap-secrets",
    "/etc/rancher",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/ssl/private",
    "/etc/wireguard",
    "/etc/wpa_supplicant",
    "/var/backups",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/lib/rancher",
    "/var/lib/sss",
)
HOME = (
    ".aws",
    ".azure",
    ".bash_history",
    ".config/containers",
    ".config/gcloud",
    ".config/gh",
    ".docker",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".local/share/containers",
    ".local/share/keyrings",
    ".my.cnf",
    ".netrc",
    ".npmrc",
    ".password-store",
    ".pgpass",
    ".pypirc",
    ".ssh",
    ".vault-token",
)
SSH_HOST_KEY = r"ssh_host_.*_key"


class Mount(NamedTuple):
    """One line of /proc/self/mountinfo: where, and which kind of file system."""

    point: str
    kind: str


def candidates(roots: list[str], passwd: str, etc_ssh: list[str]) -> list[str]:
    """Every path to cover, whether it exists or not.

    `roots` are kubelite's own directories, `passwd` the text of /etc/passwd, `etc_ssh` the names in
    /etc/ssh.
    """
    homes = {"/root", *homes_in(passwd)}
    keys = [f"/etc/ssh/{name}" for name in etc_ssh if re.fullmatch(SSH_HOST_KEY, name)]
    private = [f"{home}/{name}" for home in sorted(homes) for name in HOME]
    return [*roots, *MACHINE, *keys, *private]


def homes_in(passwd: str) -> set[str]:
    """Home directories in the text of /etc/passwd; `/` and relative ones are no home."""
    rows = [line.split(":") for line in passwd.splitlines()]
    homes = {row[5].rstrip("/") for row in rows if len(row) > 5}
    return {home for home in homes if home.startswith("/")}


def outermost(paths: list[str]) -> list[str]:
    """The paths sorted, without those that lie below another one."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda p: p.split("/")):
        if not kept or not is_below(path, kept[-1]):
            kept.append(path)
    return kept


def is_below(path: str, above: str) -> bool:
    """Whether an absolute path is another one or lies below it."""
    return path == above or path.startswith(above.rstrip("/") + "/")


def parse_mountinfo(text: str) -> list[Mount]:
    """The mounts in the text of a mountinfo file (proc(5)), in its order."""
    mounts = []
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) > 6 and "-" in fields[6:]:
            kind = fields[fields.index("-", 6) + 1]
            mounts.append(Mount(_unescaped(fields[4]), kind))
    return mounts


def by_point(mounts: list[Mount]) -> dict[str, Mount]:
    """The mounts by where they are; of several at one place the last made, which hides the
    others.
    """
    return {mount.point: mount for mount in mounts}


def mount_of(path: str, mounts: dict[str, Mount]) -> Mount | None:
    """The mount that an absolute path lies on: that of its nearest directory which is a mount
    point.
    """
    while path not in mounts:
        if path in ("/", ""):
            return mounts.get("/")
        path = path.rpartition("/")[0] or "/"
    return mounts[path]


def overlay_problem(path: str, mounts: dict[str, Mount]) -> str | None:
    """Why a writable layer cannot lie at a path; None if it can."""
    mount = mount_of(path, mounts)
    if mount is None or mount.kind != "overlay":
        return None
    return (
        f"{path} lies on an overlay file system ({mount.point}), which cannot hold the writable "
        "layer of another: make kubelite's root a volume, or choose another with --root"
    )


def _unescaped(field: str) -> str:
    """Blanks and backslashes are octal in mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
