"""The paths of one state root, and the directories at its top.

Two state roots share nothing, so that two kubelites, or a hundred tests, live side by side. This
module knows paths; it creates and checks directories but decides nothing.
"""

from __future__ import annotations

import os

from kubelite.lib.digest import hexdigest
from kubelite.lib.files import names
from kubelite.lib.trusted_paths import directory_problem
from kubelite.node.runtime.errors import RuntimeFailure

DEFAULT_ROOT = "/var/lib/kubelite"
DEFAULT_RUN = "/run/kubelite"
UNFINISHED = ".new-"


class Home:
    """The paths of the state root ``root``; None means KUBELITE_ROOT, or else the default."""

    def __init__(self, root: str | None = None) -> None:
        chosen = root or os.environ.get("KUBELITE_ROOT") or DEFAULT_ROOT
        self.root = os.path.realpath(chosen)
        self.run = DEFAULT_RUN if self.root == DEFAULT_ROOT else os.path.join(self.root, "run")
        self.key = hexdigest(os.fsencode(self.root))[:8]

    @property
    def images(self) -> str:
        return f"{self.root}/images"

    @property
    def pods(self) -> str:
        return f"{self.root}/pods"

    @property
    def logs(self) -> str:
        return f"{self.root}/logs"

    @property
    def volumes(self) -> str:
        """The directory of the volumes that are provisioned on this node, by their names."""
        return f"{self.root}/volumes"

    def claim(self, namespace: str, name: str) -> str:
        """The directory of a claim that came with the manifest of local pods."""
        return f"{self.root}/claims/{namespace}_{name}"

    @property
    def seccomp(self) -> str:
        """The directory of seccomp profiles that ``localhostProfile`` refers to."""
        return f"{self.root}/seccomp"

    @property
    def filters(self) -> str:
        """The directory of compiled seccomp profiles, by their keys."""
        return f"{self.root}/filters"

    @property
    def cgroup(self) -> str:
        """The name of the cgroup that holds all pods of this state root."""
        return f"kubelite-{self.key}"

    @property
    def lock(self) -> str:
        """The lock held while names, addresses and shared interfaces are assigned or released."""
        return f"{self.run}/lock"

    def pod(self, uid: str) -> str:
        return f"{self.root}/pods/{uid}"

    def unfinished_pod(self, uid: str) -> str:
        """The name of a pod's directory before it is complete and once it is being deleted: nothing
        takes it for a pod.
        """
        return f"{self.root}/pods/{UNFINISHED}{uid}"

    def has_pods(self) -> bool:
        """Whether there is any pod, incomplete and damaged ones included."""
        return any(not name.startswith(UNFINISHED) for name in names(self.pods))

    def attachment(self, uid: str) -> str:
        """The record of a pod's connection to a CNI network."""
        return f"{self.pod(uid)}/cni.json"

    def pod_run(self, uid: str) -> str:
        return f"{self.run}/pods/{uid}"

    def pod_lock(self, uid: str) -> str:
        return f"{self.run}/locks/{uid}"

    def pod_logs(self, namespace: str, name: str, uid: str) -> str:
        return f"{self.root}/logs/{namespace}_{name}_{uid}"

    def make(self) -> None:
        """Creates the top directories, closed to other users. Raises OSError, and what
        :meth:`check` does.
        """
        self.check()
        for path in (self.root, self.run):
            os.makedirs(path, 0o700, exist_ok=True)
        for path in (self.pods, self.logs, self.images, f"{self.run}/pods", f"{self.run}/locks"):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                pass
        if self.root != DEFAULT_ROOT:
            from kubelite.lib import known_roots  # not for who only reads

            known_roots.register(self.root)

    def check(self) -> None:
        """Refuses a state root that another user could change: whoever can write its records
        decides what runs as root. Each directory on the way has to belong to root or this user, and
        only a sticky one may be writable by others. Raises RuntimeFailure.
        """
        for path in (self.root, self.run):
            if problem := directory_problem(path):
                raise RuntimeFailure(
                    f"{path} cannot be used as a state root: {problem}",
                    hint="choose a directory of root's that nobody else can write to",
                )


def boot_id() -> str:
    """The kernel's id of this boot: records of kernel objects are void in any other."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()
