"""Where a run works: one temporary directory with the programs and root file systems, and cgroup
names of its own. Everything here is removed by `close`."""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from startup.isolation import Isolation, cgroup_mounts
from startup.measure import BenchError, run

SOURCES = Path(__file__).resolve().parent.parent / "floor"
_WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wmissing-prototypes", "-Werror"]
_FREESTANDING = ["-nostdlib", "-fno-stack-protector"]
_DIRECTORIES = ("bin", "dev", "etc", "proc", "srv", "sys", "tmp")


def compile_c(output: Path, sources: list[str], *flags: str) -> None:
    """A static program from files of bench/floor. Raises BenchError with the compiler's words."""
    command = ["cc", "-O2", "-std=gnu11", "-static", *_WARNINGS, *flags, "-o", str(output)]
    command += [str(SOURCES / name) for name in sources]
    environment = {**os.environ, "TMPDIR": str(output.parent)}
    try:
        code, said = run(command, environment)
    except FileNotFoundError as error:
        raise BenchError("the floor needs a C compiler: apt-get install gcc libc6-dev") from error
    if code != 0:
        raise BenchError(f"cannot build {output.name}: {said}")


class Site:
    """Directory, names and namespaces of one run."""

    def __init__(self) -> None:
        self.name = f"kubelite-bench-{os.getpid()}"
        self._parents_before = self._podman_parents()
        self.isolation = Isolation()
        self.work = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))

    def build(self) -> None:
        """The floor, its two small programs and the root file system."""
        (self.work / "logs").mkdir()
        self.volume.mkdir()
        make_root(self.lower)
        compile_c(self.floor, ["main.c", "fail.c", "cgroup.c", "container.c", "net.c"])
        compile_c(self.lower / "true", ["tiny.c"], *_FREESTANDING)
        compile_c(self.pause, ["tiny.c"], "-DTINY_PAUSE", *_FREESTANDING)
        shutil.copy2(self.pause, self.lower / "pause")

    @property
    def lower(self) -> Path:
        """The small root file system."""
        return self.work / "lower"

    @property
    def floor(self) -> Path:
        return self.work / "floor"

    @property
    def pause(self) -> Path:
        return self.work / "pause"

    @property
    def volume(self) -> Path:
        """What a peer's container finds at /srv."""
        return self.work / "volume"

    def log(self, name: str) -> Path:
        return self.work / "logs" / name

    def cgroup(self, subject: str) -> str:
        """The name, below each hierarchy's root, of the cgroup a subject may work in."""
        return f"{self.name}-{subject}"

    def close(self) -> None:
        """Removes the directory and the cgroups of this run, and nothing else. Raises BenchError if
        the machine's cgroup mounts changed meanwhile."""
        self.isolation.close()
        for mount in cgroup_mounts():
            for directory in Path(mount.point).glob(f"{self.name}-*"):
                _remove_cgroup(directory)
        for parent in self._podman_parents() - self._parents_before:
            _remove_cgroup(parent)
        shutil.rmtree(self.work)
        if not self.isolation.left_cgroup_mounts_alone():
            raise BenchError("the machine's cgroup mounts changed during the run")

    @staticmethod
    def _podman_parents() -> set[Path]:
        """podman's parent cgroups have a fixed name; those that were there before are not ours."""
        parents = (Path(mount.point) / "libpod_parent" for mount in cgroup_mounts())
        return {parent for parent in parents if parent.is_dir()}


def _remove_cgroup(directory: Path) -> None:
    """Removes a cgroup and its children; the kernel refuses where a process lives."""
    for path, _, _ in os.walk(directory, topdown=False):
        Path(path).rmdir()


def make_root(root: Path) -> None:
    """An empty tree with the mount points."""
    for name in _DIRECTORIES:
        (root / name).mkdir(parents=True)


def pack(root: Path, archive: Path) -> None:
    """A tar of the tree, as `podman import` takes it."""
    with tarfile.open(archive, "w") as tar:
        tar.add(root, arcname=".")
