"""Saving images: what is loaded again is what was saved, whiteouts and links included."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from kubelite.node.image.save import save
from kubelite.node.image.store import ImageStore
from tests.node.image.conftest import Build


def tree(layer: Path) -> dict[str, Any]:
    """Everything of a layer's directory that an archive keeps."""
    found: dict[str, Any] = {}
    for directory, names, files in os.walk(layer):
        for name in (*names, *files):
            path = Path(directory) / name
            status = path.lstat()
            content = (
                os.readlink(path)
                if path.is_symlink()
                else path.read_bytes()
                if stat.S_ISREG(status.st_mode)
                else sorted(os.listxattr(path, follow_symlinks=False))
            )
            found[str(path.relative_to(layer))] = (
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_rdev,
                status.st_nlink if stat.S_ISREG(status.st_mode) else 0,
                content,
            )
    return found


def test_a_saved_image_loads_as_what_it_was(build: Build, tmp_path: Path) -> None:
    lower = build.layer(
        build.entry("dir", "etc"),
        build.entry("file", "etc/passwd", b"root\n", uid=7, gid=8, mode=0o640),
        build.entry("file", "etc/gone", b"x"),
        build.entry("dir", "data"),
        build.entry("file", "data/old", b"x"),
    )
    upper = build.layer(
        build.entry("dir", "etc"),
        build.entry("file", "etc/.wh.gone"),
        build.entry("dir", "data"),
        build.entry("file", "data/.wh..wh..opq"),
        build.entry("file", "data/new", b"y" * 5000),
        build.entry("link", "data/link", linkname="../etc/passwd"),
        build.entry("hard", "data/again", linkname="data/new"),
    )
    source = build.docker(
        tmp_path / "in.tar", ["web:1", "web:2"], [lower, upper], Cmd=["run"], Env=["A=b"],
        ExposedPorts={"80/tcp": {}}, User="7", StopSignal="SIGINT",
    )  # fmt: skip
    first, second = ImageStore(tmp_path / "one"), ImageStore(tmp_path / "two")
    first.load(source)
    image = first.get("web:1")
    with (tmp_path / "out.tar").open("wb") as file:
        save([(first.package(image), ["web:1", "other:3"])], file)
    ((loaded, _),) = second.load(tmp_path / "out.tar")
    assert {name.rpartition("/")[2] for name in loaded.names} == {"web:1", "other:3"}
    assert loaded.config == image.config and loaded.created == image.created
    assert [tree(layer) for layer in loaded.layers] == [tree(layer) for layer in image.layers]
    assert len(loaded.layers) == 2
    gone = tree(loaded.layers[1])["etc/gone"]
    assert stat.S_ISCHR(gone[0]) and gone[3] == 0
    assert "trusted.overlay.opaque" in tree(loaded.layers[1])["data"][-1]


def test_a_layer_of_several_images_is_written_once(build: Build, tmp_path: Path) -> None:
    layer = build.layer(build.entry("file", "big", b"x" * 100_000))
    store = ImageStore(tmp_path / "store")
    for name in ("a:1", "b:1"):
        store.load(build.docker(tmp_path / f"{name[0]}.tar", [name], [layer], Cmd=[name]))
    with (tmp_path / "out.tar").open("wb") as file:
        save([(store.package(store.get(name)), [name]) for name in ("a:1", "b:1")], file)
    assert (tmp_path / "out.tar").stat().st_size < 150_000
    assert len(ImageStore(tmp_path / "two").load(tmp_path / "out.tar")) == 2
