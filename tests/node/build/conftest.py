"""A state root with the images that builds begin with, and buildah with the same ones."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.build.containerfiles import make_context
from tests.rootfs import make_root

PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\n"
GROUP = "root:x:0:\napp:x:1001:\nstaff:x:50:\n"
TRIGGER = "FROM base\nONBUILD ENV T=1\nONBUILD RUN echo $T > /triggered\n"


class Builders:
    """kubelite and buildah, each with a place of its own, and the context of all builds."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "root"
        self.context = make_context(place / "context")
        self.env = {**os.environ, "KUBELITE_ROOT": str(self.root), "NO_COLOR": "1"}

    def kl(self, *args: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "kubelite", *args],
            capture_output=True,
            text=True,
            env=self.env | more,
            timeout=120,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def buildah(self, *args: str) -> str:
        places = ["--root", str(self.place / "g"), "--runroot", str(self.place / "r")]
        done = subprocess.run(
            ["buildah", *places, "--storage-driver", "vfs", *args], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def prepare(self) -> None:
        """The images `base` and `trigger`, in both stores."""
        root = make_root(self.place / "rootfs")
        for name in ("opt/app/old", "opt/app/older/x", "etc/old"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("old\n")
        (root / "etc/passwd").write_text(PASSWD)
        (root / "etc/group").write_text(GROUP)
        (root / "tmp").mkdir(0o1777)
        (root / "lnk").symlink_to("opt/app")
        for name in ("dev", "proc", "sys", "run"):
            (root / name).mkdir()
        for name in ("hosts", "hostname", "resolv.conf"):
            (root / "etc" / name).touch()
        if not (root / "bin").exists():
            (root / "bin").symlink_to("usr/bin")
        self.kl("image", "import", "base", str(root))
        shutil.rmtree(root)

    def prepare_buildah(self) -> None:
        self.kl("image", "save", "base", "-o", str(self.place / "base.tar"))
        self.buildah("pull", f"oci-archive:{self.place / 'base.tar'}")
        self.buildah("tag", "docker.io/library/base:latest", "localhost/base:latest")

    def build(self, text: str, *options: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """An image ``made`` of a Containerfile, by kubelite."""
        file = self.place / "Containerfile"
        file.write_text(text)
        return self.kl(
            "image", "build", "-f", str(file), "-t", "made", *options, str(self.context), **more
        )

    def unpacked(self, name: str = "made") -> Path:
        """An image of kubelite as umoci sees it: ``rootfs`` and ``config.json``."""
        archive, layout = self.place / f"{name}.tar", self.place / f"{name}.oci"
        shutil.rmtree(layout, ignore_errors=True)
        archive.unlink(missing_ok=True)
        self.kl("image", "save", name, "-o", str(archive))
        with tarfile.open(archive) as tar:
            tar.extractall(layout, filter="data")
        index = json.loads((layout / "index.json").read_text())
        index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "1"}
        (layout / "index.json").write_text(json.dumps(index))
        return unpack(layout)

    def built_by_buildah(self, text: str) -> Path:
        file, layout = self.place / "Containerfile.buildah", self.place / "buildah.oci"
        file.write_text(text)
        self.buildah(
            "bud", "--isolation", "chroot", "--format", "docker", "--pull-never", "--layers=false",
            "-f", str(file), "-t", "made", str(self.context),
        )  # fmt: skip
        shutil.rmtree(layout, ignore_errors=True)
        self.buildah("push", "made", f"oci:{layout}:1")
        return unpack(layout)

    def buildah_config(self) -> dict[str, Any]:
        """Docker's form of what buildah has built, which tells more than OCI's."""
        return json.loads(self.buildah("inspect", "--type", "image", "made"))["Docker"]["config"]


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def unpack(layout: Path) -> Path:
    bundle = layout.with_suffix(".bundle")
    shutil.rmtree(bundle, ignore_errors=True)
    run("umoci", "unpack", "--image", f"{layout}:1", str(bundle))
    return bundle


def config_of(layout: Path) -> dict[str, Any]:
    """The configuration of the one image of a layout."""

    def document(digest: str) -> dict[str, Any]:
        return json.loads((layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_text())

    index = json.loads((layout / "index.json").read_text())
    return document(document(index["manifests"][0]["digest"])["config"]["digest"])


def xattr_names(path: Path) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


def files_of(root: Path) -> dict[str, tuple[Any, ...]]:
    """Kind, mode, owner and content of everything below a directory; names of one file together."""
    found, first = {}, dict[int, str]()
    for path in sorted([root, *root.rglob("*")]):
        status = path.lstat()
        name = path.relative_to(root).as_posix()
        content: Any = os.readlink(path) if path.is_symlink() else None
        if stat.S_ISREG(status.st_mode):
            content = (path.read_bytes(), first.setdefault(status.st_ino, name))
        xattrs = {x: os.getxattr(path, x, follow_symlinks=False) for x in xattr_names(path)}
        found[name] = (oct(status.st_mode), status.st_uid, status.st_gid, content, xattrs)
    return found


@pytest.fixture(scope="session")
def builders() -> Iterator[Builders]:
    # podman and buildah take no long paths.
    place = Path(tempfile.mkdtemp(prefix="kubelite-"))
    made = Builders(place)
    try:
        made.prepare()
        yield made
    finally:
        made.kl("system", "reset", "--yes")
        subprocess.run(["buildah", "--root", str(place / "g"), "--runroot", str(place / "r"),
                        "--storage-driver", "vfs", "rm", "--all"], capture_output=True)  # fmt: skip
        shutil.rmtree(place)
