"""Where attacks are tried: pods made in this process, by the shipped shim or by a test build that
leaves one defence out.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelite.cli.common import manifest
from kubelite.core import shim as shims
from kubelite.node.kubelet.pods.pods import Pods, UpResult
from kubelite.node.runtime.home import Home
from kubelite.testing.host import difference, snapshot
from tests.e2e.world import eventually

TREE = Path(__file__).resolve().parents[2]
SHIPPED = Path(shims._PROGRAM)
MARK = b"KUBELITE_WITHOUT="
SLEEP = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"


class Arena:
    """A home and its pods. ``weak`` is the shim of the test build."""

    def __init__(self, root: Path, weak: Path) -> None:
        self.root, self.weak = root, weak
        self.home = Home(str(root))
        self.pods = Pods(self.home)

    @contextlib.contextmanager
    def without(self, defence: str) -> Iterator[None]:
        """Pods made meanwhile lack one defence ("" for none: the test build as it is)."""
        program = self.weak.read_bytes()
        at = program.index(MARK) + len(MARK)
        patched = self.root.parent / f"shim-without-{defence or 'nothing'}"
        patched.write_bytes(program[:at] + defence.encode() + program[at + len(defence) :])
        patched.chmod(0o755)
        shims._PROGRAM = str(patched)
        try:
            yield
        finally:
            shims._PROGRAM = str(SHIPPED)

    def up(self, made: dict[str, Any], **options: Any) -> UpResult:
        path = self.root.parent / "pod.json"
        path.write_text(json.dumps(made))
        (pod,) = manifest.load(str(path)).pods
        return self.pods.up(pod, report=lambda step: None, **options)

    def down(self, name: str = "p") -> None:
        self.pods.down("default", name, grace=0, report=lambda step: None)

    def output(
        self, script: str | list[str], *, spec: dict[str, Any] | None = None, **container: Any
    ) -> str:
        """What a container says that runs the script and ends; the pod is gone afterwards."""
        self.up(pod(script, spec=spec, **container))
        try:
            self.pods.queries.wait("default", "p", "exited", 30)
            return self.logs()
        finally:
            self.down()

    def logs(self, name: str = "p") -> str:
        return b"".join(line.text for line in self.pods.queries.logs("default", name, "c")).decode(
            errors="replace"
        )

    def exec(self, args: str | list[str], name: str = "p", container: str = "c") -> str:
        """What a further program in a container says."""
        words = ["sh", "-c", args] if isinstance(args, str) else args
        said = bytearray()
        with contextlib.closing(self.pods.exec("default", name, container, words)) as session:
            session.close_stdin()
            while not isinstance(got := session.read(), int):
                said += got[1]
        return said.decode(errors="replace")

    def pid(self, name: str = "p", container: str = "c") -> int:
        return int(self.pods.queries.inspect("default", name)["containers"][container]["pid"])


def pod(
    script: str | list[str] = SLEEP,
    *,
    name: str = "p",
    spec: dict[str, Any] | None = None,
    **container: Any,
) -> dict[str, Any]:
    command = ["sh", "-c", script] if isinstance(script, str) else script
    metadata = {"name": name, **(container.pop("metadata", None) or {})}
    main = {"name": "c", "image": "host", "command": command, **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"restartPolicy": "Never", "containers": [main], **(spec or {})},
    }


@contextlib.contextmanager
def memory_limit(bytes_: int, *pids: int) -> Iterator[Path]:
    """A cgroup of memory with these processes, which may have no more together; the host's own is
    v1 or v2. Gives the file that counts the kills. What is left at the end goes back to the top.
    """
    v1 = Path("/sys/fs/cgroup/memory")
    parent = v1 if v1.is_dir() else Path("/sys/fs/cgroup")
    limit, kills = (
        ("memory.limit_in_bytes", "memory.oom_control")
        if v1.is_dir()
        else ("memory.max", "memory.events")
    )
    group = parent / f"kubelite-test-{os.getpid()}"
    group.mkdir()
    try:
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        (group / limit).write_text(str(bytes_))
        yield group / kills
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (parent / "cgroup.procs").write_text(pid)
        eventually(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
        group.rmdir()


def build_weak(folder: Path) -> Path:
    """Compiles the shim with -DKL_TEST_SWITCHES, outside the source tree."""
    made = folder / "kubelite-shim"
    parts = (
        *("csrc/plan.c", "csrc/error.c", "csrc/fdpass.c", "csrc/procfs.c", "csrc/switches.c"),
        *("csrc/container/*.c", "csrc/shim/*.c", "csrc/shim/*/*.[cS]"),
    )
    sources = sorted(str(path) for part in parts for path in Path(TREE).glob(part))
    flags = [
        "-std=gnu11",
        "-D_GNU_SOURCE",
        "-O1",
        "-DKL_TEST_SWITCHES",
        "-Icsrc",
        f'-DPAUSE_FILE="{SHIPPED.parent}/kubelite-pause"',
    ]
    subprocess.run(["gcc", *flags, "-static", *sources, "-o", str(made)], cwd=TREE, check=True)
    return made


@pytest.fixture(scope="session")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shim of the test build; KUBELITE_WEAK names one that was made elsewhere."""
    made = os.environ.get("KUBELITE_WEAK")
    if made:
        return Path(made)
    return build_weak(tmp_path_factory.mktemp("weak"))


@pytest.fixture
def arena(tmp_path: Path, weak: Path) -> Iterator[Arena]:
    """An arena of its own; afterwards nothing of it is left on the host."""
    root = tmp_path / "k"
    before = snapshot(root)
    made = Arena(root, weak)
    made.home.make()
    yield made
    for each in made.pods.queries.list(None):
        made.down(each.metadata.name or "")
    assert difference(before, snapshot(root)) == []


def image(arena: Arena, folder: Path, name: str = "evil") -> Path:
    """A root file system with busybox, to be spoiled and then imported with :func:`bring_in`."""
    root = folder / name
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for word in ("sh", "cat", "ls", "id", "mount", "echo", "sleep", "stat"):
        (root / "bin" / word).symlink_to("busybox")
    for word in ("etc", "tmp", "proc", "sys", "dev"):
        (root / word).mkdir()
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/sh\n")
    return root


def bring_in(arena: Arena, root: Path) -> str:
    from kubelite.node.image.store import ImageStore

    ImageStore(Path(arena.home.images)).import_rootfs(root.name, root)
    return root.name
