"""Where everything of one kubelite lies: one root, its run-time part, and the names derived from
it.

Two homes share nothing, so that two kubelites, or a hundred tests, live side by side. This module
knows paths; it makes directories but decides nothing.
"""

from __future__ import annotations

import os

from kubelite.lib import known_roots
from kubelite.lib.digest import hexdigest

DEFAULT_ROOT = "/var/lib/kubelite"
DEFAULT_RUN = "/run/kubelite"
UNFINISHED = ".new-"


class Home:
    """The directories of one root. ``root`` None means KUBELITE_ROOT, or else the machine's default
    home.
    """

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
    def seccomp(self) -> str:
        """Where ``localhostProfile`` of a seccompProfile is looked for."""
        return f"{self.root}/seccomp"

    @property
    def filters(self) -> str:
        """Compiled seccomp profiles, by their keys."""
        return f"{self.root}/filters"

    @property
    def cgroup(self) -> str:
        """The name of the cgroup that holds all pods of this home."""
        return f"kubelite-{self.key}"

    @property
    def lock(self) -> str:
        """Held while names, addresses and shared interfaces are handed out or given back."""
        return f"{self.run}/lock"

    def pod(self, uid: str) -> str:
        return f"{self.root}/pods/{uid}"

    def unfinished_pod(self, uid: str) -> str:
        """Where a pod's directory is while it is being made or taken away in one step: nobody takes
        it for a pod.
        """
        return f"{self.root}/pods/{UNFINISHED}{uid}"

    def has_pods(self) -> bool:
        """Whether there is any pod, half-made and damaged ones included."""
        return any(not name.startswith(UNFINISHED) for name in os.listdir(self.pods))

    def pod_run(self, uid: str) -> str:
        return f"{self.run}/pods/{uid}"

    def pod_lock(self, uid: str) -> str:
        return f"{self.run}/locks/{uid}"

    def pod_logs(self, namespace: str, name: str, uid: str) -> str:
        return f"{self.root}/logs/{namespace}_{name}_{uid}"

    def make(self) -> None:
        """Makes the top directories, each closed to others. Raises OSError."""
        for path in (self.root, self.run):
            os.makedirs(path, 0o700, exist_ok=True)
        for path in (self.pods, self.logs, self.images, f"{self.run}/pods", f"{self.run}/locks"):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                pass
        if self.root != DEFAULT_ROOT:
            known_roots.register(self.root)


def boot_id() -> str:
    """The kernel's id of this boot: records of kernel objects are worth nothing after the next one."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
